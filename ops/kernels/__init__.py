"""Inner loops that the operators share, and what a kernel is."""
