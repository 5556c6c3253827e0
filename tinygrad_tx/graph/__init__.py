"""The graph that everything else reads: immutable nodes, one for each piece of equal work.

Read node.py (what a Node is), builder.py (how one is made and shared) and walk.py (walks and
rewrites); registry.py and lowering.py say what an operator has to tell, place.py finds the user's
line, text.py prints a graph.
"""
