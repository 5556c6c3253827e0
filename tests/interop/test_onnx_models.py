"""Every family as ONNX: onnxruntime agrees, and what comes back trains like what went out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.errors import OnnxError
from tinygrad_tx.interop.onnx_check import compare_onnx, run_onnx
from tinygrad_tx.models import (
    BERT,
    GPT,
    BERTClassifier,
    BERTConfig,
    BERTReader,
    BERTTagger,
    EncoderDecoder,
    EncoderDecoderConfig,
    GPTConfig,
    Llama,
    LlamaConfig,
    SentenceEncoder,
    save_onnx,
)
from tinygrad_tx.models.to_onnx import part_of

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.parity

VOCAB, CONTEXT = 31, 16
BERT_SIZES = BERTConfig(VOCAB, CONTEXT, 2, 2, 8)
BOUND = 1e-5  # of the largest logit or state


def encoder_decoder(form: str) -> EncoderDecoder:
    return EncoderDecoder(EncoderDecoderConfig(VOCAB, CONTEXT, 2, 2, 2, 8, form=form))


MODELS = {
    "gpt": lambda: GPT(GPTConfig(VOCAB, CONTEXT, 2, 2, 8)),
    "gpt tanh": lambda: GPT(GPTConfig(VOCAB, CONTEXT, 1, 2, 8, activation="gelu_tanh")),
    "llama": lambda: Llama(LlamaConfig(VOCAB, CONTEXT, 2, 4, 16, kv_heads=2)),
    "llama tied": lambda: Llama(LlamaConfig(VOCAB, CONTEXT, 1, 2, 8, tied=True)),
    "bert": lambda: BERT(BERT_SIZES),
    "classifier": lambda: BERTClassifier(BERT_SIZES, 3),
    "tagger": lambda: BERTTagger(BERT_SIZES, 3),
    "reader": lambda: BERTReader(BERT_SIZES),
    "sentences": lambda: SentenceEncoder(BERT_SIZES),
    "transformer": lambda: encoder_decoder("transformer"),
    "t5": lambda: encoder_decoder("t5"),
    "t5.1.1": lambda: encoder_decoder("t5.1.1"),
}
PARTS = [
    *((name, "whole") for name in MODELS),
    ("bert", "both"),
    *((name, "step") for name in MODELS if name.startswith(("gpt", "llama"))),
    *((name, side) for name in ("transformer", "t5", "t5.1.1") for side in ("encoder", "decoder")),
]


def shapes_of(inputs: Sequence[Any]) -> list[tuple[int, ...]]:
    return [np.shape(i) for i in inputs]


@pytest.mark.parametrize("opset", [18, 23])
@pytest.mark.parametrize(("name", "part"), PARTS, ids=[f"{n}-{p}" for n, p in PARTS])
def test_every_part_of_every_family_agrees(
    name: str, part: str, opset: int, tmp_path: Path
) -> None:
    model = MODELS[name]()
    made = save_onnx(model, tmp_path / "m.onnx", part, opset=opset)
    assert {"batch"} <= set(made.open_sizes)
    model.eval()
    found = part_of(model, part)
    for seed in range(3):
        inputs = found.examples(VOCAB, seed)
        assert compare_onnx(made.path, found.function, inputs) < BOUND
        one = [i[:1] for i in inputs]  # batch 1, which no recording has seen
        assert shapes_of(one) != shapes_of(inputs)
        assert compare_onnx(made.path, found.function, one) < BOUND


@pytest.mark.parametrize("name", ["gpt", "llama", "bert", "sentences", "t5"])
def test_the_shortest_and_the_longest_text_agree(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    made = save_onnx(model, tmp_path / "m.onnx")
    model.eval()
    found = part_of(model, "whole")
    rng = np.random.default_rng(1)
    for batch, time in ((1, 1), (3, CONTEXT)):
        inputs = [
            np.ones((batch, time), bool)
            if i.dtype == bool
            else rng.integers(0, 2, (batch, time), np.int64)
            for i in found.inputs
        ]
        assert compare_onnx(made.path, found.function, inputs) < BOUND


def test_a_text_of_which_nothing_is_real_agrees(tmp_path: Path) -> None:
    """A query that sees no key gets zeros here, which operators of ONNX need not give."""
    model = BERT(BERT_SIZES)
    made = save_onnx(model, tmp_path / "m.onnx")
    tokens, mask = np.ones((2, 5), np.int64), np.ones((2, 5), bool)
    mask[1] = False
    assert compare_onnx(made.path, model.eval(), (tokens, tokens * 0, mask)) < BOUND


def test_fixed_sizes_are_fixed(tmp_path: Path) -> None:
    model = MODELS["gpt"]()
    made = save_onnx(model, tmp_path / "m.onnx", fixed=True)
    assert (made.open_sizes, made.recordings) == ((), 1)
    assert compare_onnx(made.path, model.eval(), model.example()) < BOUND
    with pytest.raises(OnnxError, match="onnxruntime"):
        run_onnx(made.path, [np.zeros((2, 5), np.int64)])


@pytest.mark.parametrize("name", ["gpt", "llama"])
def test_writing_step_by_step_gives_the_logits_of_the_whole_text(name: str, tmp_path: Path) -> None:
    """Two texts of different lengths, token by token, against the model without a cache."""
    model = MODELS[name]()
    made = save_onnx(model, tmp_path / "m.onnx", "step")
    model.eval()
    rng = np.random.default_rng(2)
    texts = [list(rng.integers(0, VOCAB, n)) for n in (3, 5)]
    window = np.array([texts[0] + [0, 0], texts[1]], np.int64)
    heads, width = (int(str(d)) for d in (made.inputs["past.0.keys"][i] for i in (1, 3)))
    past = [np.zeros((2, heads, 12, width), np.float32) for n in made.inputs if "past" in n]
    _, *past = run_onnx(made.path, [window, np.zeros(2, np.int64), *past])
    for _ in range(5):
        lengths = np.array([len(t) for t in texts])
        new = rng.integers(0, VOCAB, (2, 1))
        logits, *past = run_onnx(made.path, [new, lengths, *past])
        for text, token, row in zip(texts, new, logits, strict=True):
            text.append(int(token[0]))
            truth = model(np.array([text])).numpy()[0, -1]
            np.testing.assert_allclose(row[0], truth, rtol=0, atol=BOUND * abs(truth).max())


@pytest.mark.parametrize("name", MODELS)
def test_what_comes_back_has_the_same_values_names_and_gradients(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    rng = np.random.default_rng(3)
    for parameter in model.parameters():  # as they start, biases and norms tell nothing
        noise = rng.normal(0, 0.2, parameter.shape).astype(np.float32)
        parameter.assign_(parameter + noise)
    made = save_onnx(model, tmp_path / "m.onnx")
    back = tx.interop.import_onnx(made.path)
    model.eval()
    inputs = part_of(model, "whole").examples(VOCAB)
    wanted, found = model(*inputs), back(*inputs)
    np.testing.assert_allclose(
        found.numpy(), wanted.numpy(), rtol=0, atol=1e-6 * abs(wanted.numpy()).max()
    )
    weights = rng.normal(size=wanted.shape).astype(np.float32)
    for result in (wanted, found):
        (result * weights).sum().backward()
    read = {n: p for n, p in model.named_parameters() if p.grad is not None}
    again = dict(back.named_parameters())
    assert again.keys() == read.keys()
    largest = max(float(abs(p.grad.numpy()).max()) for p in read.values())
    for path, parameter in read.items():
        np.testing.assert_allclose(
            again[path].grad.numpy(), parameter.grad.numpy(), rtol=0, atol=2e-5 * largest
        )


def test_a_model_without_the_part_says_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(OnnxError, match="a BERT has no part 'step'; it has whole, both"):
        save_onnx(MODELS["bert"](), tmp_path / "m.onnx", "step")
    with pytest.raises(OnnxError, match="a BERT keeps no cache"):
        tx.interop.export_decoder(MODELS["bert"](), tmp_path / "m.onnx")
    with pytest.raises(OnnxError, match=r"gives no example.*export_onnx with inputs"):
        save_onnx(tx.nn.LayerNorm(3), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_model_by_shape_alone_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(tx.errors.GraphError, match="has a shape and no values"):
        save_onnx(tx.models.abstract("gpt2"), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []
