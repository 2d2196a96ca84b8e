"""The front door: one file for each thing that happens to a request before the page, and to a reply after it."""
