"""Our models against Hugging Face Transformers: same weights, same logits, loss and gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx.models.published.entry import theirs_of

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-4
few = settings(max_examples=6, deadline=None)
seeds = st.integers(0, 1000)


def shaken(theirs: Any, seed: int) -> Any:
    """Weights far from the start, so that nothing stays in its linear range; no dropout."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(torch.randn(p.shape, generator=generator) * 0.15)
    return theirs.eval()


def moved(theirs: Any, kind: Any, folder: Path) -> Any:
    """The same model here, by way of its published folder."""
    theirs.save_pretrained(folder)
    return kind.from_pretrained(folder).eval()


def close(ours: Any, theirs: Any, what: str) -> None:
    a, b = np.asarray(ours, np.float64), theirs.detach().numpy().astype(np.float64)
    assert a.shape == b.shape, what
    error = np.linalg.norm(a - b) / np.linalg.norm(b)
    assert error < TOLERANCE, f"{what}: {error:.1e}"


def check_gradients(ours: Any, theirs: Any, own_loss: tx.Tensor, their_loss: Any) -> None:
    """Every gradient, under the published names."""
    assert own_loss.item() == pytest.approx(their_loss.item(), rel=1e-5)
    own_loss.backward()
    their_loss.backward()
    grads = {n: p.grad.numpy() for n, p in ours.named_parameters() if p.grad is not None}
    family = ours.family
    entries = [e for e in family.entries(ours.config) if e.ours in grads]
    assert entries
    found = theirs_of(entries, grads)
    named = dict(theirs.named_parameters())
    checked, largest = 0, max(np.linalg.norm(p.grad.numpy()) for p in named.values())
    for name, grad in found.items():
        full = next(n for n in (*(p + name for p in family.prefixes), name) if n in named)
        truth = named[full].grad
        # Below that it is rounding: a softmax over one key, or the bias of all keys.
        if np.linalg.norm(truth.numpy()) > 1e-4 * largest:
            close(grad, truth, name)
            checked += 1
    assert checked > 0.5 * len(found)


@few
@given(
    layers=st.integers(1, 3),
    heads=st.sampled_from([1, 2, 4]),
    head_width=st.sampled_from([4, 8, 16]),
    time=st.integers(2, 24),
    seed=seeds,
)
def test_gpt2(
    layers: int, heads: int, head_width: int, time: int, seed: int, tmp_path_factory: Any
) -> None:
    config = transformers.GPT2Config(
        vocab_size=61,
        n_positions=24,
        n_layer=layers,
        n_head=heads,
        n_embd=heads * head_width,
    )
    theirs = shaken(transformers.GPT2LMHeadModel(config), seed)
    ours = moved(theirs, tx.models.GPT, tmp_path_factory.mktemp("gpt2"))
    tokens = np.random.default_rng(seed).integers(0, 61, (2, time + 1))
    ids, labels = torch.tensor(tokens[:, :-1]), torch.tensor(tokens[:, 1:])
    logits = theirs(ids).logits
    close(ours(tokens[:, :-1]).numpy(), logits, "logits")
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    check_gradients(ours, theirs, ours.loss(tokens[:, :-1], tokens[:, 1:]), loss)


@few
@given(
    layers=st.integers(1, 3),
    kv_heads=st.sampled_from([1, 2]),
    times=st.sampled_from([1, 3]),
    head_width=st.sampled_from([8, 16]),
    time=st.integers(2, 40),
    tied=st.booleans(),
    seed=seeds,
)
def test_llama(
    layers: int,
    kv_heads: int,
    times: int,
    head_width: int,
    time: int,
    tied: bool,
    seed: int,
    tmp_path_factory: Any,
) -> None:
    config = transformers.LlamaConfig(
        vocab_size=61,
        max_position_embeddings=40,
        num_hidden_layers=layers,
        num_attention_heads=kv_heads * times,
        num_key_value_heads=kv_heads,
        hidden_size=24,
        head_dim=head_width,
        intermediate_size=40,
        tie_word_embeddings=tied,
    )
    theirs = shaken(transformers.LlamaForCausalLM(config), seed)
    ours = moved(theirs, tx.models.Llama, tmp_path_factory.mktemp("llama"))
    tokens = np.random.default_rng(seed).integers(0, 61, (2, time + 1))
    logits = theirs(torch.tensor(tokens[:, :-1])).logits
    close(ours(tokens[:, :-1]).numpy(), logits, "logits")
    labels = torch.tensor(tokens[:, 1:]).flatten()
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels)
    check_gradients(ours, theirs, ours.loss(tokens[:, :-1], tokens[:, 1:]), loss)


@few
@given(layers=st.integers(1, 3), heads=st.sampled_from([1, 3]), time=st.integers(2, 20), seed=seeds)
def test_bert(layers: int, heads: int, time: int, seed: int, tmp_path_factory: Any) -> None:
    config = transformers.BertConfig(
        vocab_size=61,
        max_position_embeddings=20,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_size=24,
        intermediate_size=40,
    )
    theirs = shaken(transformers.BertForPreTraining(config), seed)
    ours = moved(theirs, tx.models.BERT, tmp_path_factory.mktemp("bert"))
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, 61, (3, time))  # theirs takes no gradient of token 0, its padding
    segments = rng.integers(0, 2, (3, time))
    mask = np.arange(time) < rng.integers(1, time + 1, (3, 1))
    words = np.where(rng.random((3, time)) < 0.5, tokens, -100)
    words[:, 0] = tokens[:, 0]
    following = rng.integers(0, 2, 3)
    result = theirs(
        torch.tensor(tokens),
        token_type_ids=torch.tensor(segments),
        attention_mask=torch.tensor(mask.astype(np.int64)),
        labels=torch.tensor(words),
        next_sentence_label=torch.tensor(following),
    )
    logits, seen = ours.both(tokens, segments, mask)
    close(logits.numpy(), result.prediction_logits, "masked words")
    close(seen.numpy(), result.seq_relationship_logits, "next sentence")
    check_gradients(ours, theirs, ours.loss(tokens, words, following, segments, mask), result.loss)


@few
@given(
    layers=st.integers(1, 3),
    more=st.integers(0, 1),
    gated=st.booleans(),
    source=st.integers(4, 40),
    target=st.integers(4, 30),
    seed=seeds,
)
def test_t5(
    layers: int,
    more: int,
    gated: bool,
    source: int,
    target: int,
    seed: int,
    tmp_path_factory: Any,
) -> None:
    config = transformers.T5Config(
        vocab_size=61,
        n_positions=40,
        num_layers=layers,
        num_decoder_layers=layers + more,
        num_heads=3,
        d_model=24,
        d_kv=8,
        d_ff=40,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=16,
        feed_forward_proj="gated-gelu" if gated else "relu",
        tie_word_embeddings=not gated,
        decoder_start_token_id=0,
    )
    whole = transformers.T5ForConditionalGeneration(config)
    if gated:  # as published; today's class ties whatever its settings say
        whole.lm_head.weight = torch.nn.Parameter(torch.randn(61, 24))
    theirs = shaken(whole, seed)
    ours = moved(theirs, tx.models.EncoderDecoder, tmp_path_factory.mktemp("t5"))
    rng = np.random.default_rng(seed)
    tokens, targets = rng.integers(1, 61, (2, source)), rng.integers(1, 61, (2, target))
    mask = np.arange(source) < rng.integers(1, source + 1, (2, 1))
    given_target = np.concatenate([np.zeros((2, 1), np.int64), targets[:, :-1]], 1)
    result = theirs(
        torch.tensor(tokens),
        attention_mask=torch.tensor(mask.astype(np.int64)),
        labels=torch.tensor(targets),
    )
    close(ours(tokens, given_target, mask).numpy(), result.logits, "logits")
    check_gradients(ours, theirs, ours.loss(tokens, given_target, targets, mask), result.loss)
