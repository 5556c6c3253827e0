"""einops on our tensors: `einops.rearrange(x, "batch time (heads width) -> ...")` and the rest.

einops knows frameworks by the subclasses of its AbstractBackend. Ours is made when einops is first
imported, before or after this package, so that nobody waits for a library that he does not use.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import is_float
from tinygrad_tx.tensor import (
    Tensor,
    arange,
    broadcast_to,
    concat,
    einsum,
    expand_dims,
    permute_dims,
    reductions,
    reshape,
    stack,
    tensor,
    tile,
)

__all__ = ["register_when_imported"]

_MODULE = "einops._backends"
_registered: list[type] = []  # einops itself holds its subclasses weakly


class _Finder(importlib.abc.MetaPathFinder):
    """Finds einops as everybody does, and makes our backend once it has been run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                _register(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def register_when_imported() -> None:
    """Makes our backend known to einops, now or when it is imported."""
    if _MODULE in sys.modules:
        _register(sys.modules[_MODULE])
    else:
        sys.meta_path.insert(0, _Finder())


def _register(backends: Any) -> None:
    class TinygradTxBackend(backends.AbstractBackend):  # type: ignore[misc]
        framework_name = "tinygrad_tx"

        def is_appropriate_type(self, x: Any) -> bool:
            return isinstance(x, Tensor)

        def from_numpy(self, x: Any) -> Tensor:
            return tensor(x, requires_grad=is_float(x.dtype))

        def to_numpy(self, x: Tensor) -> np.ndarray[Any, Any]:
            return x.numpy()

        def arange(self, start: int, stop: int) -> Tensor:
            return arange(start, stop)

        def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
            return reshape(x, shape)

        def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
            return permute_dims(x, axes)

        def reduce(self, x: Tensor, operation: str, axes: Sequence[int]) -> Tensor:
            result: Tensor = getattr(reductions, operation)(x, tuple(axes))
            return result

        def stack_on_zeroth_dimension(self, tensors: Sequence[Tensor]) -> Tensor:
            return stack(tensors)

        def add_axis(self, x: Tensor, new_position: int) -> Tensor:
            return expand_dims(x, new_position)

        def add_axes(self, x: Tensor, n_axes: int, pos2len: dict[int, int]) -> Tensor:
            x = expand_dims(x, tuple(pos2len))
            return broadcast_to(x, [pos2len.get(i, n) for i, n in enumerate(x.shape)])

        def tile(self, x: Tensor, repeats: Sequence[int]) -> Tensor:
            return tile(x, repeats)

        def concat(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
            return concat(tensors, axis)

        def is_float_type(self, x: Tensor) -> bool:
            return is_float(x.dtype)

        def einsum(self, pattern: str, *operands: Tensor) -> Tensor:
            return einsum(pattern, *operands)

    _registered.append(TinygradTxBackend)
