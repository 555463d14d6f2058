"""Claim: on neurons it has not seen, a decoder that is told when the spikes are is right where the paper's is not.

Puts figures of `noble-prob evaluate` beside those that NOBLE reports (arXiv 2506.04536, tables 1 and 2, with metrics
of its own that leave out traces where only one side spikes):

    noble-prob evaluate --cell CELL --reference DIR --json ours.json           (and so for every other decoder)
    python analyses/decoder_tables.py "ours=ours.json" "paper's configuration=paper.json"
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

METRICS = {
    "voltage_rel_l2": "voltage",
    "aligned_rel_l2": "voltage, spikes aligned",
    "spike_count_error": "spike count",
    "spiking_mismatch": "spiking mismatch",
    "ap1_width_error": "AP1 width",
    "mean_ap_amplitude_error": "mean AP amplitude",
    "steady_state_voltage_error": "voltage after the step",
    "sag_amplitude_error": "sag",
}
REPORTED = {
    "train_models": {
        "voltage_rel_l2": 2.18,
        "spike_count_error": 3.0,
        "ap1_width_error": 32.8,
        "mean_ap_amplitude_error": 8.54,
        "steady_state_voltage_error": 0.83,
    },
    "held_out_models": {
        "voltage_rel_l2": 11.7,
        "spike_count_error": 9.2,
        "ap1_width_error": 350.0,
        "mean_ap_amplitude_error": 14.0,
        "steady_state_voltage_error": 2.0,
    },
}
"""What the paper says of its PVALB decoder (%)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", metavar="NAME=JSON", help="name of a decoder, and its evaluation")
    args = parser.parse_args()
    found = {
        name: json.loads(Path(path).read_text()) for name, _, path in (item.partition("=") for item in args.results)
    }
    for group, reported in REPORTED.items():
        print(f"| {group.replace('_', ' ')} (%) | NOBLE, as reported | " + " | ".join(found) + " |")
        print("| --- |" + " --- |" * (1 + len(found)))
        for metric, label in METRICS.items():
            paper = f"{reported[metric]:g}" if metric in reported else "not reported"
            cells = [f"{100 * result[group][metric]:.2f}" for result in found.values()]
            print(f"| {label} | {paper} | " + " | ".join(cells) + " |")
        times = [f"{result[group]['spike_time_error_ms']:.3f}" for result in found.values()]
        print("| spike time, median (ms) | not reported | " + " | ".join(times) + " |\n")


if __name__ == "__main__":
    main()
