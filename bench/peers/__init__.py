"""The same page in other stacks, each as its community would write it; ``UPSTREAM`` and ``PORT`` say where."""
