"""`python -m tinygrad_tx` is the command `tinygrad-tx`."""

from tinygrad_tx.cli import main

main()
