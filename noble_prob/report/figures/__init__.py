"""One panel, one file: values in, inline SVG out."""
