"""tinygrad-tx plan."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from tinygrad_tx.cli.bar import bar
from tinygrad_tx.cli.completion import among
from tinygrad_tx.errors import DataError, DrawError, explain
from tinygrad_tx.files import write_whole
from tinygrad_tx.models import PRESETS, GPTConfig, preset as preset_of
from tinygrad_tx.sizing import (
    MACHINES,
    Layout,
    Machine,
    SizingPlan,
    Work,
    machine as machine_of,
    plan as plan_of,
    search as search_layouts,
    table_of,
    work_of,
)
from tinygrad_tx.sizing.pictures import memory_bars, timeline

__all__ = ["plan"]

BEST = 10


def plan(
    preset: Annotated[
        str,
        typer.Option(
            help="A published model; else --layers and so on.", autocompletion=among(PRESETS)
        ),
    ] = "",
    layers: Annotated[int, typer.Option(min=1, help="Of a GPT of your own.")] = 12,
    heads: Annotated[int, typer.Option(min=1)] = 12,
    width: Annotated[int, typer.Option(min=1)] = 768,
    context: Annotated[int, typer.Option(min=1)] = 1024,
    vocab: Annotated[int, typer.Option(min=1)] = 51_200,
    machine: Annotated[
        str,
        typer.Option(
            help="selene, a100-40gb, v100, h100, or a .json file.", autocompletion=among(MACHINES)
        ),
    ] = "selene",
    gpus: Annotated[str, typer.Option(help="Nodes x devices of a node: 280x8.")] = "1x8",
    tensor: Annotated[int, typer.Option(min=1, help="Devices that share each product.")] = 1,
    pipeline: Annotated[int, typer.Option(min=1, help="Stages of the pipeline.")] = 1,
    data: Annotated[int, typer.Option(min=1, help="Copies of the model.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Texts of a step.")] = 512,
    microbatch: Annotated[int, typer.Option(min=1, help="Texts that go through at once.")] = 1,
    chunks: Annotated[int, typer.Option(min=1, help="Of each device; above 1 interleaved.")] = 1,
    sequence: Annotated[bool, typer.Option(help="Sequence parallelism.")] = False,
    zero: Annotated[int, typer.Option(min=0, max=3, help="ZeRO stage.")] = 0,
    recompute: Annotated[
        str,
        typer.Option(
            help="none, selective or full.", autocompletion=among(("none", "selective", "full"))
        ),
    ] = "none",
    precision: Annotated[
        str,
        typer.Option(
            help="mixed, zero or float32.", autocompletion=among(("mixed", "zero", "float32"))
        ),
    ] = "mixed",
    fused_attention: Annotated[bool, typer.Option(help="Scores are never stored.")] = False,
    dropout: Annotated[bool, typer.Option(help="Its masks are kept.")] = True,
    overlap: Annotated[bool, typer.Option(help="Reduce gradients while going backward.")] = False,
    efficiency: Annotated[
        float | None, typer.Option(help="Part of the peak that large products reach.")
    ] = None,
    search: Annotated[bool, typer.Option(help="The best layouts that fit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Memory of each stage: .svg .png or .pdf")
    ] = None,
    schedule: Annotated[
        Path | None, typer.Option(help="The pipeline in time: .svg .png or .pdf")
    ] = None,
) -> None:
    """Memory a device and step time of a training, on paper.

    Compared with published trainings in docs/sizing.md.

    \b
    Examples, of one layout and of the best ones:
      tinygrad-tx plan --preset mt-nlg-530b --gpus 280x8 --tensor 8 --pipeline 35 --data 8
      tinygrad-tx plan --preset gpt3-175b --gpus 128x8 --batch 1536 --search
    """
    pictures = [path for path in (out, schedule) if path is not None]
    for path in pictures:
        _check_suffix(path)
    config = preset_of(preset) if preset else GPTConfig(vocab, context, layers, heads, width)
    work = work_of(config, preset or "GPT")
    device = _machine(machine, gpus, efficiency)
    layout = Layout(
        *(tensor, pipeline, data, batch, microbatch, chunks, sequence, zero),
        recompute=recompute,  # type: ignore[arg-type]  # checked by Layout.check
        precision=precision,
        fused_attention=fused_attention,
        dropout=dropout,
        overlap=overlap,
    )
    shown = _searched(work, device, layout, as_json) if search else None
    found = shown if search else plan_of(work, device, layout)
    if found is None:
        return
    if not search:
        typer.echo(json.dumps(found.as_json()) if as_json else found.text())
    for target, draw in ((out, memory_bars), (schedule, timeline)):
        if target is not None:
            write_whole(target, draw(found, target.suffix[1:].lower()))
            typer.echo(f"Drawn: {target}", err=True)


def _searched(work: Work, machine: Machine, start: Layout, as_json: bool) -> SizingPlan | None:
    """Prints the best layouts, or the nearest where none fits; the first is drawn."""
    with bar("layouts") as report:
        fitting, others = search_layouts(work, machine, start, report)
    if as_json:
        rows = {"fitting": fitting[:BEST], "too large": others[:BEST]}
        typer.echo(json.dumps({k: [p.as_json() for p in v] for k, v in rows.items()}))
    else:
        typer.echo(f"{work.name}: {len(fitting)} layouts fit, {len(others)} do not")
        if fitting:
            typer.echo(table_of(fitting[:BEST]))
        if others:
            typer.echo("too large, by the GiB under `over`; the nearest:")
            typer.echo(table_of(others[: 3 if fitting else BEST]))
    return next(iter(fitting or others), None)


def _machine(name: str, gpus: str, efficiency: float | None) -> Machine:
    found = re.fullmatch(r"([1-9]\d{0,6})x([1-9]\d{0,3})", gpus)
    if found is None:
        remedy = "write nodes x devices of a node: 280x8"
        raise DataError(explain("plan", f"--gpus {gpus!r}", remedy=remedy))
    sized = machine_of(name).of(int(found[1]), int(found[2]))
    if efficiency is None:
        return sized
    return Machine(**{**vars(sized), "efficiency": efficiency})


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() not in (".svg", ".png", ".pdf"):
        raise DrawError(explain("plan", f"{path.name}: not .svg, .png or .pdf"))
    if not path.parent.is_dir():
        raise DrawError(explain("plan", f"{path.parent} is not a folder"))
