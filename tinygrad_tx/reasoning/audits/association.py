"""Association tests on embeddings: whose vectors lie nearer to which attributes'.

s(w, A, B) = mean_a cos(w, a) - mean_b cos(w, b)
WEAT: d = (mean_x s(x) - mean_y s(y)) / std_{w in X and Y} s(w)     Caliskan et al. 2017
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.models import BERT
from tinygrad_tx.prompt.score import frame_tokens
from tinygrad_tx.prompt.template import Encodes
from tinygrad_tx.reasoning.audits.audit import Effect
from tinygrad_tx.reasoning.audits.statistics import difference_by_permutation, mean_of_clusters
from tinygrad_tx.tasks.task import Figure
from tinygrad_tx.tensor import no_grad

__all__ = ["Association", "Leaning", "hidden_means", "weat", "word_vectors"]

Array = np.ndarray[Any, Any]
Embed = Callable[[Any, Sequence[str]], Array]
"""Vectors (texts, width) of texts by a model."""
WORD = "{word}"
LEAST = 5
"""Words in each set that an interval needs."""


def encoded_texts(model: Any, texts: Sequence[str]) -> Array:
    """By the model's own `encode`, as of a `SentenceEncoder`. Errors: DataError."""
    if not hasattr(model, "encode"):
        what = f"{type(model).__name__} has no method encode(texts)"
        remedy = "give embed=hidden_means(tokenizer) or word_vectors(tokenizer)"
        raise DataError(explain("Association", what, remedy=remedy))
    return np.asarray(model.encode(list(texts)), np.float64)


def word_vectors(tokenizer: Encodes) -> Embed:
    """The rows of the model's embedding, without context; the mean where a word is several."""

    def embed(model: Any, texts: Sequence[str]) -> Array:
        inner = model.encoder if isinstance(model, BERT) else model
        rows = np.asarray(inner.embedding.weight.numpy(), np.float64)
        return np.stack([rows[_tokens(tokenizer, text)].mean(0) for text in texts])

    return embed


def hidden_means(tokenizer: Encodes) -> Embed:
    """The mean over tokens of the last hidden states, of a causal model or of BERT."""

    def embed(model: Any, texts: Sequence[str]) -> Array:
        found = []
        with no_grad():
            for text in texts:
                ids = _tokens(tokenizer, text)
                if isinstance(model, BERT):
                    cls, sep, _, _ = frame_tokens(tokenizer)
                    states = model.encoder(np.array([[cls, *ids, sep]]))[0, 1:-1]
                else:
                    states = model.hidden(np.array([ids]))[0]
                found.append(states.mean(0).numpy().astype(np.float64))
        return np.stack(found)

    return embed


def _tokens(tokenizer: Encodes, text: str) -> list[int]:
    ids = [int(t) for t in tokenizer.encode(text)]
    if not ids:
        raise DataError(explain("Association", f"the tokenizer has no tokens for {text!r}"))
    return ids


def weat(x: Array, y: Array, a: Array, b: Array) -> float:
    """The effect size d of vectors (words, width): targets x, y; attributes a, b. -2 to 2.

    Errors: DataError for fewer than two targets in all, or for targets without any spread.
    """
    return _effect_size(_associations(np.concatenate([x, y]), a, b), len(x))


def _associations(words: Array, a: Array, b: Array) -> Array:
    """s(w, A, B): (words,)."""
    w, a, b = (
        v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-30) for v in (words, a, b)
    )
    found: Array = (w @ a.T).mean(1) - (w @ b.T).mean(1)
    return found


def _effect_size(s: Array, first: int) -> float:
    spread = float(s.std(ddof=1)) if len(s) > 1 else 0.0
    if not 0 < first < len(s) or not spread > 0:
        what = f"{first} and {len(s) - first} targets with a spread of {spread}"
        raise DataError(explain("weat", what, remedy="give several different words on each side"))
    return float((s[:first].mean() - s[first:].mean()) / spread)


@dataclass(frozen=True)
class Association:
    """A check: do targets differ in their association with attributes (WEAT; SEAT in sentences)?

    targets and attributes: two named sets of words each. templates: sentences with {word} that
    targets and attributes are put into ("{word}" alone for words); a word's vector is the mean over
    them, and `spread` has the least and largest d of one template. p: two-sided, by permutation of
    the targets. The interval draws the words of all four sets again, so that it says how d
    depends on which words were chosen; sets of fewer than five get none. d is a ratio, bounded by
    2: it says how well the sets are told apart, not how much that matters.
    Source: Caliskan et al. 2017; May et al. 2019 (sentences); Ethayarajh et al. 2019 (its limits).
    """

    label: str
    targets: Mapping[str, Sequence[str]]
    attributes: Mapping[str, Sequence[str]]
    templates: Sequence[str] = (WORD,)
    embed: Embed = encoded_texts
    seed: int = 0
    draws: int = 1000

    def __post_init__(self) -> None:
        _check_sets(self.label, self.targets, self.templates)
        _check_sets(self.label, self.attributes, self.templates)

    def __call__(self, model: Any) -> list[Effect]:
        """One effect: d. Errors: DataError."""
        sets = [
            list(words) for group in (self.targets, self.attributes) for words in group.values()
        ]
        (x, *_), (a, *_) = list(self.targets), list(self.attributes)
        name = f"{self.label}: {x} with {a}"
        vectors = [
            _split(self.embed(model, [t.replace(WORD, w) for s in sets for w in s]), sets)
            for t in self.templates
        ]  # for each template the four sets
        mean = [np.mean(several, 0) for several in zip(*vectors, strict=True)]
        count = len(sets[0]) + len(sets[1])
        if not all(np.isfinite(v).all() for v in mean):
            return [Effect(name, None, unit="d", count=count, note="a vector is not finite")]
        s = _associations(np.concatenate(mean[:2]), *mean[2:])
        first = len(sets[0])
        d = _effect_size(s, first)
        p = difference_by_permutation(s[:first], s[first:], self.seed)
        each = [weat(*v) for v in vectors]
        least = min(map(len, sets))
        figure = Figure(d, *self._interval(mean)) if least >= LEAST else None
        note = "" if figure else f"a set of {least} words: too few for an interval"
        spread = (min(each), max(each)) if len(each) > 1 else None
        return [Effect(name, d, figure, p, count, "d", spread=spread, note=note)]

    def _interval(self, vectors: Sequence[Array]) -> tuple[float, float]:
        """Percentiles of d, all four sets of words drawn again."""
        x, y, a, b = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in vectors)
        to_a, to_b = np.concatenate([x, y]) @ a.T, np.concatenate([x, y]) @ b.T
        rng = np.random.default_rng(self.seed)
        found = []
        for _ in range(self.draws):
            rows = [rng.integers(0, len(v), len(v)) for v in (x, y, a, b)]
            words = np.concatenate([rows[0], len(x) + rows[1]])
            s = to_a[words][:, rows[2]].mean(1) - to_b[words][:, rows[3]].mean(1)
            if s.std() > 0:
                found.append(_effect_size(s, len(x)))
        low, high = np.quantile(found, [0.025, 0.975])
        return float(low), float(high)


@dataclass(frozen=True)
class Leaning:
    """A check: to which end of pairs, as (he, she), does each word lie nearer?

    For each word the mean over pairs of cos(w, first) - cos(w, second), with Student's interval
    over pairs. templates: as in `Association`; the vectors of pairs are in the same sentences.
    Source: the pairs of Bolukbasi et al. 2016, measured as in Caliskan et al. 2017 (WEFAT), paired.
    """

    label: str
    words: Sequence[str]
    pairs: Sequence[tuple[str, str]]
    templates: Sequence[str] = (WORD,)
    embed: Embed = encoded_texts

    def __post_init__(self) -> None:
        _check_sets(self.label, {"words": self.words, "pairs": [str(p) for p in self.pairs]},
                    self.templates)  # fmt: skip

    def __call__(self, model: Any) -> list[Effect]:
        """An effect for each word."""
        sets = [list(self.words), [p for p, _ in self.pairs], [q for _, q in self.pairs]]
        each = []
        for template in self.templates:
            texts = [template.replace(WORD, w) for s in sets for w in s]
            vectors = np.asarray(self.embed(model, texts), np.float64)
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-30)
            words, first, second = _split(vectors, sets)
            each.append(words @ first.T - words @ second.T)  # (words, pairs)
        found = []
        for i, word in enumerate(self.words):
            rows = np.array([e[i] for e in each])
            name = f"{self.label}: {word}"
            if not np.isfinite(rows).all():
                found.append(Effect(name, None, unit="cosine", note="a vector is not finite"))
                continue
            got = mean_of_clusters(rows.mean(0), range(len(self.pairs)))
            means = rows.mean(1)
            spread = (float(means.min()), float(means.max())) if len(means) > 1 else None
            note = got.note.replace("independent part", "pair")
            found.append(
                Effect(
                    name,
                    got.value,
                    got.figure,
                    got.p,
                    rows.size,
                    "cosine",
                    spread=spread,
                    note=note,
                )
            )
        return found


def _split(vectors: Array, sets: Sequence[Sequence[str]]) -> list[Array]:
    return np.split(np.asarray(vectors, np.float64), np.cumsum([len(s) for s in sets])[:-1])


def _check_sets(label: str, sets: Mapping[str, Sequence[str]], templates: Sequence[str]) -> None:
    words = [w for s in sets.values() for w in s]
    without = [t for t in templates if WORD not in t]
    if len(sets) != 2 or not all(sets.values()) or len(set(words)) != len(words):
        sizes = {name: len(several) for name, several in sets.items()}
        what = f"sets of {sizes} words, {len(set(words))} of them different"
        raise DataError(explain(label, what, remedy="give two sets of words that share none"))
    if without or not templates:
        what = f"templates without {WORD}: {without}" if templates else "no templates"
        raise DataError(explain(label, what, remedy=f'write it as "This is {WORD}."'))
