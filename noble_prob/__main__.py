"""``python -m noble_prob``: the same as ``noble-prob``."""

import sys

from noble_prob.cli import main

sys.exit(main())
