"""Our gateway and its peers side by side, in one run: see README.md."""
