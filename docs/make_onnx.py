"""Prints docs/onnx.md: the tables of operators, and errors that `measure` found.

`python docs/make_onnx.py measure` exports every family, and published weights where they are
installed, runs them in onnxruntime and writes docs/onnx_errors.json.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tinygrad_tx.ops  # noqa: F401  # registers the operators
from tinygrad_tx.graph.node import Operator
from tinygrad_tx.graph.registry import operators
from tinygrad_tx.interop.onnx_reading import MEANINGS
from tinygrad_tx.interop.onnx_trace import LEFT_OUT
from tinygrad_tx.interop.onnx_writing import LOWEST_OPSET, RULES

ERRORS = Path(__file__).parent / "onnx_errors.json"

HEAD = """# ONNX

Made by `docs/make_onnx.py` from the tables in `interop/onnx_writing` and `interop/onnx_reading`.
How to use both ways stands in [interop.md](interop.md#onnx).

## Written and compared

`python docs/make_onnx.py measure` exports each part in opset 23, with batch and time open, and runs
it in onnxruntime on the CPU beside ours, on five random batches. The error is the largest
difference of a number, relative to the largest number of that result.

| model | part | nodes | parameters | largest error |
| --- | --- | --- | --- | --- |
"""

WRITTEN = f"""
## Operators that are written

From opset {LOWEST_OPSET} on. Where an operator of ONNX is newer, or does not mean the same
(norms and GELU in float64, causal attention with more keys than queries), the expansion of ours is
written instead.

| operator | in ONNX | from opset |
| --- | --- | --- |
"""

READ = """
## Operators that are read

From opset 13 on, in the domain of ONNX itself. An attribute or an input of theirs that is not known
here is an error which names the node; so is an operator that is not in this list. What is known of
each, and what is refused, is tried on the examples that ONNX ships, by `tests/interop`.

"""

TAIL = """
## What falls short

- Random numbers (dropout while training, `random_uniform`) and functions of NumPy arrays are not
  written: ONNX has neither. Nor are shifts of bits and the few others that are refused above.
- `require_finite` and the bounds of indices are checked here and not in the file.
- onnxruntime 1.32 has no float64 kernels for Erf and Atanh: `erf`, `gelu` and `log1p` in float64
  are written, and run in ONNX's own evaluator.
- Open sizes are proven by recording at several sizes: a function that takes another way at a size
  that was not tried is not caught. The sizes are below those of the example, or at most 11.
- Read: no convolutions, no loops or branches, no quantised weights, no bfloat16, no strings or
  sequences, nothing of the domain com.microsoft; of Attention no soft cap, windows or scores.
  Shapes must follow from those of the inputs and from constants. Dropout is as outside of training.
"""


def written(op: Operator) -> tuple[str, str]:
    """What stands for an operator, and from which opset on."""
    found = RULES.get(op.name)
    if found is not None:
        older = (
            "; its expansion before" if op.expand is not None and found.since > LOWEST_OPSET else ""
        )
        return found.says + older, str(found.since)
    if op.name in LEFT_OUT:
        return "no node: the value itself", str(LOWEST_OPSET)
    return ("its expansion", str(LOWEST_OPSET)) if op.expand is not None else ("refused", "")


def page() -> str:
    errors = json.loads(ERRORS.read_text(encoding="utf-8"))
    shown = [op for op in operators() if op.name not in ("buffer", "part", "fused")]
    lines = [HEAD]
    lines += [
        f"| {r['model']} | {r['part']} | {r['nodes']:,} | {r['parameters']:,} "
        f"| {r['error']:.1e} |\n"
        for r in errors
    ]
    lines.append(WRITTEN)
    lines += [f"| `{op.name}` | {' | '.join(written(op))} |\n" for op in shown]
    lines.append(READ)
    lines.append("\n".join(_filled(", ".join(sorted(MEANINGS)))) + "\n")
    return "".join([*lines, TAIL])


def _filled(text: str, width: int = 100) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        if len(line) + len(word) + 1 > width:
            yield line
            line = ""
        line = f"{line} {word}".strip()
    yield line


def models() -> Iterator[tuple[str, Any]]:
    """One of each family, small, with weights as they start; and published ones."""
    from tinygrad_tx.errors import CheckpointError
    from tinygrad_tx.models import (
        BERT,
        GPT,
        BERTConfig,
        EncoderDecoder,
        EncoderDecoderConfig,
        GPTConfig,
        Llama,
        LlamaConfig,
        from_package,
    )

    yield "GPT, 4 layers, width 128", GPT(GPTConfig(256, 64))
    yield "Llama, 4 layers, width 128", Llama(LlamaConfig(256, 64, kv_heads=2))
    yield "BERT, 4 layers, width 128", BERT(BERTConfig(256, 64))
    for form in ("transformer", "t5", "t5.1.1"):
        config = EncoderDecoderConfig(256, 64, form=form)
        yield f"encoder-decoder ({form}), 3 + 3 layers, width 128", EncoderDecoder(config)
    for name, title in (("minilm", "all-MiniLM-L6-v2"), ("smollm2", "SmolLM2-135M-Instruct")):
        try:
            yield title, from_package(name)[0]
        except CheckpointError as error:
            print(error, file=sys.stderr)


def measure() -> None:
    from tinygrad_tx.interop.onnx_check import compare_onnx
    from tinygrad_tx.models import save_onnx
    from tinygrad_tx.models.to_onnx import parts_of

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for title, model in models():
            model.eval()
            for part, found in parts_of(model).items():
                made = save_onnx(model, Path(folder) / "model.onnx", part)
                inputs = [found.examples(model.config.vocab_size, seed) for seed in range(5)]
                error = max(compare_onnx(made.path, found.function, i) for i in inputs)
                size = {"nodes": made.nodes, "parameters": model.num_parameters()}
                rows.append({"model": title, "part": part, **size, "error": float(f"{error:.1e}")})
                print(rows[-1], file=sys.stderr)
    ERRORS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["measure"]:
        measure()
    else:
        sys.stdout.write(page())
