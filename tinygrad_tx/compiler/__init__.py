"""From a graph to a Program, by passes from graph to graph and then a plan.

Read pipeline.py, where all passes are listed in order, and program.py, what comes out. Passes:
reunite, simplify, fuse, epilogue, sums. Then schedule.py orders nodes, plan.py gives each value a
home, lower.py writes the steps, memory.py lays buffers into one arena; generate.py writes the
kernels of fused groups.
"""
