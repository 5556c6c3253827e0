"""Running Programs: buffers, compiled kernels, the tape, threads.

Read execute.py (a Program becomes a tape) and tape.py (the loop that walks it); kernels.py,
cache.py and stored.py compile kernels and keep them, buffer.py and values.py are memory,
evaluate.py is what a tensor computes itself with outside of a capture.
"""
