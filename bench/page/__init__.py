"""A gateway of one page with seven parts: what `make bench` measures."""
