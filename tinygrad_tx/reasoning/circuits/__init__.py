"""Which parts of a model do a task: patching, edges, circuits found and judged.

Read metric.py and patching.py, then edges.py, search.py, circuit.py and judge.py; known_tasks.py
and planted_circuits.py are models whose circuit is known.
"""
