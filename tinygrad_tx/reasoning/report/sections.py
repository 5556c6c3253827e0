"""The sections of a report: each a question about the model, with figures and their limits."""

from __future__ import annotations

import numpy as np

from tinygrad_tx.reasoning.change import zero
from tinygrad_tx.reasoning.look import capture, points
from tinygrad_tx.reasoning.report.parts import Coloured, Grid, Maps, Picture, Section
from tinygrad_tx.reasoning.report.subject import Subject
from tinygrad_tx.reasoning.sweep import sweep
from tinygrad_tx.reasoning.table import Table
from tinygrad_tx.tensor import Tensor, log_softmax, no_grad
from tinygrad_tx.viz import Drawing, draw
from tinygrad_tx.viz.dot import id_of

__all__ = ["SECTIONS"]

MOST_CELLS = 400_000
"""Of attention maps on one page; beyond it some layers are left out, and the page says so."""


def expectations(subject: Subject) -> Section:
    """What the model expects after each token, and how surprised it was."""
    tokens = subject.tokens
    found = subject.log_probabilities
    surprise = np.concatenate([[np.nan], -found[np.arange(len(tokens) - 1), tokens[1:]]])
    order = np.argsort(found[-1])[::-1][:10]
    rows = tuple((subject.word(t), float(np.exp(found[-1, t])), float(found[-1, t])) for t in order)
    columns = tuple(subject.say("columns_expected").split("|"))
    return Section(
        "expectations",
        subject.say("expectations"),
        subject.say("about_expectations", word=subject.word(subject.asked)),
        (
            Coloured(subject.words(tokens), surprise, subject.say("surprise")),
            Table(subject.say("next"), columns, rows),
        ),
    )


def diagram(subject: Subject) -> Section:
    """The block diagram; its boxes lead to the sections about them."""
    drawing = draw(subject.model, inputs=(subject.tokens[None],), lang=subject.language)
    assert isinstance(drawing, Drawing)  # of every view but "memory"
    links = {
        id_of(key): target
        for key, box in drawing.picture.boxes.items()
        for role, target in (("attention", "attention"), ("product", "parts"))
        if box.role == role
    }
    return Section(
        "diagram",
        subject.say("diagram"),
        subject.say("about_diagram"),
        (Picture(drawing.svg, type(subject.model).__name__, links or {"": ""}),),
    )


def attention(subject: Subject) -> Section:
    """The weights of each head on this text."""
    with no_grad():
        found = capture(subject.model, subject.tokens[None], "*attention.pattern").numpy()
    time, words = len(subject.tokens), subject.words(subject.tokens)
    layers = list(found.items())
    fit = max(1, MOST_CELLS // max(1, layers[0][1][0].size))
    chosen = np.unique(np.linspace(0, len(layers) - 1, min(fit, len(layers))).round().astype(int))
    names, maps = [], []
    for number in chosen:
        for head, pattern in enumerate(layers[number][1][0]):
            names.append(subject.say("layer_head", layer=number, head=head))
            maps.append(pattern)
    caption = subject.say("patterns")
    if len(chosen) < len(layers):
        caption += subject.say("some_layers", shown=len(chosen), layers=len(layers))
    values = np.array(maps).reshape(-1, time, time)
    return Section(
        "attention",
        subject.say("attention"),
        subject.say("about_attention"),
        (Maps(names, words, words, values, caption),),
    )


def parts(subject: Subject) -> Section:
    """What each head and each feed-forward network is good for here: the effect of its absence."""
    named = points(subject.model, subject.tokens[None])
    heads = [p for path, p in named.items() if path.endswith("attention.context")]
    networks = [path for path in named if path.endswith("feed_forward.output")]
    count = max(p.shape[1] for p in heads)
    runs = [{p.path: zero(heads=h)} for p in heads for h in range(p.shape[1])]
    runs += [{path: zero()} for path in networks]

    def expected(logits: Tensor, tokens: Tensor) -> Tensor:
        del tokens
        return log_softmax(logits[:, -1])[:, subject.asked]

    without = sweep(subject.model, subject.tokens[None], runs, expected)[:, 0]
    loss = subject.log_probabilities[-1, subject.asked] - without
    by_head = loss[: len(heads) * count].reshape(len(heads), count)
    by_network = loss[len(heads) * count :, None]
    rows = [subject.say("layer", layer=i) for i in range(len(heads))]
    columns = [subject.say("head", head=h) for h in range(count)]
    return Section(
        "parts",
        subject.say("parts"),
        subject.say("about_parts", word=subject.word(subject.asked)),
        (
            Grid(rows, columns, by_head, subject.say("without_head"), signed=True),
            Grid(
                rows[: len(networks)],
                [subject.say("feed_forward")],
                by_network,
                subject.say("without_network"),
                signed=True,
            ),
        ),
    )


SECTIONS = (expectations, diagram, attention, parts)
"""In the order of the page."""
