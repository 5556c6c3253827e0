"""From a graph to a Program, by the passes listed in compiler/pipeline.py."""
