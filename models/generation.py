"""Text from a causal language model, token by token: drawn, or the best of several beams.

A `Decoder` keeps keys and values, so that a token costs one captured step. Once the context is full
the last half of the text is read anew: its tokens then stand at other places.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from tinygrad_tx.errors import ArgumentError, DataError, explain
from tinygrad_tx.graph.place import levels_to_user
from tinygrad_tx.jit import jit
from tinygrad_tx.missing import knows_arguments
from tinygrad_tx.models.beams import BeamSearch
from tinygrad_tx.models.constraints import Constraint, constrained_logits
from tinygrad_tx.models.sampling import Sampling
from tinygrad_tx.models.tokens import prompt_of
from tinygrad_tx.nn import Cache
from tinygrad_tx.tensor import Tensor, broadcast_to, no_grad, take_along_axis

__all__ = ["Causal", "Decoder", "beam_search", "stream", "write_batch"]

Array = np.ndarray[Any, Any]


class Causal(Protocol):
    """A model that goes on from tokens: GPT, Llama."""

    config: Any

    def hidden(self, tokens: Any, cache: Cache | None = None) -> Tensor: ...

    def logits(self, hidden: Tensor) -> Tensor: ...

    def cache(self, batch: int, context: int | None = None) -> Cache: ...


class Decoder:
    """A model with what it keeps of a batch of texts.

    `read` begins them, `step` goes on; both give the logits of what comes next. Steps are recorded
    once for each number of new tokens, whatever the length of the texts.
    """

    def __init__(self, model: Causal, batch: int = 1, context: int | None = None) -> None:
        self.cache = model.cache(batch, context)
        self.context = self.cache.context
        self.lengths = np.zeros(batch, np.int64)
        cache = self.cache

        def read(window: Tensor, last: Tensor) -> Tensor:
            with no_grad():
                hidden = model.hidden(window, cache)
                return model.logits(take_along_axis(hidden, _rows(last, hidden), 1))[:, 0]

        def step(tokens: Tensor, lengths: Tensor) -> Tensor:
            with no_grad():
                return model.logits(model.hidden(tokens, cache.at(lengths)))

        def reorder(chosen: Tensor) -> None:
            cache.reorder(chosen)

        self._read, self._step, self._reorder = jit(read), jit(step), jit(reorder)

    def read(self, texts: Sequence[Sequence[int]]) -> Array:
        """Logits (batch, vocab) of the token after each text; what was kept before is forgotten.

        Texts are padded on the right to a power of two: a causal model cannot see that, and few
        sizes serve all. Errors: DataError for an empty text or one beyond the context.
        """
        counts = np.array([len(t) for t in texts], np.int64)
        for count in counts:
            if not 0 < count <= self.context:
                what = f"a text of {count} tokens, not 1 to {self.context}"
                raise DataError(explain("generate", what))
        size = min(self.context, 1 << (int(counts.max()) - 1).bit_length())
        window = np.zeros((len(texts), size), np.int64)
        for row, text in zip(window, texts, strict=True):
            row[: len(text)] = text
        self.lengths = counts
        logits: Array = self._read(window, counts - 1).array  # ours alone: results are not reused
        return logits

    def step(self, tokens: Array, advance: bool = True) -> Array:
        """Logits (batch, time, vocab) after each of the new tokens (batch, time).

        advance: whether they stay; the next step overwrites them otherwise.
        """
        found: Array = self._step(np.asarray(tokens, np.int64), self.lengths).array
        if advance:
            self.lengths = self.lengths + np.shape(tokens)[1]
        return found

    def reorder(self, chosen: Array) -> None:
        """Text i becomes what text chosen[i] was."""
        self._reorder(np.asarray(chosen, np.int64))
        self.lengths = self.lengths[chosen]

    @property
    def is_full(self) -> bool:
        """Whether some text has no room for another token."""
        return bool((self.lengths >= self.context).any())


def _rows(last: Tensor, hidden: Tensor) -> Tensor:
    """Indices of one row of each text, for take_along_axis: (batch, 1, width)."""
    batch, _, width = hidden.shape
    return broadcast_to(last.reshape((batch, 1, 1)), (batch, 1, width))


@partial(knows_arguments, name="generate")
def stream(
    model: Causal,
    tokens: Sequence[int],
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    beams: int = 1,
    stop: Collection[int] = (),
    seed: int | None = None,
    constraint: Constraint | None = None,
) -> Iterator[int]:
    """New tokens one by one, until `max_new_tokens` or one in `stop` (which is not given out).

    beams: more than one gives the likeliest text that a beam search finds, at its end.
    constraint: a rule, as `Banned` and `Balanced`, that changes the logits before anything else
    does. The others as in `Sampling`. Errors: DataError for an empty prompt, ValueError,
    NonFiniteError for a rule that leaves no token.
    """
    sampling = Sampling(temperature, top_k, top_p, repetition_penalty)
    seen = prompt_of(tokens)
    _check_writing(model, max_new_tokens, beams, stop)
    if beams > 1:
        if sampling != Sampling():
            what = f"{beams} beams look for the likeliest text, and nothing is drawn"
            remedy = "leave out temperature, top_k, top_p and repetition_penalty, or beams"
            raise ArgumentError(explain("generate", what, remedy=remedy))
        return iter(beam_search(model, seen, max_new_tokens, beams, stop, constraint=constraint))
    return _drawn(model, seen, max_new_tokens, sampling, stop, seed, constraint)


def _check_writing(model: Causal, count: int, beams: int, stop: Any) -> None:
    """Errors: ArgumentError. Warns of a model that still drops while it writes."""
    if count < 0 or beams < 1:
        what = f"max_new_tokens {count}, beams {beams}"
        remedy = "need max_new_tokens of at least 0, beams of at least 1"
        raise ArgumentError(explain("generate", what, remedy=remedy))
    if isinstance(stop, (str, int)) or not all(isinstance(t, (int, np.integer)) for t in stop):
        what = f"stop is {stop!r}, not a list of tokens"
        remedy = (
            "give stop=[token]; for texts tx.models.write(model, tokenizer, prompt, n, stop=[text])"
        )
        raise ArgumentError(explain("generate", what, remedy=remedy))
    if getattr(model, "training", False) and getattr(model.config, "dropout", 0):
        what = "the model is in training, so that dropout falsifies what it writes"
        text = explain("generate", what, remedy="call model.eval() first")
        warnings.warn(text, stacklevel=levels_to_user())


def _drawn(
    model: Causal,
    seen: list[int],
    max_new_tokens: int,
    sampling: Sampling,
    stop: Collection[int],
    seed: int | None,
    constraint: Constraint | None,
) -> Iterator[int]:
    rng = np.random.default_rng(seed)
    decoder = Decoder(model, context=room(model, len(seen), max_new_tokens))
    logits = decoder.read([seen[-decoder.context :]])[0]
    for count in range(max_new_tokens):
        logits = constrained_logits(constraint, logits[None], [seen])[0]
        token = sampling.draw(logits, seen, rng)
        if token in stop:
            return
        seen.append(token)
        yield token
        if count + 1 < max_new_tokens:
            logits = _next(decoder, [seen])[0]


def _next(decoder: Decoder, texts: Sequence[Sequence[int]]) -> Array:
    """Logits (batch, vocab) after the last token of each text, all before it being kept."""
    if decoder.is_full:
        half = max(1, decoder.context // 2)
        return decoder.read([text[-half:] for text in texts])
    return np.asarray(decoder.step(np.array([[text[-1]] for text in texts]))[:, -1])


def room(model: Causal, prompt: int, more: int) -> int:
    """How long the memory must be: no longer than the context, in few sizes."""
    wanted = 1 << (max(prompt + more, 16) - 1).bit_length()
    return min(int(model.config.context), wanted)


def write_batch(
    model: Causal,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    sampling: Sampling | None = None,
    stop: Collection[int] = (),
    seed: int | None = None,
    constraint: Constraint | None = None,
) -> list[list[int]]:
    """New tokens for each of several prompts of any lengths, in common steps.

    Each text has random numbers of its own, so that it is what it would be alone with that seed:
    those of text i come from (seed, i). constraint: as in `stream`. Errors: DataError for an empty
    prompt.
    """
    drawing = sampling or Sampling(temperature=0)
    root = np.random.SeedSequence(seed)
    rngs = [np.random.default_rng(s) for s in root.spawn(len(prompts))]
    texts = [[int(t) for t in prompt] for prompt in prompts]
    longest = max((len(t) for t in texts), default=0)
    decoder = Decoder(model, len(texts), room(model, longest, max_new_tokens))
    logits = decoder.read([t[-decoder.context :] for t in texts])
    new: list[list[int]] = [[] for _ in texts]
    going = set(range(len(texts)))
    for count in range(max_new_tokens):
        for i in sorted(going):
            allowed = constrained_logits(constraint, logits[i : i + 1], texts[i : i + 1])[0]
            token = drawing.draw(allowed, texts[i], rngs[i])
            if token in stop:
                going.discard(i)
            else:
                texts[i].append(token)
                new[i].append(token)
        if not going or count + 1 == max_new_tokens:
            break
        logits = _next(decoder, texts)
    return new


def beam_search(
    model: Causal,
    tokens: Sequence[int],
    max_new_tokens: int,
    beams: int,
    stop: Collection[int] = (),
    length_penalty: float = 0.6,
    constraint: Constraint | None = None,
) -> list[int]:
    """The likeliest continuation among `beams` that are followed side by side.

    Texts are ranked by log p / ((5 + length) / 6)^length_penalty (Wu et al. 2016, equation 14).
    constraint: as in `stream`; p is that under the rule.
    """
    decoder = Decoder(model, beams, room(model, len(tokens), max_new_tokens))
    prompt = [int(t) for t in tokens][-decoder.context :]
    whole = [int(t) for t in tokens]
    first = constrained_logits(constraint, decoder.read([prompt] * beams)[:1], [whole])[0]
    search = BeamSearch(beams, stop, length_penalty)
    parents, going = search.begin(first)
    for _ in range(max_new_tokens - 1):
        if search.is_done or int(decoder.lengths.max()) >= decoder.context:
            break
        decoder.reorder(parents)
        texts = [[*whole, *text] for text in search.texts]
        logits = decoder.step(going[:, None])[:, -1]
        parents, going = search.advance(constrained_logits(constraint, logits, texts))
    return search.best()
