"""TunedLens: for each layer an affine map into the basis that the head reads, learnt from text.

    lens_l(h) = head(h + h A_l + b_l),  A and b minimise  E KL(model(x) || lens_l(h_l(x)))

Belrose et al. 2023, equations 8 and 9. The model stays as it is; each layer is trained by itself,
all by one captured step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Picture

from tinygrad_tx.errors import DataError, NonFiniteError, PointError, explain
from tinygrad_tx.functional import value_and_grad
from tinygrad_tx.jit import jit
from tinygrad_tx.nn import Linear, Module, ModuleList
from tinygrad_tx.optim import Adam, linear
from tinygrad_tx.reasoning.explain.lens import LIMITS, divergences, log_probabilities
from tinygrad_tx.reasoning.explain.stream import (
    Stream,
    arrays_of,
    at_rest,
    finite,
    head_of,
    listed,
    stream_of,
)
from tinygrad_tx.reasoning.look import Model, capture, intervene
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tasks.picture import curves, panels
from tinygrad_tx.tasks.task import Figure, bootstrap
from tinygrad_tx.tensor import Tensor, exp, log_softmax, no_grad
from tinygrad_tx.tensor.tensor import as_tensor

__all__ = ["TunedLens", "Tuning", "train_tuned_lens"]

Array = np.ndarray[Any, Any]
MEMORY = 512 << 20
"""Bytes that the layers of the training text may take."""


@shown_as_table
@dataclass(frozen=True)
class Tuning:
    """KL (nats) from each layer's words to the final ones on held-out text, by both lenses."""

    layers: tuple[str, ...]
    logit_lens: tuple[Figure, ...]
    tuned_lens: tuple[Figure, ...]
    held_out: int
    """Sequences; the intervals resample them."""

    def table(self) -> Table:
        rows = tuple(
            (name, a.value, a.low, a.high, b.value, b.low, b.high)
            for name, a, b in zip(self.layers, self.logit_lens, self.tuned_lens, strict=True)
        )
        columns = (
            "layer", "logit lens", "logit lens from", "logit lens to",
            "tuned lens", "tuned lens from", "tuned lens to",
        )  # fmt: skip
        note = f"KL to the final words in nats, {self.held_out} held-out sequences, 95 % intervals."
        return Table("Tuned lens", columns, rows, (note, *LIMITS))

    def picture(self) -> Picture:
        """KL by layer, for both lenses."""
        picture, (axes,) = panels()
        kinds = {"logit lens": self.logit_lens, "tuned lens": self.tuned_lens}
        curves(axes, {name: dict(enumerate(figures)) for name, figures in kinds.items()})
        axes.set_xticks(range(len(self.layers)), self.layers, rotation=45, ha="right", fontsize=8)
        axes.set_ylabel("KL to the final words (nats)")
        return picture


class TunedLens(Module):
    """A translator for each layer but the last, for `logit_lens(..., translator=lens)`.

    `state_dict` and `load_state_dict` keep it; `tuning` says how well it does on held-out text.
    """

    def __init__(self, paths: Sequence[str], width: int) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.paths = tuple(paths)
        # A and b of 0: the logit lens.
        self.translators = ModuleList([Linear(width, width, rng, True, 0.0) for _ in paths])
        self.tuning: Tuning | None = None

    def forward(self, residual: Tensor, layer: int) -> Tensor:
        """h + h A + b. Shapes: (..., width) -> the same."""
        moved: Tensor = self.translators[layer](residual)
        return residual + moved

    def translated(self, path: str, residual: Array) -> Array:
        """The layer at `path` as the head can read it; the last one stays. Errors: PointError."""
        if path in self.paths:
            with no_grad():
                return np.asarray(self(as_tensor(residual), self.paths.index(path)).numpy())
        if path.endswith("residual_after_feed_forward"):
            return residual
        what = f"the lens has no translator for {path}"
        raise PointError(explain("TunedLens", what, remedy="train one, or leave out parts=True"))


def train_tuned_lens(
    model: Model,
    inputs: Any,
    held_out: Any,
    *,
    steps: int = 200,
    rows: int = 8,
    rate: float = 1e-3,
    seed: int = 0,
    parts: bool = False,
    memory: int = MEMORY,
    on_progress: Callable[[int, int], None] | None = None,
) -> TunedLens:
    """A tuned lens, learnt on `inputs` and measured on `held_out`, which no step sees.

    inputs, held_out: what the model takes, the first axis sequences. steps: for each layer, of
    `rows` sequences drawn by `seed`; rate: Adam's, which falls in a line to 0. parts: also between
    attention and feed-forward. memory: bytes that the layers of the text may take. on_progress:
    steps done, of all. Limits: a translator may learn what the layer does not use: its KL says how
    well the final words can be read, not what the model knows there.
    Errors: DataError for text that does not fit; PointError; NonFiniteError.
    """
    arrays, held = arrays_of(inputs), arrays_of(held_out)
    _check(arrays, held, rows, steps)
    stream = stream_of(listed(model, arrays))
    paths = (stream.residuals if parts else stream.blocks())[:-1]
    with at_rest(model):
        values = _layers(model, arrays, (*paths, stream.last), rows, memory)
        width = values[stream.last].shape[-1]
        lens = TunedLens(paths, width)
        trainer = _Trainer(model, stream.last, width)
        for i, path in enumerate(paths):
            rng = np.random.default_rng((seed, i))
            falling = linear(rate, steps)
            trainer.restart()
            for step in range(steps):
                some = rng.integers(0, len(arrays[0]), rows)
                batch = [values[p][some] for p in (path, stream.last)]
                trainer.optimizer.lr = falling(step)
                loss = float(trainer.step(*batch, *(a[some] for a in arrays)).item())
                if not np.isfinite(loss):
                    what = f"the KL of {path} is {loss} after {step} steps"
                    raise NonFiniteError(explain("TunedLens", what, remedy="lower the rate"))
                if on_progress is not None:
                    on_progress(i * steps + step + 1, len(paths) * steps)
            lens.translators[i].load_state_dict(trainer.translator.state_dict())
        lens.tuning = _tuning(model, lens, stream, held, rows)
    return lens


class _Trainer:
    """One captured step for all layers: the translator and Adam's moments are its state."""

    def __init__(self, model: Model, last: str, width: int) -> None:
        self.model, self.last = model, last
        self.translator = Linear(width, width, np.random.default_rng(0), True, 0.0)
        self.optimizer = Adam(self.translator.parameters())
        self.step = jit(self._step)
        self._start = self.translator.state_dict(), self.optimizer.state_dict()

    def restart(self) -> None:
        self.translator.load_state_dict(self._start[0])
        self.optimizer.load_state_dict(self._start[1])

    def _step(self, residual: Tensor, final: Tensor, *args: Tensor) -> Tensor:
        with no_grad():
            wanted = log_softmax(self._head(final, args))
        names = [name for name, _ in self.translator.named_parameters()]

        def loss(values: dict[str, Tensor]) -> Tensor:
            with self.translator.exchanged(values):
                moved = residual + self.translator(residual)
            here = log_softmax(self._head(moved, args))
            return (exp(wanted) * (wanted - here)).sum(-1).mean()

        own = dict(self.translator.named_parameters())
        value, found = value_and_grad(loss)(own)
        for name in names:
            own[name].grad = found[name]
        self.optimizer.step()
        result: Tensor = value
        return result

    def _head(self, residual: Tensor, args: Sequence[Tensor]) -> Tensor:
        logits: Tensor = intervene(self.model, tuple(args), {self.last: lambda x: residual})
        return logits


def _check(arrays: Sequence[Array], held: Sequence[Array], rows: int, steps: int) -> None:
    if rows < 1 or steps < 1:
        raise DataError(explain("TunedLens", f"rows {rows} and steps {steps} must be at least 1"))
    if not len(arrays[0]) or not len(held[0]):
        what = f"{len(arrays[0])} sequences to learn from, {len(held[0])} held out"
        raise DataError(explain("TunedLens", what, remedy="give some of both"))
    seen = {row.tobytes() for row in arrays[0]}
    both = sum(row.tobytes() in seen for row in held[0])
    if both and len(arrays) == 1:
        what = f"{both} of the {len(held[0])} held-out sequences are learnt from"
        raise DataError(explain("TunedLens", what, remedy="hold out other text"))


def _layers(
    model: Model, arrays: Sequence[Array], paths: Sequence[str], rows: int, memory: int
) -> dict[str, Array]:
    """The stream at each of the paths for all of the text: (sequences, time, width)."""
    step = jit(lambda *args: dict(capture(model, args, paths)))
    found: dict[str, list[Array]] = {path: [] for path in paths}
    count, taken = len(arrays[0]), 0
    with no_grad():
        for first in range(0, count, rows):
            for path, value in step(*(a[first : first + rows] for a in arrays)).items():
                found[path].append(finite(np.array(value.numpy()), path))
                taken += found[path][-1].nbytes
            if taken * count > memory * min(count, first + rows):
                need = taken * count // min(count, first + rows)
                what = f"the layers of {count} sequences take {need:,} bytes of {memory:,}"
                raise DataError(explain("TunedLens", what, remedy="give less text, or more memory"))
    return {path: np.concatenate(parts) for path, parts in found.items()}


def _tuning(
    model: Model, lens: TunedLens, stream: Stream, held: Sequence[Array], rows: int
) -> Tuning:
    """KL by sequence, of both lenses, on text that was held out."""
    step = jit(lambda *args: dict(capture(model, args, (*lens.paths, stream.last))))
    head = head_of(model, stream.last)
    plain: list[list[Array]] = [[] for _ in lens.paths]
    tuned: list[list[Array]] = [[] for _ in lens.paths]
    for first in range(0, len(held[0]), rows):
        batch = [a[first : first + rows] for a in held]
        with no_grad():
            values = step(*batch)
        final = log_probabilities(head(values[stream.last], *batch).numpy())
        for i, path in enumerate(lens.paths):
            residual = np.asarray(values[path].numpy())
            for kept, x in ((plain, residual), (tuned, lens.translated(path, residual))):
                here = log_probabilities(head(x, *batch).numpy())
                kept[i].append(divergences(final, here).mean(-1))  # (rows,)
    names = tuple(map(stream.name, lens.paths))
    figures = [tuple(bootstrap(np.concatenate(parts)) for parts in kind) for kind in (plain, tuned)]
    return Tuning(names, figures[0], figures[1], len(held[0]))
