"""Running Programs: buffers, compiled kernels, the tape, threads."""
