"""Probabilistic neural-operator surrogates of neurons."""
