"""The command line, a file for each command; it has no logic of its own.

Read main.py, where the commands are listed; then the one you want. job.py and corpus.py are what
training commands share, report.py the summary of a run.
"""

from tinygrad_tx.cli.main import main

__all__ = ["main"]
