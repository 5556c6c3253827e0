"""The sections of a report: each a question about the model, with figures and their limits."""

from __future__ import annotations

import numpy as np

from tinygrad_tx.reasoning.change import zero
from tinygrad_tx.reasoning.circuits.circuit import discover_circuit
from tinygrad_tx.reasoning.circuits.circuit_drawing import draw_circuit
from tinygrad_tx.reasoning.circuits.metric import LogitDifference
from tinygrad_tx.reasoning.explain.attribution import (
    LARGE,
    gradient_x_input,
    integrated_gradients,
    occlusion,
)
from tinygrad_tx.reasoning.explain.direct import direct_attribution
from tinygrad_tx.reasoning.explain.lens import logit_lens
from tinygrad_tx.reasoning.explain.target import Target
from tinygrad_tx.reasoning.look import capture, points
from tinygrad_tx.reasoning.report.parts import Coloured, Grid, Maps, Picture, Prose, Section
from tinygrad_tx.reasoning.report.subject import Subject
from tinygrad_tx.reasoning.sweep import sweep
from tinygrad_tx.table import Table
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


def layers(subject: Subject) -> Section:
    """What the model would say if it stopped after each block."""
    found = logit_lens(subject.model, subject.tokens[None], token=subject.asked, words=1)
    words = [[subject.word(t) for t in row] for row in found.top_tokens[:, 0, :, 0]]
    tokens, names = subject.words(subject.tokens), list(found.layers)
    followed = ("probability", "rank", "entropy", "divergence")
    return Section(
        "layers",
        subject.say("layers"),
        subject.say("about_layers"),
        (
            Grid(names, tokens, found.top_probabilities[:, 0, :, 0], subject.say("lens"), words),
            Grid(
                names,
                [subject.say(n) for n in followed],
                np.stack([getattr(found, n)[:, 0, -1] for n in followed], -1),
                subject.say("followed", word=subject.word(subject.asked)),
                by_column=True,
            ),
        ),
    )


def sources(subject: Subject) -> Section:
    """Which tokens the expectation comes from, by three methods that need not agree."""
    target, tokens = Target(subject.asked), subject.tokens[None]
    words, last = subject.words(subject.tokens), len(subject.tokens) - 1
    gradients = integrated_gradients(subject.model, tokens, target, baseline=subject.baseline)
    found = (
        gradients,
        gradient_x_input(subject.model, tokens, target),
        occlusion(subject.model, tokens, target, baseline=subject.baseline),
    )
    parts = [Coloured(words, f.scores[0], subject.say(f.method), last) for f in found]
    assert gradients.gap is not None
    assert gradients.at_baseline is not None
    gap = subject.say(
        "gap",
        total=f"{float(gradients.scores[0].sum()):.4g}",
        moved=f"{float(gradients.value[0] - gradients.at_baseline[0]):.4g}",
        gap=f"{float(gradients.gap[0]):.2g}",
    )
    if abs(gradients.gap[0]) > LARGE * abs(gradients.value[0] - gradients.at_baseline[0]):
        gap += subject.say("large_gap")
    return Section(
        "sources",
        subject.say("sources"),
        subject.say("about_sources", word=subject.word(subject.asked)),
        (parts[0], Prose(gap), *parts[1:]),
    )


def contributions(subject: Subject) -> Section:
    """The logit as the sum of what the parts of the model add to it."""
    found = direct_attribution(subject.model, subject.tokens[None], subject.asked)
    here = found.contributions[:, 0, -1].astype(np.float64)
    order = np.argsort(-np.abs(here), kind="stable")[:20]
    rest = float(here.sum() - here[order].sum())
    rows = [(found.parts[i], float(here[i])) for i in order]
    rows += [(subject.say("other_parts"), rest)] if len(here) > len(order) else []
    rows += [
        (subject.say("sum"), float(here.sum())),
        (subject.say("own_logit"), float(found.value[0, -1])),
    ]
    columns = (subject.say("part"), subject.say("adds"))
    error = subject.say("completeness", error=f"{found.error:.2g}", scale=f"{found.scale:.3g}")
    return Section(
        "contributions",
        subject.say("contributions"),
        subject.say("about_contributions", word=subject.word(subject.asked)),
        (Table(subject.say("adds_to"), columns, tuple(rows), (error,)),),
    )


def circuit(subject: Subject) -> Section | None:
    """What tells the text from the other one; None where there is no other."""
    if subject.instead is None:
        return None
    with no_grad():
        logits = np.asarray(subject.model(subject.other[None]).numpy()[0, -1])
    wrong, right = int(logits.argmax()), subject.asked
    title, about = subject.say("circuit"), subject.say("about_circuit", instead=subject.instead)
    if wrong == right:
        said = subject.say("no_circuit", word=subject.word(right))
        return Section("circuit", title, about, (Prose(said),))
    metric = LogitDifference([right], [wrong])
    found = discover_circuit(subject.model, subject.tokens[None], subject.other[None], metric)
    drawing = draw_circuit(found, lang=subject.language)
    words = {"right": subject.word(right), "wrong": subject.word(wrong)}
    return Section(
        "circuit",
        title,
        about,
        (
            Picture(drawing.svg, subject.say("circuit_of", **words)),
            found.table(),
            found.curve_table(),
        ),
    )


SECTIONS = (expectations, diagram, layers, sources, contributions, attention, parts, circuit)
"""In the order of the page."""
