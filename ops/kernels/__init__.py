"""Inner loops that the operators share, and what a kernel is.

Read kernel.py first; gemm.py is the matrix tile, few_rows.py products of few rows, flash.py
attention, rowwise.py what works row by row, vecmath.py elementary functions, philox.py random
blocks.
"""
