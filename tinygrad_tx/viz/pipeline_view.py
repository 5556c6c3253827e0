"""The picture of how a model came to be: corpus, training, model, and on to what it wrote last.

As introductions to the field draw it: corpus -> pretraining -> language model -> fine-tuning ->
task model, and prompt -> language model -> output, with the figures of the run folders.
"""

from __future__ import annotations

import re
from pathlib import Path

from tinygrad_tx.train.generations import Generation, generations_of
from tinygrad_tx.train.record import FINE_TUNING, Ancestor, Record, ancestors
from tinygrad_tx.train.run import RunFolder
from tinygrad_tx.viz.picture import Arrow, Box, Picture, duration

__all__ = ["pipeline_picture"]

TEXT_LINES, TEXT_LINE = 4, 28  # of a prompt or an output, in its box
_PIECES = re.compile(rf"[\u2e80-\U0010ffff] ?|[^\s\u2e80-\U0010ffff]{{1,{TEXT_LINE}}} ?|.")
"""Where a line may end: after each character of East Asia, after words of the others."""

Fact = tuple[str, str]


def pipeline_picture(path: Path | str) -> Picture:
    """The history of the run in `path`, from its oldest ancestor, with the last text it wrote.

    Errors: CheckpointError for what is no run folder, or has a damaged record.
    """
    history = ancestors(path)
    boxes: dict[str, Box] = {}
    arrows: list[Arrow] = []
    model = ""
    for number, ancestor in enumerate(history):
        found = _stage(number, ancestor)
        boxes |= {box.key: box for box in found}
        flow = [box.key for box in found]
        if ancestor.record is not None:
            corpus, training, result = flow
            arrows += [Arrow(corpus, training), Arrow(training, result)]
            if model:
                arrows.append(Arrow(model, training))
        model = flow[-1]
    written = generations_of(RunFolder(path))
    if written:
        for box in _written(written[-1]):
            boxes[box.key] = box
        arrows += [Arrow("prompt", model), Arrow(model, "output")]
    return Picture(Path(path).resolve().name, boxes, arrows, direction="LR")


def _stage(number: int, ancestor: Ancestor) -> list[Box]:
    """Corpus, training and model of one run; of a run that is not found, the model alone."""
    name = ancestor.path.resolve().name
    place = ("run folder", name)
    record = ancestor.record
    if record is None:
        lines = (name, "not found")
        return [Box(f"model {number}", "Language Model", "model", (), lines, (place,))]
    is_fine = record.kind == FINE_TUNING
    title = "Fine-tuning" if is_fine else "Pretraining"
    training = _training(record)
    corpus = _corpus(record)
    model = _model(record)
    model += ("changed since",) if ancestor.has_changed else ()
    return [
        Box(f"corpus {number}", "Corpus", "corpus", (), corpus, (place, *_facts(corpus))),
        Box(f"training {number}", title, "process", (), training, (place, *_facts(training))),
        Box(
            f"model {number}",
            "Task Model" if is_fine else "Language Model",
            "model",
            (),
            (name, *model),
            (place, *_facts(model)),
        ),
    ]


def _facts(lines: tuple[str, ...]) -> list[Fact]:
    return [(name, value) for name, found, value in (n.partition(": ") for n in lines) if found]


def _corpus(record: Record) -> tuple[str, ...]:
    corpus = record.corpus
    found = [
        (corpus.characters, f"{corpus.characters:,} characters" if corpus.characters else ""),
        (corpus.tokens, f"{corpus.tokens:,} tokens" if corpus.tokens else ""),
        (corpus.held_out, f"{corpus.held_out:,} held out" if corpus.held_out else ""),
    ]
    return (corpus.name, *(line for value, line in found if value is not None and line))


def _training(record: Record) -> tuple[str, ...]:
    lines = [f"{record.steps:,} steps"]
    if record.tokens is not None:
        lines.append(f"{record.tokens:,} tokens seen")
    if record.seconds is not None:
        lines.append(duration(record.seconds))
    if record.loss is not None:
        start = f"{record.loss_before:.3f} → " if record.loss_before is not None else ""
        lines.append(f"held-out loss: {start}{record.loss:.3f}")
    if record.baseline is not None:
        lines.append(f"bigram counts: {record.baseline:.3f}")
    lost = record.forgetting
    if lost is not None and lost.after is not None:
        lines.append(f"on the parent's corpus: {lost.before:.3f} → {lost.after:.3f}")
    return (*lines, "interrupted") if record.interrupted else tuple(lines)


def _model(record: Record) -> tuple[str, ...]:
    model = record.model
    word = "layer" if model.layers == 1 else "layers"
    sizes = [f"{model.layers} {word}" if model.layers else ""]
    sizes += [f"width {model.width}" if model.width else ""]
    lines = [model.kind, ", ".join(s for s in sizes if s)]
    lines += [f"{model.parameters:,} parameters" if model.parameters is not None else ""]
    lines += [f"held-out loss: {record.loss:.3f}" if record.loss is not None else ""]
    return tuple(line for line in lines if line)


def _written(generation: Generation) -> tuple[Box, Box]:
    """What was asked and what came; whole for a page, short in the boxes."""
    settings = ((name, str(v)) for name, v in generation.settings.items() if v is not None)
    prompt, output = generation.prompt, generation.output
    return (
        Box("prompt", "Prompt", "text", (), _short(prompt), (("text", prompt), *settings)),
        Box("output", "Output", "text", (), _short(output), (("text", output),)),
    )


def _short(text: str) -> tuple[str, ...]:
    """The beginning of a text as a few short lines; characters of East Asia count double."""
    lines = [""]
    for piece in _PIECES.findall(" ".join(text.split())):
        if _width(lines[-1]) + _width(piece.rstrip()) > TEXT_LINE:
            if len(lines) == TEXT_LINES:
                lines[-1] = f"{lines[-1].rstrip()} …"
                break
            lines.append("")
        lines[-1] += piece
    return tuple(line.strip() for line in lines if line.strip())


def _width(text: str) -> int:
    return sum(2 if ord(c) >= 0x2E80 else 1 for c in text)
