"""tinygrad-tx export: a model as an ONNX file, compared in onnxruntime where that is installed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tinygrad_tx.cli.bar import bar
from tinygrad_tx.cli.load import is_package
from tinygrad_tx.errors import OnnxError, explain
from tinygrad_tx.interop.onnx_check import compare_onnx
from tinygrad_tx.interop.onnx_export import DEFAULT_OPSET, Exported
from tinygrad_tx.models import from_folder, from_package, from_run, save_onnx
from tinygrad_tx.models.published.folder import read_optional
from tinygrad_tx.models.to_onnx import part_of

__all__ = ["export"]

ALLOWED = 1e-4
"""Of the largest result: what rounding in another order leaves is some 1e-6."""


def export(
    model: Annotated[
        str,
        typer.Argument(
            help="A run folder that `train` made, a Hugging Face folder (GPT-2, BERT, T5, Llama, "
            "sentence-transformers), a .gguf file, or weights that `import` found: smollm2, minilm."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file; large weights lie beside it.")] = Path(
        "model.onnx"
    ),
    part: Annotated[
        str, typer.Option(help="whole; step (with a cache: GPT, Llama), both, encoder, decoder.")
    ] = "whole",
    fixed: Annotated[
        bool, typer.Option("--fixed", help="One text of the full context; else both are open.")
    ] = False,
    opset: Annotated[int, typer.Option(help="18 or newer.")] = DEFAULT_OPSET,
    external: Annotated[
        bool, typer.Option("--external", help="Weights in a file of their own at any size.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check/--no-check", help="Compare open sizes in onnxruntime, if installed."),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Writes a model as an ONNX file, for onnxruntime and others.

    Batch and time stay open: the model is recorded at several sizes, which prove that nothing else
    depends on them.

    \b
    Examples: a run, a sentence encoder, and writing with a cache:
      tinygrad-tx export runs/gpt --out gpt.onnx
      tinygrad-tx export minilm --out minilm.onnx
      tinygrad-tx export smollm2 --part step --out smollm2-step.onnx
    """
    if not out.parent.is_dir():
        what = f"there is no folder {out.parent}"
        raise OnnxError(explain("--out", what, remedy="make it, or choose another"))
    with bar(f"export {model}") as told:
        told(0, 3)
        found = _loaded(model)
        told(1, 3)
        given = True if external else None
        made = save_onnx(found, out, part, fixed=fixed, opset=opset, external=given)
        told(2, 3)
        error = _error(found, out, part) if check and not fixed else None
        told(3, 3)
    if error is not None and not error <= ALLOWED:
        what = f"{out}: onnxruntime differs by {error:.1e} of the largest result"
        raise OnnxError(explain("export", what, remedy="the file stands; please report it"))
    if as_json:
        typer.echo(json.dumps(_listed(made, error)))
        return
    typer.echo(f"Written: {made}")
    if made.weights is not None:
        typer.echo(f"Its weights: {made.weights}")
    if error is not None:
        typer.echo(f"In onnxruntime: {error:.1e} of the largest result apart from here")


def _loaded(name: str) -> Any:
    """Errors: CheckpointError, DataError."""
    if is_package(name):
        return from_package(name)[0]
    path = Path(name)
    is_published = path.suffix == ".gguf" or "model_type" in read_optional(path / "config.json")
    return from_folder(path) if is_published else from_run(path)[0]


def _error(model: Any, path: Path, part: str) -> float | None:
    """The largest difference on random inputs; None where nothing here can run the file."""
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    found = part_of(model, part)
    return compare_onnx(path, found.function, found.examples(model.config.vocab_size))


def _listed(made: Exported, error: float | None) -> dict[str, Any]:
    return {
        "path": str(made.path),
        "weights": None if made.weights is None else str(made.weights),
        "inputs": {k: [str(d) for d in v] for k, v in made.inputs.items()},
        "outputs": {k: [str(d) for d in v] for k, v in made.outputs.items()},
        "nodes": made.nodes,
        "parameters": made.parameters,
        "error": error,
    }
