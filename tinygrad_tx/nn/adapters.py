"""Fine-tuning with few parameters: LoRA beside linear maps, adapters behind parts of a model.

Both change a model in place and freeze all else; they start as the model was.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from tinygrad_tx.errors import GraphError, explain
from tinygrad_tx.nn.layers import Linear
from tinygrad_tx.nn.module import Module, ModuleList
from tinygrad_tx.nn.parameters import filled, normal
from tinygrad_tx.tensor import Tensor, gelu

__all__ = ["Adapter", "Adapters", "LoRA", "LoRALinear"]


class LoRALinear(Module):
    """x W + b + (alpha / rank) (x A) B; A (inputs, rank), B (rank, outputs), B = 0 at first.

    Source: Hu et al. 2021, equation 3, for weights that stand on the right of x.
    """

    def __init__(self, linear: Linear, rank: int, alpha: float, rng: np.random.Generator) -> None:
        super().__init__()
        inputs, outputs = linear.weight.shape
        self.weight, self.bias = linear.weight, linear.bias
        self.down = normal(rng, (inputs, rank), inputs**-0.5)
        self.up = filled((rank, outputs), 0.0)
        self.scale = alpha / rank

    def forward(self, x: Tensor) -> Tensor:
        y = x @ self.weight
        y = y if self.bias is None else y + self.bias
        return y + ((x @ self.down) @ self.up) * self.scale


class Adapter(Module):
    """x + up(gelu(down(x))), up = 0 at first. Shapes: (..., width) -> the same.

    Source: Houlsby et al. 2019, figure 2, right.
    """

    def __init__(self, width: int, bottleneck: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.down = Linear(width, bottleneck, rng)
        self.up = Linear(bottleneck, width, rng, deviation=0.0)

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.up(gelu(self.down(x)))
        return x + changed


class _Adapted(Module):
    """A part of a model with an adapter behind it."""

    def __init__(self, inner: Module, adapter: Adapter) -> None:
        super().__init__()
        self.inner, self.adapter = inner, adapter

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.adapter(self.inner(*args, **kwargs))


class LoRA:
    """Puts a LoRALinear in the place of each Linear whose path matches a pattern.

    `LoRA(model, "encoder.blocks.*.attention.qkv")`: all other parameters are frozen, but those that
    match `also` (a new head). A `*` does not go past a dot. `state_dict` then has what is trained
    alone. Errors: GraphError where no Linear matches. Make the optimiser afterwards.
    """

    def __init__(
        self,
        model: Module,
        *patterns: str,
        rank: int = 8,
        alpha: float = 16.0,
        also: Iterable[str] = (),
        seed: int = 0,
    ) -> None:
        if rank < 1:
            raise ValueError(f"LoRA: rank is {rank}, not at least 1.")
        self._model = model
        self._frozen = _freeze(model, also)
        rng = np.random.default_rng(seed)
        self.paths = [p for p, m in _matching(model, patterns) if isinstance(m, Linear)]
        if not self.paths:
            _thaw(self._frozen)
            what = f"no Linear of the model matches {list(patterns)}"
            remedy = "see named_modules() for the paths"
            raise GraphError(explain("LoRA", what, remedy=remedy))
        parts = dict(model.named_modules())
        for path in self.paths:
            linear = parts[path]
            assert isinstance(linear, Linear)
            _replace(model, path, LoRALinear(linear, rank, alpha, rng))

    def merge(self) -> None:
        """Puts plain Linear back, with W + (alpha / rank) A B, and lets all parameters learn."""
        parts = dict(self._model.named_modules())
        for path in self.paths:
            part = parts[path]
            assert isinstance(part, LoRALinear)
            inputs, outputs = part.weight.shape
            change = part.down.numpy().astype(np.float64) @ part.up.numpy() * part.scale
            part.weight.assign_((part.weight.numpy() + change).astype(part.weight.dtype))
            linear = Linear(inputs, outputs, np.random.default_rng(0), part.bias is not None)
            linear.weight, linear.bias = part.weight, part.bias
            _replace(self._model, path, linear)
        _thaw(self._frozen)


class Adapters:
    """Puts an Adapter behind each part whose path matches a pattern, before it is added.

    `Adapters(model, 128, "encoder.blocks.*.attention", "encoder.blocks.*.feed_forward")`: all
    other parameters are frozen, but those that match `also`; the paper also trains norms.
    """

    def __init__(
        self,
        model: Module,
        width: int,
        *patterns: str,
        bottleneck: int = 16,
        also: Iterable[str] = (),
        seed: int = 0,
    ) -> None:
        found = dict(_matching(model, patterns))
        if not found:
            what = f"no part of the model matches {list(patterns)}"
            remedy = "see named_modules() for the paths"
            raise GraphError(explain("Adapters", what, remedy=remedy))
        self._model, self.paths = model, list(found)
        self._frozen = _freeze(model, also)
        rng = np.random.default_rng(seed)
        for path, part in found.items():
            _replace(model, path, _Adapted(part, Adapter(width, bottleneck, rng)))

    def remove(self) -> None:
        """The model as it was, without the adapters, and all parameters learning."""
        parts = dict(self._model.named_modules())
        for path in self.paths:
            part = parts[path]
            assert isinstance(part, _Adapted)
            _replace(self._model, path, part.inner)
        _thaw(self._frozen)


def _matching(model: Module, patterns: Iterable[str]) -> list[tuple[str, Module]]:
    """Parts by path. A `*` does not go past a dot, so that a part's own parts do not match."""
    wanted = [p.split(".") for p in patterns]
    return [
        (path, part)
        for path, part in model.named_modules()
        if path and any(_fits(path.split("."), pattern) for pattern in wanted)
    ]


def _fits(path: list[str], pattern: list[str]) -> bool:
    return len(path) == len(pattern) and all(map(fnmatchcase, path, pattern))


def _freeze(model: Module, also: Iterable[str]) -> list[Tensor]:
    """Parameters whose paths match nothing in `also` ask for no gradients any more."""
    kept = list(also)
    frozen = [
        p for path, p in model.named_parameters() if not any(fnmatchcase(path, k) for k in kept)
    ]
    for parameter in frozen:
        parameter.requires_grad_(False)
    return frozen


def _thaw(frozen: Iterable[Tensor]) -> None:
    for parameter in frozen:
        parameter.requires_grad_()


def _replace(model: Module, path: str, part: Module) -> None:
    owner_path, _, name = path.rpartition(".")
    owner = dict(model.named_modules())[owner_path]
    if isinstance(owner, ModuleList):
        owner[int(name)] = part
    else:
        setattr(owner, name, part)
    part.train(model.training)
