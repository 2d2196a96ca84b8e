"""``python -m bff_core.cli``: the same as ``bff``."""

from bff_core.cli import main

main()
