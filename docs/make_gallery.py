"""Draws docs/gallery/*.svg and writes the pages that show them, all from the graph that runs.

python docs/make_gallery.py [NAME ...] draws all, or those named. Pictures that hold no measured
figure are pinned by a digest of their DOT text, which tests/test_gallery.py draws again.
"""

from __future__ import annotations

import hashlib
import json
import re
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_tx as tx
from tinygrad_tx import reasoning

DOCS = Path(__file__).parent
FOLDER = DOCS / "gallery"
DIGESTS = FOLDER / "digests.json"
PAGES = ("gallery.md", "gallery-views.md")
LARGEST = 6000
"""A picture with a side of more points than this is opened by itself: on a page it is a line."""
M = tx.models

GPT = M.GPTConfig(65, 64, 4, 4, 128)
BERT = M.BERTConfig(1000, 64, 3, 4, 128)
LLAMA = M.LlamaConfig(1000, 64, 3, 6, 96, kv_heads=2)
BOTH = M.EncoderDecoderConfig(1000, 64, 6, 6, 8, 128)
TINY = {
    "gpt": M.GPTConfig(65, 16, 1, 2, 32),
    "bert": M.BERTConfig(65, 16, 1, 2, 32),
    "encoder-decoder": M.EncoderDecoderConfig(65, 16, 1, 1, 2, 32),
    "llama": M.LlamaConfig(65, 16, 1, 2, 32),
}
"""Small ones, where every operation is drawn."""


@dataclass(frozen=True)
class Entry:
    """make: the drawing (or plot). pinned: whether it looks the same on every machine."""

    name: str
    title: str
    text: str
    make: Callable[[], Any]
    pinned: bool = True


def model(config: Any) -> Any:
    """A model as it is used: no dropout."""
    return M.build(config).eval()


def encoder_block() -> Any:
    found = model(BERT)
    hidden, mask = np.zeros((1, 64, 128), np.float32), np.ones((1, 1, 1, 64), bool)
    return tx.draw(found.encoder.blocks[0], inputs=(hidden, mask), depth=1, overlay="shapes")


def attention(lang: str = "en") -> Any:
    rng = np.random.default_rng(0)
    part = tx.nn.MultiHeadAttention(128, 8, rng)
    x = np.zeros((1, 64, 128), np.float32)
    return tx.draw(part, inputs=(x,), depth=2, overlay="shapes", lang=lang)


def planted_nan() -> Any:
    found = model(M.GPTConfig(65, 16, 2, 2, 32))
    state = found.state_dict()
    state["blocks.1.feed_forward.up.weight"][3, 5] = np.nan
    found.load_state_dict(state)
    return tx.draw(found, inputs=found.example(), overlay="nan", depth=2)


def perceptron() -> Any:
    found = runpy.run_path(str(DOCS / "examples" / "perceptron.py"))["MLP"]((2, 32, 32, 2))
    return tx.draw(found, inputs=(np.zeros((8, 2), np.float32),), overlay="shapes")


def mixer() -> Any:
    found = runpy.run_path(str(DOCS / "examples" / "mixer.py"))["Mixer"](100, 16, 32, 4, 2)
    return tx.draw(found, inputs=(np.zeros((1, 16), np.int64),), depth=2)


def curvature() -> Any:
    """The gradient of a small function, and the gradient of that."""
    x = tx.tensor([0.5, -0.3, 0.8])
    second = tx.grad(lambda v: tx.grad(lambda u: (tx.tanh(u) ** 2).sum())(v).sum())
    return tx.draw(second(x), view="ops", overlay="shapes")


def pipeline(lang: str = "en") -> Any:
    """A model trained on English prose, then on the pages of this project, then asked to write."""
    with tempfile.TemporaryDirectory() as folder:
        parent, child, text = (Path(folder) / n for n in ("english", "our-pages", "pages.txt"))
        pages = [p.read_text() for p in sorted(DOCS.glob("*.md")) if p.name not in PAGES]
        text.write_text("".join(c for c in "\n".join(pages) if c.isascii()))
        run = (sys.executable, "-m", "tinygrad_tx")
        for words in (
            ("train", "--quick", "--tokenizer", "byte", "--out", parent),
            ("train", "--start-from", parent, "--text", text, "--out", child, "--steps", "300"),
            ("generate", child, "--prompt", "A drawing ", "--tokens", "80", "--seed", "1"),
        ):
            subprocess.run([*run, *map(str, words)], check=True, stdout=subprocess.DEVNULL)
        return tx.draw(child, view="pipeline", lang=lang)


def trained_maps() -> Any:
    """Attention of a trained model on a real sentence."""
    from tinygrad_tx.models import from_run

    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = ("train", "--quick", "--out", str(run))
        command = [sys.executable, "-m", "tinygrad_tx", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found, tokenizer = from_run(run)
        tokens = tokenizer.encode("The statement is true")[None]
        return tx.draw(found, inputs=(tokens,), overlay="attention")


def views() -> list[Entry]:
    """Every view of every family, small enough to read."""
    found: list[Entry] = []
    words = {
        "ops": "every operation",
        "gradient": "the backward pass beside the forward pass, each gradient beside its value",
        "rewrite": "before and after the compiler grouped elementwise work",
        "program": "the compiled steps",
        "memory": "their buffers over time",
    }
    for name, config in TINY.items():
        for view, what in words.items():
            options: dict[str, Any] = {"view": view}
            if view == "rewrite":
                options["passes"] = "fuse"

            def make(config: Any = config, options: dict[str, Any] = options) -> Any:
                found = model(config)
                return tx.draw(found, inputs=found.example(), **options)

            # Shares, tiles and so memory depend on the vector width of the machine.
            pinned = view not in ("program", "memory")
            found.append(
                Entry(f"{name}-{view}", f"{name}: {view}", f"One block; {what}.", make, pinned)
            )
    found += [
        Entry(
            f"mt-nlg-{view}",
            f"MT-NLG 530B: {view}",
            f"By shape alone; {words[view]}, shortened where it is too long.",
            lambda view=view: tx.draw(
                M.abstract("mt-nlg-530b"), view=view, passes="fuse" if view == "rewrite" else None
            ),
            view not in ("program", "memory"),
        )
        for view in words
    ]
    return found


def introductions() -> list[Entry]:
    """The diagrams that introductions to the field begin with."""
    return [
        Entry(
            "attention",
            "Attention",
            "Query, key and value; scores, scale, softmax (the pattern), weighted sum (the "
            "context). Vaswani et al. 2017, figure 2.",
            attention,
        ),
        Entry(
            "encoder-block",
            "Encoder block",
            "Attention and a feed-forward network, each added to the residual stream and "
            "normalised. Vaswani et al. 2017, figure 1, left.",
            encoder_block,
        ),
        Entry(
            "encoder-decoder",
            "Encoder and decoder",
            "Vaswani et al. 2017, figure 1: each of six decoder blocks attends to what the encoder "
            "read.",
            lambda: tx.draw(model(BOTH)),
        ),
        Entry(
            "pipeline",
            "Pretraining, fine-tuning, prompting",
            "Corpus, pretraining, language model; another corpus, fine-tuning, task model; prompt, "
            "model, output. From the folders of two runs, with their figures.",
            pipeline,
            False,
        ),
    ]


def families() -> list[Entry]:
    """Models of ours and of users."""
    return [
        Entry("gpt", "GPT", "Radford et al. 2019.", lambda: tx.draw(model(GPT))),
        Entry(
            "gpt-open",
            "GPT, opened",
            "`depth=3`: down to what attention computes.",
            lambda: tx.draw(model(GPT), depth=3),
        ),
        Entry(
            "bert",
            "BERT with both heads of pretraining",
            "Devlin et al. 2019: `tx.draw(model.both, ...)` draws any method of a model.",
            lambda: tx.draw(model(BERT).both, inputs=model(BERT).example()),
        ),
        Entry(
            "t5",
            "T5",
            "Raffel et al. 2020: norms first, relative positions that all blocks share.",
            lambda: tx.draw(M.abstract("t5-base")),
        ),
        Entry(
            "llama",
            "Llama, opened",
            "Touvron et al. 2023: rotary positions, grouped heads, gated units.",
            lambda: tx.draw(model(LLAMA), depth=2),
        ),
        Entry(
            "mt-nlg",
            "MT-NLG 530B",
            "Smith et al. 2022, by shape alone: `tx.models.abstract` takes no memory.",
            lambda: tx.draw(M.abstract("mt-nlg-530b"), overlay="flops"),
        ),
        Entry(
            "mlp",
            "A multilayer perceptron",
            "[examples/perceptron.py](examples/perceptron.py).",
            perceptron,
        ),
        Entry(
            "mixer",
            "A model of a user's own",
            "An MLP-Mixer over tokens: [examples/mixer.py](examples/mixer.py).",
            mixer,
        ),
    ]


def overlays() -> list[Entry]:
    """Figures in boxes, languages, and a graph without modules."""
    return [
        Entry(
            "parameters",
            "Parameters",
            "GPT-2: where its weights are.",
            lambda: tx.draw(M.abstract("gpt2"), overlay="parameters"),
        ),
        Entry(
            "time",
            "Measured time",
            "Of a forward pass, warm where it is spent.",
            lambda: tx.draw(model(GPT), overlay="time", depth=2),
            False,
        ),
        Entry(
            "statistics",
            "Activations",
            "Mean, deviation and greatest magnitude of what each box gives out.",
            lambda: tx.draw(model(GPT), inputs=model(GPT).example(), overlay="statistics"),
            False,
        ),
        Entry(
            "maps",
            "Attention weights of a real sentence",
            "A model trained for some seconds reads `The statement is true`.",
            trained_maps,
            False,
        ),
        Entry(
            "gradients",
            "Norms of gradients",
            "Of the loss, at parameters and activations.",
            lambda: tx.draw(
                model(GPT),
                inputs=(*model(GPT).example(), *model(GPT).example()),
                overlay="gradients",
            ),
            False,
        ),
        Entry(
            "nan",
            "The first NaN",
            "Planted in one weight, found where it arises.",
            planted_nan,
            False,
        ),
        Entry(
            "chinese",
            "Chinese, dark",
            '`lang="zh", theme="dark"`.',
            lambda: tx.draw(model(BOTH), lang="zh", theme="dark"),
        ),
        Entry(
            "curvature",
            "A gradient of a gradient",
            "Of a function of three numbers, operation by operation.",
            curvature,
        ),
    ]


def planted_circuit() -> Any:
    """What a circuit is: two heads that continue a pattern, written by hand and found again."""
    truth = reasoning.planted_induction()
    found = reasoning.discover_circuit(truth.model, truth.clean, truth.corrupted, truth.metric)
    return reasoning.draw_circuit(found, lang="zh")


def patched_heads() -> Any:
    """The same two heads, found by patching."""
    truth = reasoning.planted_induction()
    inputs = (truth.model, truth.clean, truth.corrupted, truth.metric)
    return reasoning.activation_patching(*inputs, per="head").picture(lang="zh")


def chinese() -> list[Entry]:
    """What docs/concepts.zh.md shows."""
    made: dict[str, tuple[str, Callable[[], Any]]] = {
        "attention": ("Attention", lambda: attention("zh")),
        "bert": (
            "An encoder with both heads of pretraining",
            lambda: tx.draw(model(BERT).both, inputs=model(BERT).example(), lang="zh"),
        ),
        "gpt": ("A decoder", lambda: tx.draw(model(GPT), lang="zh")),
        "encoder-decoder": ("Encoder and decoder", lambda: tx.draw(model(BOTH), lang="zh")),
        "llama": ("Rotary positions", lambda: tx.draw(model(LLAMA), depth=3, lang="zh")),
        "pipeline": ("Pretraining, fine-tuning, prompting", lambda: pipeline("zh")),
        "circuit": ("A circuit that was written by hand, found again", planted_circuit),
        "patching": ("Activation patching of the same model", patched_heads),
    }
    measured = ("pipeline", "circuit", "patching")
    return [
        Entry(f"zh-{name}", f"{title}, in Chinese", "", make, name not in measured)
        for name, (title, make) in made.items()
    ]


CHINESE = "The words of the field in Chinese"


def entries() -> dict[str, list[Entry]]:
    """Sections of the page."""
    return {
        "The field's introductions": introductions(),
        "Models": families(),
        "Overlays, languages, and graphs without modules": overlays(),
        CHINESE: chinese(),
        "From the graph to its steps and memory": views(),
    }


def digest_of(drawing: Any) -> str:
    return hashlib.sha256(drawing.dot.encode()).hexdigest()


HEADS = (
    """# Gallery

Every picture is drawn from the graph that runs, by `python docs/make_gallery.py`; a click shows it
at its full size. The same pictures come as PNG, PDF, DOT, Mermaid and as an offline page that opens
and folds, searches, and shows shapes, formulas and source lines: `tx.draw(model, "m.html")`.
[Every view](gallery-views.md) of every family has a page of its own, and the pictures in Chinese
are in [concepts](concepts.zh.md).
""",
    """# Every view of every family

What `tx.draw(model, view=...)` shows of the families in the [gallery](gallery.md), each with one
small block, and of a model of 530 billion parameters by its shape alone. A click on a picture shows
it at its full size. [How the compiler works](guides/how-the-compiler-works.md) says what is seen.
""",
)


def pages() -> dict[str, str]:
    """The text of each page by its file."""
    *first, last = (s for s in entries().items() if s[0] != CHINESE)
    return {
        name: "\n".join([head, *(line for s in shown for line in _section(*s))])
        for name, head, shown in zip(PAGES, HEADS, (first, [last]), strict=True)
    }


def _section(title: str, found: list[Entry]) -> list[str]:
    lines = [f"## {title}", ""]
    for entry in found:
        text = [entry.text, ""] if entry.text else []
        lines += [f"### {entry.title}", "", *text, _shown(entry), ""]
    return lines


def _shown(entry: Entry) -> str:
    """A picture that leads to itself, or the way to one that no page has room for."""
    path = f"gallery/{entry.name}.svg"
    head = (DOCS / path).read_text(encoding="utf-8")[:2000]
    sides = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', head)
    wide, high = map(float, sides.groups() if sides else (0, 0))
    if max(wide, high) > LARGEST:
        return f"[The picture]({path}) is {wide:,.0f} by {high:,.0f} points large."
    return f"[![{entry.title}]({path})]({path})"


def main(wanted: list[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    digests = json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}
    for entry in (e for found in entries().values() for e in found):
        if wanted and entry.name not in wanted:
            continue
        drawing = entry.make()
        (FOLDER / f"{entry.name}.svg").write_text(drawing.svg)
        if entry.pinned:
            digests[entry.name] = digest_of(drawing)
        print(entry.name, flush=True)
    DIGESTS.write_text(json.dumps(digests, indent=1, sort_keys=True) + "\n")
    for name, text in pages().items():
        (DOCS / name).write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
