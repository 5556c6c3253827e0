"""Published weights: the files they come in, and what their parameters are called here.

Read entry.py (a name there and here), then folder.py and gguf.py (the files); one file for each
family.
"""
