"""Ground truth for circuits: GPTs whose weights are written by hand, and whose circuit is known.

A stream of `width` numbers holds width/2 orthonormal features, each a difference of two numbers, so
that the mean is 0. One of them, the ballast, is large and the same everywhere: it fixes the scale
of every norm, whose weights undo it, so that a norm is the identity but for about 1 in 10,000.
Besides the circuit there are heads and feed-forwards with random weights that read everything and
write what nothing reads: a method that finds them has found what does nothing.
After Lindner et al. 2023 (Tracr): models compiled from a program, to test what explains them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_tx.models.gpt import GPT, GPTConfig
from tinygrad_tx.reasoning.circuits.metric import LogitDifference
from tinygrad_tx.reasoning.circuits.unfolded import Edge

__all__ = ["PLANTED", "Planted", "planted_copy", "planted_gate", "planted_induction"]

Array = np.ndarray[Any, Any]

BALLAST = 100.0
SHARP = 12.0
"""Score of what a head looks for; the weight of all else together is below 1e-4."""


@dataclass(frozen=True)
class Planted:
    """A model, prompts (prompts, time) that its circuit tells apart, and the circuit's edges: those
    that change the metric when they carry what their sender sends on the corrupted prompt."""

    name: str
    model: GPT
    clean: Array
    corrupted: Array
    metric: LogitDifference
    edges: frozenset[Edge]


@dataclass
class _Stream:
    """Where the features stand, and the weights that are being written, by path of parameter."""

    config: GPTConfig
    spaces: Mapping[str, int]
    """Name of each space and how many features it has."""
    rng: np.random.Generator
    weights: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        c = self.config
        sizes = {"ballast": 1, **self.spaces}
        assert sum(sizes.values()) + 4 <= c.width // 2, "no room for what nothing reads"
        basis = np.zeros((c.width // 2, c.width))
        places = np.arange(c.width // 2)
        basis[places, 2 * places], basis[places, 2 * places + 1] = 0.5**0.5, -(0.5**0.5)
        ends = np.cumsum([0, *sizes.values()])
        self.basis = {n: basis[a:b] for n, a, b in zip(sizes, ends, ends[1:], strict=False)}
        self.spare = basis[ends[-1] :]
        model = GPT(c)
        gain = BALLAST / c.width**0.5
        for path, value in model.state_dict().items():
            is_gain = path.endswith("norm.weight")
            self.weights[path] = np.full(value.shape, gain if is_gain else 0.0)
        # Not in the embedding, which is the weights of the logits too: large logits are rough ones.
        self.weights["position.weight"] += BALLAST * self.basis["ballast"] + self.basis["place"]
        self.weights["embedding.weight"] += self.basis["token"]
        for layer in range(c.layers):
            for head in range(c.heads):
                self.distract(layer, head)
            self.distract_feed_forward(layer)

    def head(
        self, layer: int, head: int, query: Array, key: Array, value: Array, out: Array
    ) -> None:
        """query, key, value (features x width)^T maps of the stream: (width, n <= head width)."""
        c, path = self.config, f"blocks.{layer}.attention"
        wide = c.width // c.heads
        for part, matrix in enumerate((query * SHARP * wide**0.5, key, value)):
            first = (part * c.heads + head) * wide
            self.weights[f"{path}.qkv.weight"][:, first : first + wide] = 0
            self.weights[f"{path}.qkv.weight"][:, first : first + matrix.shape[1]] = matrix
        rows = slice(head * wide, (head + 1) * wide)
        self.weights[f"{path}.projection.weight"][rows] = 0
        self.weights[f"{path}.projection.weight"][rows][: len(out)] = out

    def distract(self, layer: int, head: int) -> None:
        """Random: it reads all features but the ballast, and writes into spare ones."""
        c = self.config
        wide = c.width // c.heads
        all_read = np.concatenate([b for n, b in self.basis.items() if n != "ballast"])
        read = [self._random(all_read, wide) for _ in range(3)]
        out = self._random(self.spare, wide).T / (wide * len(self.spare)) ** 0.5
        self.head(layer, head, read[0] / SHARP, read[1], read[2], out)

    def distract_feed_forward(self, layer: int) -> None:
        units = 4 * self.config.width
        every = np.concatenate([*(b for n, b in self.basis.items() if n != "ballast"), self.spare])
        path = f"blocks.{layer}.feed_forward"
        down = self._random(self.spare, units).T / (units * len(self.spare)) ** 0.5
        self.weights[f"{path}.up.weight"][:] = self._random(every, units)
        self.weights[f"{path}.down.weight"][:] = down

    def model(self) -> GPT:
        made = GPT(self.config)
        made.load_state_dict(self.weights)
        made.eval()
        return made

    def _random(self, basis: Array, columns: int) -> Array:
        """(width, columns): a random map of these features."""
        return np.asarray(basis.T @ self.rng.normal(size=(len(basis), columns)))


def planted_copy(
    prompts: int = 16, seed: int = 0, *, layers: int = 2, heads: int = 4, context: int = 8
) -> Planted:
    """One head looks from everywhere at the token at position 1, and copies it.

    True edges: tokens -> value of head 1 of block 0 (or 0, if there is one) -> logits.
    """
    vocab, width = 10, max(16 * heads, 64)
    config = GPTConfig(vocab, context, layers, heads, width, activation="relu")
    rng = np.random.default_rng(seed)
    stream = _Stream(config, {"token": vocab, "place": context}, rng)
    token, place, head = stream.basis["token"], stream.basis["place"], min(1, heads - 1)
    everywhere = place.T @ np.ones((context, 1))
    stream.head(0, head, everywhere, place[1:2].T, token.T, 4 * token)
    clean, corrupted = (rng.integers(2, vocab, (prompts, context)) for _ in range(2))
    clean[:, 0], corrupted[:, 0] = 0, 0
    clean[:, 1], corrupted[:, 1] = _pairs(rng, prompts, np.arange(2, vocab))
    clean[:, -1] = corrupted[:, -1] = 1
    metric = LogitDifference(clean[:, 1], corrupted[:, 1])
    name = f"a0.h{head}"
    edges = frozenset({("tokens", f"{name}.value"), (name, "logits")})
    return Planted("copy", stream.model(), clean, corrupted, metric, edges)


def planted_induction(prompts: int = 16, seed: int = 0, *, heads: int = 4) -> Planted:
    """A previous-token head (block 0) tells an induction head (block 1) what stood before a token:
    A B ... A gives B (Elhage et al. 2021; Olsson et al. 2022).

    True edges: tokens -> a0.h1.value, a0.h1 -> a1.h2.key, tokens -> a1.h2.query and a1.h2.value,
    a1.h2 -> logits. Corrupted prompts are other sequences of the same kind.
    """
    vocab, context = 14, 8
    config = GPTConfig(vocab, context, 2, heads, 24 * heads, activation="relu")
    rng = np.random.default_rng(seed)
    stream = _Stream(config, {"token": vocab, "place": context, "before": vocab}, rng)
    token, place, before = (stream.basis[n] for n in ("token", "place", "before"))
    shifted = np.zeros_like(place)
    shifted[:-1] = place[1:]  # the query at place i + 1 is the key of place i
    stream.head(0, 1, shifted.T, place.T, token.T, before)
    stream.head(1, 2 % heads, token.T, before.T, token.T, 4 * token)
    clean, corrupted, right, wrong = _sequences(rng, prompts, vocab, context)
    last = f"a1.h{2 % heads}"
    edges = {("tokens", "a0.h1.value"), ("a0.h1", f"{last}.key"), (last, "logits")}
    edges |= {("tokens", f"{last}.query"), ("tokens", f"{last}.value")}
    metric = LogitDifference(right, wrong)
    return Planted("induction", stream.model(), clean, corrupted, metric, frozenset(edges))


def planted_gate(
    prompts: int = 16, seed: int = 0, *, layers: int = 2, heads: int = 4, context: int = 6
) -> Planted:
    """Two heads fetch a bit each from positions 0 and 1, and the last feed-forward gives their
    exclusive or.

    True edges: tokens -> a0.h0.value and a0.h1.value, both heads -> f, f -> logits. In a corrupted
    prompt one of the bits is the other one.
    """
    vocab = 8  # the bits 0 and 1 at position 0, 2 and 3 at position 1; answers 4 and 5; fillers
    config = GPTConfig(vocab, context, layers, heads, max(16 * heads, 64), activation="relu")
    rng = np.random.default_rng(seed)
    stream = _Stream(config, {"token": vocab, "place": context, "bits": 2}, rng)
    token, place, bits = (stream.basis[n] for n in ("token", "place", "bits"))
    everywhere = place.T @ np.ones((context, 1))
    for i in range(2):
        stream.head(0, i, everywhere, place[i : i + 1].T, token[2 * i + 1 :][:1].T, bits[i : i + 1])
    # xor(a, b) = relu(a + b) - 2 relu(a + b - 1)
    path, both = f"blocks.{layers - 1}.feed_forward", bits.sum(0)
    for name in ("up.weight", "down.weight"):
        stream.weights[f"{path}.{name}"][:] = 0
    stream.weights[f"{path}.up.weight"][:, :2] = both[:, None]
    stream.weights[f"{path}.up.bias"][1] = -1
    answer = 4 * (token[5] - token[4])
    stream.weights[f"{path}.down.weight"][:2] = answer, -2 * answer
    stream.weights[f"{path}.down.bias"][:] = -answer / 2
    clean, corrupted = (rng.integers(6, vocab, (prompts, context)) for _ in range(2))
    a, b = rng.integers(0, 2, (2, prompts))
    flipped = np.arange(prompts) % 2
    clean[:, 0], clean[:, 1] = a, 2 + b
    corrupted[:, 0], corrupted[:, 1] = a ^ (flipped == 0), 2 + (b ^ (flipped == 1))
    clean[:, -1] = corrupted[:, -1] = 6
    metric = LogitDifference(4 + (a ^ b), 5 - (a ^ b))
    last = f"f{layers - 1}"
    edges = {("tokens", f"a0.h{i}.value") for i in range(2)} | {(last, "logits")}
    edges |= {(f"a0.h{i}", last) for i in range(2)}
    return Planted("gate", stream.model(), clean, corrupted, metric, frozenset(edges))


PLANTED: Mapping[str, Callable[..., Planted]] = {
    "copy": planted_copy,
    "induction": planted_induction,
    "gate": planted_gate,
}


def _pairs(rng: np.random.Generator, count: int, among: Array) -> tuple[Array, Array]:
    """Two tokens that differ, for each prompt."""
    found = np.array([rng.choice(among, 2, replace=False) for _ in range(count)])
    return found[:, 0], found[:, 1]


def _sequences(
    rng: np.random.Generator, count: int, vocab: int, context: int
) -> tuple[Array, Array, Array, Array]:
    """Different tokens, the last of which stood before; two of each, and what follows in both.

    What follows in one is not the last of the other, so that nothing but the induction tells.
    """
    rows: list[tuple[Array, Array, int, int]] = []
    while len(rows) < count:
        both = [rng.permutation(vocab)[:context] for _ in range(2)]
        # Not the first: it has no token before it, and its previous-token head sees itself.
        places = rng.integers(1, context - 2, 2)
        for tokens, at in zip(both, places, strict=True):
            tokens[-1] = tokens[at]
        right, wrong = (int(t[at + 1]) for t, at in zip(both, places, strict=True))
        if right != wrong and not {right, wrong} & {int(t[-1]) for t in both}:
            rows.append((both[0], both[1], right, wrong))
    columns = [np.array(c) for c in zip(*rows, strict=True)]
    return columns[0], columns[1], columns[2], columns[3]
