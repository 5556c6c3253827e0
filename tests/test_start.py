"""What `import tinygrad_tx` loads, and what it leaves for who asks."""

from __future__ import annotations

import subprocess
import sys

import pytest

SAY = """
import sys
import tinygrad_tx as tx
heavy = ("matplotlib", "onnx", "hypothesis", "rich", "typer", "tinygrad_tx.bench",
         "tinygrad_tx.interop", "tinygrad_tx.prompt", "tinygrad_tx.reasoning", "tinygrad_tx.tasks")
print([name for name in heavy if name in sys.modules])
for name in sys.argv[1:]:
    assert name in dir(tx)
    assert getattr(tx, name).__name__ == "tinygrad_tx." + name
"""


def test_who_trains_does_not_wait_for_what_draws_and_explains() -> None:
    later = ("interop", "prompt", "reasoning", "tasks")
    done = subprocess.run(
        [sys.executable, "-c", SAY, *later], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    import tinygrad_tx

    with pytest.raises(AttributeError, match="nothing_such"):
        _ = tinygrad_tx.nothing_such
