"""Which parts of a model do a task: patching, edges, circuits found and judged."""
