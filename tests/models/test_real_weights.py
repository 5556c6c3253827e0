"""Weights that others trained, from packages: ours against Transformers on the same files."""

from __future__ import annotations

import importlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.errors import CheckpointError
from tinygrad_tx.models import write
from tinygrad_tx.models.published.gguf import read_gguf
from tinygrad_tx.models.published.llama_gguf import as_published
from tinygrad_tx.models.published.packages import package_of, verified

pytestmark = [pytest.mark.parity, pytest.mark.slow]
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

PROMPT = "Attention lets every word of a sentence look at all words before it. " * 6
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def installed(name: str) -> Path:
    try:
        return verified(package_of(name))
    except CheckpointError as error:
        if "is not installed" not in str(error):
            raise
        pytest.skip(str(error))


def sentences() -> list[str]:
    """Fifty, of 1 to 200 words."""
    words = ["the", "old", "man", "Paris", "lights", "sang", "1999", "unbelievably", "—", "über"]
    words += ["antidisestablishmentarianism", "it's", "注意", "!", "3.14"]
    rng = np.random.default_rng(0)
    lengths = np.concatenate([np.arange(1, 41), rng.integers(41, 200, 10)])
    return [" ".join(rng.choice(words, n)) for n in lengths]


@pytest.fixture(scope="module")
def minilm() -> tuple[tx.models.SentenceEncoder, Path]:
    path = installed("minilm")
    return tx.models.from_package("minilm")[0], path


def test_sentence_vectors_agree(minilm: tuple[tx.models.SentenceEncoder, Path]) -> None:
    encoder, path = minilm
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    theirs = transformers.AutoModel.from_pretrained(path).eval()
    texts = sentences()
    for start in range(0, 50, 10):
        batch = tokenizer(
            texts[start : start + 10],
            padding=True,
            truncation=True,
            max_length=encoder.longest,
            return_tensors="pt",
        )
        with torch.no_grad():
            hidden = theirs(**batch).last_hidden_state
        real = batch["attention_mask"][..., None]
        mean = (hidden * real).sum(1) / real.sum(1)
        wanted = torch.nn.functional.normalize(mean).numpy()
        found = encoder.encode(texts[start : start + 10])
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


def test_word_pieces_agree(minilm: tuple[tx.models.SentenceEncoder, Path]) -> None:
    encoder, path = minilm
    assert encoder.tokenizer is not None
    texts = sentences()
    ours, mask = encoder.tokenizer.batch(texts, 128)
    theirs = transformers.AutoTokenizer.from_pretrained(path)(
        texts, padding=True, truncation=True, max_length=128, return_tensors="np"
    )
    np.testing.assert_array_equal(ours, theirs["input_ids"])
    np.testing.assert_array_equal(mask, theirs["attention_mask"])


def test_what_means_the_same_lies_close(minilm: tuple[tx.models.SentenceEncoder, Path]) -> None:
    texts = ["A man is eating food.", "The stock market fell today."]
    others = ["Someone is having a meal.", "Shares lost value this afternoon."]
    cosines = minilm[0].similarity(texts, others)
    assert cosines[0, 0] > 0.6 > 0.2 > cosines[0, 1]
    assert cosines[1, 1] > 0.6 > 0.2 > cosines[1, 0]


@pytest.fixture(scope="module")
def smollm2() -> tuple[tx.models.Llama, Any, Path]:
    path = installed("smollm2")
    return *tx.models.from_package("smollm2"), path


@pytest.fixture(scope="module")
def their_smollm2(smollm2: tuple[tx.models.Llama, Any, Path]) -> Any:
    """The same file read by Transformers and the `gguf` package."""
    pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    path = smollm2[2]
    kind = transformers.AutoModelForCausalLM
    return kind.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()


def test_every_weight_agrees(
    smollm2: tuple[tx.models.Llama, Any, Path], their_smollm2: Any
) -> None:
    _, weights = as_published(read_gguf(smollm2[2]))
    theirs = their_smollm2.state_dict()
    assert theirs.keys() - weights.keys() <= {"lm_head.weight"}
    for name, packed in weights.items():
        np.testing.assert_array_equal(np.asarray(packed), theirs[name].numpy(), err_msg=name)


def test_logits_agree(smollm2: tuple[tx.models.Llama, Any, Path], their_smollm2: Any) -> None:
    model, tokenizer, _ = smollm2
    tokens = tokenizer.encode(PROMPT)[None, :64]
    assert tokens.shape == (1, 64)
    with torch.no_grad():
        theirs = their_smollm2(torch.tensor(tokens)).logits.numpy().astype(np.float64)
    with tx.no_grad():
        ours = tx.jit(model)(tokens).numpy()
    for t in range(64):
        error = np.linalg.norm(ours[0, t] - theirs[0, t]) / np.linalg.norm(theirs[0, t])
        assert error < 1e-4, f"place {t}: {error:.1e}"


def test_the_likeliest_text_is_theirs_and_sensible(
    smollm2: tuple[tx.models.Llama, Any, Path], their_smollm2: Any
) -> None:
    model, tokenizer, _ = smollm2
    prompt = tokenizer.chat([{"role": "user", "content": "Why is the sky blue? Explain."}])
    with torch.no_grad():
        written = their_smollm2.generate(
            torch.tensor(prompt[None]), max_new_tokens=20, do_sample=False
        ).numpy()
    new = written[0, len(prompt) :]
    assert len(new) == 20  # it has more to say
    # After each beginning of their text our likeliest token is their next one: so, one after the
    # other, we write the same.
    with tx.no_grad():
        logits = tx.jit(model)(written[:, :-1]).numpy()
    np.testing.assert_array_equal(logits[0, len(prompt) - 1 :].argmax(-1), new)
    assert "sky" in tokenizer.decode(new)
    assert list(model.generate(prompt, 20, temperature=0)) == new.tolist()


def test_it_knows_a_capital(smollm2: tuple[tx.models.Llama, Any, Path]) -> None:
    model, tokenizer, _ = smollm2
    prompt = tokenizer.chat(QUESTION).tolist()
    answer = write(model, tokenizer, prompt, 10, temperature=0, stop_tokens=[tokenizer.eos])
    assert "".join(answer) == "The capital of France is Paris."


def test_byte_pairs_agree_with_merging_by_hand(smollm2: tuple[tx.models.Llama, Any, Path]) -> None:
    """Sennrich et al. 2016, algorithm 1, on the pieces that llama.cpp's "smollm" rule cuts."""
    regex = pytest.importorskip("regex")
    _, tokenizer, path = smollm2
    metadata = read_gguf(path).metadata
    words = {w: i for i, w in enumerate(metadata["tokenizer.ggml.tokens"])}
    ranks = {tuple(m.split(" ")): i for i, m in enumerate(metadata["tokenizer.ggml.merges"])}
    cut = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    slow = importlib.import_module("transformers.convert_slow_tokenizer")
    bytes_of = slow.bytes_to_unicode()

    def merged(piece: str) -> list[int]:
        parts = [bytes_of[b] for b in piece.encode()]
        while True:
            pairs = [ranks.get(p, len(ranks)) for p in pairwise(parts)]
            if not pairs or (best := min(pairs)) == len(ranks):
                return [words[p] for p in parts]
            at = pairs.index(best)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]

    texts = [
        *sentences(),
        "def f(x):\n    return x ** 12 + 3.50  # it's\n\n\n",
        "a  1  b\t\t2 ",
        PROMPT,
    ]
    for text in texts:
        pieces = [p for n in regex.split(r"(\p{N})", text) if n for p in regex.findall(cut, n)]
        wanted = [token for piece in pieces for token in merged(piece)]
        assert tokenizer.encode(text).tolist() == wanted, text
