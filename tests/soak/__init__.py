"""What only numbers find: the same thing done a million times, each time a little differently. ``make soak``."""
