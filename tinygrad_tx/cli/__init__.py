"""The command line: `tinygrad-tx train | generate | draw | info`."""

from tinygrad_tx.cli.main import main

__all__ = ["main"]
