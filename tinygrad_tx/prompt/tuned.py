"""Soft prompts and prefixes: a few trained vectors steer a model that stays as it is.

Both wrap a causal model (GPT, Llama), freeze it, and are asked as the model is: `hidden`, `logits`,
`cache`, `generate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from tinygrad_tx.errors import CheckpointError, ShapeError, explain
from tinygrad_tx.files import write_whole
from tinygrad_tx.models.generation import stream
from tinygrad_tx.nn import Cache, Module
from tinygrad_tx.nn.cache import Kept
from tinygrad_tx.tensor import (
    Tensor,
    broadcast_to,
    cross_entropy,
    no_grad,
    take,
    take_along_axis,
    tensor,
)
from tinygrad_tx.tensor.tensor import TensorLike
from tinygrad_tx.untrusted import read_safetensors

__all__ = ["Answering", "PrefixTuning", "SoftPrompt", "load_tuned"]


Array = np.ndarray[Any, Any]
PARTS = ("keys", "values")


class _Tuned(Module):
    """A frozen model with parameters of its own beside it."""

    def __init__(self, model: Any, length: int, room: int) -> None:
        super().__init__()
        if not 0 < length < model.config.context:
            what = f"length {length} for a context of {model.config.context}"
            raise ShapeError(explain(type(self).__name__, what, remedy="need 1 to context - 1"))
        self.model, self.length = model, length
        self.config = replace(model.config, context=model.config.context - room)
        self._frozen = model.parameters()
        for parameter in self._frozen:
            parameter.requires_grad_(False)

    def forward(self, tokens: TensorLike) -> Tensor:
        return self.logits(self.hidden(tokens))

    def hidden(self, tokens: TensorLike, cache: Cache | None = None) -> Tensor:
        """What the blocks make of the tokens: (batch, time, width).

        cache: tokens are the next ones of the texts that it keeps, behind what was trained.
        """
        raise NotImplementedError

    def cache(self, batch: int, context: int | None = None) -> Cache:
        """Memory for `batch` texts of up to `context` tokens, and for what stands before them."""
        longest = min(context or self.config.context, self.config.context)
        cache: Cache = self.model.cache(batch, longest, before=self.length)
        return cache

    def generate(self, tokens: Sequence[int], max_new_tokens: int, **options: Any) -> Iterator[int]:
        """New tokens after `tokens`, one by one; `options` as in `models.generation.stream`."""
        return stream(self, tokens, max_new_tokens, **options)

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of the token after each: (batch, time, vocab)."""
        logits: Tensor = self.model.logits(hidden)
        return logits

    def loss(self, tokens: TensorLike, targets: TensorLike) -> Tensor:
        """Mean cross-entropy in nats of the next tokens; -100 where none is asked for."""
        return cross_entropy(self(tokens), targets)

    def remove(self) -> Any:
        """The model as it was before, its parameters learning again."""
        for parameter in self._frozen:
            parameter.requires_grad_()
        return self.model

    def save(self, path: str | Path) -> None:
        """Writes what was trained, alone, as safetensors. Errors: CheckpointError."""
        own = {name: np.ascontiguousarray(p.numpy()) for name, p in self._own().items()}
        try:
            write_whole(Path(path), save(own, {"kind": type(self).__name__}))
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            raise CheckpointError(explain(str(path), what)) from None

    def load(self, path: str | Path) -> None:
        """Reads what `save` wrote. Errors: CheckpointError; then nothing has changed."""
        found, _ = _read(path)
        self._take(path, found)

    def _take(self, path: str | Path, found: dict[str, Array]) -> None:
        own = self._own()
        shapes = {name: a.shape for name, a in found.items()}
        if shapes != {name: p.shape for name, p in own.items()}:
            what = f"has {shapes}, not { ({n: p.shape for n, p in own.items()}) }"
            remedy = "is it of this kind, this length and this model?"
            raise CheckpointError(explain(str(path), what, remedy=remedy))
        for name, parameter in own.items():
            parameter.assign_(found[name].astype(parameter.dtype))

    def _own(self) -> dict[str, Tensor]:
        return {name: v for name, v in vars(self).items() if isinstance(v, Tensor)}


class SoftPrompt(_Tuned):
    """Trained vectors before the embedded tokens of a frozen model. Lester et al. 2021, section 2.

    `vectors` (length, width) start as the embeddings of `start`, or of tokens drawn at random
    (section 3.2). They take `length` places of the context. Errors: ShapeError.
    """

    def __init__(
        self, model: Any, length: int, start: Sequence[int] | None = None, seed: int = 0
    ) -> None:
        super().__init__(model, length, length)
        tokens = start_tokens(model, length, start, seed)
        self.vectors = tensor(model.embedding.weight.numpy()[tokens], requires_grad=True)

    def hidden(self, tokens: TensorLike, cache: Cache | None = None) -> Tensor:
        """The vectors are read, and kept, with the beginning of a text: later tokens see them."""
        hidden: Tensor
        if cache is not None and cache.lengths is not None:
            # For the model inside all rows are of the text: it is that much longer.
            hidden = self.model.hidden(tokens, replace(cache, lengths=cache.rows, before=0))
            return hidden
        inner = None if cache is None else replace(cache, before=0)
        hidden = self.model.hidden(tokens, inner, prompt=self.vectors)
        return hidden[:, self.length :]


class PrefixTuning(_Tuned):
    """Trained keys and values in every block of a frozen model. Li and Liang 2021, section 4.

    `keys` and `values` (blocks, kv_heads, length, head width) start as those of the tokens `start`,
    or of tokens drawn at random: activations of real words (section 7.4), with which training is
    steady without the network that section 4.3 makes them with. Tokens keep their places: a prefix
    takes none of the context. Errors: ShapeError.
    """

    def __init__(
        self, model: Any, length: int, start: Sequence[int] | None = None, seed: int = 0
    ) -> None:
        super().__init__(model, length, 0)
        tokens = start_tokens(model, length, start, seed)
        cache = model.cache(1, length)
        with no_grad():
            model.eval()
            model.hidden(tokens[None], cache)
        parts = [np.concatenate([getattr(b, n).numpy() for b in cache.blocks]) for n in PARTS]
        self.keys, self.values = (tensor(p, requires_grad=True) for p in parts)

    def hidden(self, tokens: TensorLike, cache: Cache | None = None) -> Tensor:
        prefix = self.prefix() if cache is None else None  # a cache begins with it
        hidden: Tensor = self.model.hidden(tokens, cache, prefix=prefix)
        return hidden

    def cache(self, batch: int, context: int | None = None) -> Cache:
        cache = super().cache(batch, context)
        with no_grad():
            cache.begin(self.prefix())
        return cache

    def prefix(self) -> list[Kept]:
        """For each block keys and values: (1, kv_heads, length, head width)."""
        count = self.keys.shape[0]
        return [Kept(self.keys[i : i + 1], self.values[i : i + 1]) for i in range(count)]


def load_tuned(model: Any, path: str | Path) -> SoftPrompt | PrefixTuning:
    """`model` with the soft prompt or the prefix that `save` wrote. Errors: CheckpointError,
    ShapeError where the model's context is too short; the model is then as it was.
    """
    found, kind = _read(path)
    kinds = {cls.__name__: cls for cls in (SoftPrompt, PrefixTuning)}
    if kind not in kinds:
        what = f"is neither a soft prompt nor a prefix, but {kind or 'of no kind'}"
        remedy = "give a file that SoftPrompt.save or PrefixTuning.save wrote"
        raise CheckpointError(explain(str(path), what, remedy=remedy))
    shape: tuple[int, ...] = next((a.shape for a in found.values()), ())
    if len(shape) < 2 or not all(np.isfinite(a).all() for a in found.values()):
        raise CheckpointError(explain(str(path), "is damaged: it holds no vectors of numbers"))
    length = shape[-2]
    tuned: SoftPrompt | PrefixTuning = kinds[kind](model, length)
    try:
        tuned._take(path, found)
    except CheckpointError:
        tuned.remove()
        raise
    tuned.eval()
    return tuned


def _read(path: str | Path) -> tuple[dict[str, Array], str | None]:
    """Arrays of a file, and what kind it says to be of. Errors: CheckpointError."""
    try:
        file = read_safetensors(path)
        return {n: np.asarray(a) for n, a in file.arrays.items()}, file.notes.get("kind")
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        raise CheckpointError(explain(str(path), what)) from None
    except ValueError as error:
        raise CheckpointError(explain(str(path), f"is damaged: {error}")) from None


def start_tokens(
    model: Any, length: int, start: Sequence[int] | None, seed: int
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """`start` repeated up to the length, or tokens drawn at random: (length,)."""
    if start is None:
        drawn = np.random.default_rng(seed).integers(0, model.config.vocab_size, length)
        return drawn.astype(np.int64)
    if not len(start):
        raise ShapeError(explain("start", "there are no tokens to start from"))
    return np.resize(np.asarray(start, np.int64), length)


class Answering(Module):
    """A model that learns which word to say after a prompt: what `fit` trains.

    words: tokens, one for each label; the loss is the cross-entropy among these alone (Schick and
    Schütze 2021, section 3.1), as `score` compares them. Shapes: tokens (batch, time), padded on
    the right; last (batch,): the place of the last token before the answer; labels (batch,).
    """

    def __init__(self, model: Any, words: Sequence[int]) -> None:
        super().__init__()
        self.model = model
        self.words = np.asarray(words, np.int64)

    def loss(self, tokens: Tensor, last: Tensor, labels: Tensor) -> Tensor:
        """Mean -log P of the labels in nats."""
        hidden = self.model.hidden(tokens)
        batch, _, width = hidden.shape
        index = broadcast_to(last.reshape((batch, 1, 1)), (batch, 1, width))
        logits = self.model.logits(take_along_axis(hidden, index, 1))[:, 0]
        return cross_entropy(take(logits, self.words, 1), labels)
