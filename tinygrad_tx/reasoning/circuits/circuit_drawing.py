"""A circuit as a picture: heads and feed-forwards by block, edges as wide as they matter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.ticker import ScalarFormatter

from tinygrad_tx.errors import DrawError, explain
from tinygrad_tx.plots import picture_bytes, style
from tinygrad_tx.reasoning.circuits.circuit import Circuit
from tinygrad_tx.reasoning.circuits.unfolded import part_of
from tinygrad_tx.tasks.picture import COLOURS, panels
from tinygrad_tx.tasks.task import Figure
from tinygrad_tx.viz import Drawing
from tinygrad_tx.viz.picture import Arrow, Box, Picture, Role
from tinygrad_tx.viz.render import Plot
from tinygrad_tx.viz.words import LANGUAGES, phrase, translated

__all__ = ["draw_circuit", "draw_faithfulness"]

_ENDS: Mapping[str, tuple[str, Role]] = {
    "tokens": ("Tokens", "embedding"),
    "positions": ("Positions", "embedding"),
    "logits": ("Logits", "other"),
}


def draw_circuit(
    circuit: Circuit, path: str | Path | None = None, *, theme: str | None = None, lang: str = "en"
) -> Drawing:
    """Boxes are parts, frames are blocks; an arrow is as wide as the share of the metric that the
    circuit loses without it (`Circuit.costs`); blue ones help, orange ones hurt.

    path: as in `tx.draw`. lang: "en" or "zh". Errors: DrawError.
    """
    _check(lang)
    boxes = {name: _box(name) for name in circuit.nodes}
    arrows = []
    for (sender, receiver), cost in zip(circuit.edges, circuit.costs, strict=True):
        kind = receiver.rpartition(".")[2] if part_of(receiver) != receiver else ""
        label = ": ".join(t for t in (kind.title(), f"{cost:+.2f}") if t)
        arrows.append(Arrow(sender, part_of(receiver), label, effect=cost))
    frames = {box.frame: f"Block {box.frame[0]}" for box in boxes.values() if box.frame}
    _legend(boxes, arrows, frames)
    note = f"{len(circuit.edges)} edges, faithfulness: {circuit.faithfulness.value:.2f}"
    drawing = Drawing(Picture("Circuit", boxes, arrows, frames, note), theme, lang)
    if path is not None:
        drawing.save(path)
    return drawing


def _box(name: str) -> Box:
    if name in _ENDS:
        return Box(name, *_ENDS[name], facts=(("part", name),))
    block, _, head = name.partition(".")
    title, role = (f"Head {head[1:]}", "attention") if head else ("Feed Forward", "product")
    facts = (("part", name),)
    return Box(name, title, role, (block[1:],), facts=facts)  # type: ignore[arg-type]


def _legend(boxes: dict[str, Box], arrows: list[Arrow], frames: dict[tuple[str, ...], str]) -> None:
    """Two arrows of the whole effect, beside the circuit."""
    frames[("legend",)] = "Legend"
    for effect, title in ((1.0, "helps"), (-1.0, "hurts")):
        low, high = f"legend {title}", f"legend {title} what"
        boxes[low] = Box(low, title, "input", ("legend",))
        boxes[high] = Box(high, "whole effect", "input", ("legend",))
        arrows.append(Arrow(low, high, effect=effect))


def draw_faithfulness(
    circuit: Circuit, path: str | Path | None = None, *, lang: str = "en"
) -> Plot:
    """The curve of faithfulness over the number of edges, beside random circuits. lang: "en" or
    "zh". Errors: DrawError."""
    _check(lang)
    plot = Plot(lambda format: _plotted(circuit, format, lang))
    if path is not None:
        plot.save(path)
    return plot


def _plotted(circuit: Circuit, format: str, lang: str) -> bytes:
    with style():
        picture, (axes,) = panels()
        lines = (("ranked edges", circuit.curve), ("random circuits", circuit.baseline))
        for colour, (name, points) in zip(COLOURS, lines, strict=False):
            sizes = [size for size, _ in points]
            figures: list[Figure] = [figure for _, figure in points]
            values = [f.value for f in figures]
            label = translated(name, lang)
            axes.plot(sizes, values, "o-", color=colour, label=label, markersize=4)
            low, high = [f.low for f in figures], [f.high for f in figures]
            axes.fill_between(sizes, low, high, color=colour, alpha=0.15, linewidth=0)
        size, value = len(circuit.edges), circuit.faithfulness.value
        label = phrase(f"{size} kept edges", lang)
        axes.plot([size], [value], "D", color=COLOURS[2], label=label)
        axes.set_xscale("symlog", linthresh=1)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.set_xlabel(translated("number of edges", lang))
        axes.set_ylabel(translated("faithfulness", lang))
        axes.legend(frameon=False)
    return picture_bytes(picture, format)


def _check(lang: str) -> None:
    if lang not in LANGUAGES:
        what = f"lang {lang!r} is not one of {', '.join(LANGUAGES)}"
        raise DrawError(explain("draw_circuit", what))
