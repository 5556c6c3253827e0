"""What can be checked: functions of tensors, of NumPy arrays, of PyTorch tensors, of JAX arrays.

Each becomes a Subject: arrays in, arrays out, and products with its derivative.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from tinygrad_tx.autodiff import forward, reverse
from tinygrad_tx.errors import explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.runtime.buffer import Buffer
from tinygrad_tx.runtime.evaluate import evaluate
from tinygrad_tx.tensor.tensor import Tensor
from tinygrad_tx.testing.report import CheckInputError
from tinygrad_tx.tree import flatten

__all__ = [
    "Array",
    "NumpySubject",
    "Subject",
    "TensorSubject",
    "from_jax",
    "from_torch",
    "is_real",
    "name_of",
]

Array = np.ndarray[Any, Any]


def is_real(array: Array) -> bool:
    return bool(array.dtype.kind == "f")


def name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)


class Subject(Protocol):
    """A function with its derivative. Cotangents and tangents are for floating-point arrays."""

    name: str
    modes: tuple[str, ...]
    function: Callable[..., Any]

    def value(self, arrays: Sequence[Array]) -> list[Array]: ...

    def vjp(self, arrays: Sequence[Array], cotangents: Sequence[Array]) -> list[Array]:
        """For each input the cotangent; zeros for integers."""

    def jvp(self, arrays: Sequence[Array], tangents: Sequence[Array]) -> list[Array]:
        """For each output the tangent."""


class TensorSubject:
    """A function of tx tensors."""

    modes = ("reverse", "forward")

    def __init__(self, function: Callable[..., Any], name: str = "") -> None:
        self.function = function
        self.name = name or name_of(function)

    def traced(self, arrays: Sequence[Array]) -> tuple[list[Node], list[Node]]:
        """Leaves and outputs of the graph."""
        leaves = [Tensor(Buffer.of(a)) for a in arrays]
        for leaf in leaves:
            leaf.requires_grad = is_real(np.empty(0, leaf.dtype))
        found, _ = flatten(self.function(*leaves), lambda v: isinstance(v, Tensor))
        if not found:
            remedy = (
                "compute with tx functions; for a function of NumPy arrays give gradient= or vjp="
            )
            raise CheckInputError(explain(self.name, "it returned no tensor", remedy=remedy))
        return [leaf.node for leaf in leaves], [t.node for t in found]

    def value(self, arrays: Sequence[Array]) -> list[Array]:
        return evaluate(self.traced(arrays)[1])

    def vjp(self, arrays: Sequence[Array], cotangents: Sequence[Array]) -> list[Array]:
        leaves, outputs = self.traced(arrays)
        real = [o for o in outputs if o.dtype.kind == "f"]
        given = [Buffer.of(c, o.dtype).leaf for c, o in zip(cotangents, real, strict=True)]
        found = reverse(real, given, leaves)
        values = iter(evaluate([g for g in found if g is not None]))
        return [
            np.zeros(a.shape) if g is None else next(values)
            for a, g in zip(arrays, found, strict=True)
        ]

    def jvp(self, arrays: Sequence[Array], tangents: Sequence[Array]) -> list[Array]:
        leaves, outputs = self.traced(arrays)
        real = [o for o in outputs if o.dtype.kind == "f"]
        moves = [
            Buffer.of(t).leaf if is_real(a) else None for a, t in zip(arrays, tangents, strict=True)
        ]
        found = forward(real, leaves, moves)
        values = iter(evaluate([t for t in found if t is not None]))
        return [
            np.zeros(o.shape) if t is None else next(values)
            for o, t in zip(real, found, strict=True)
        ]

    def gradient(self, cotangents: Sequence[Array]) -> TensorSubject:
        """x -> vjp at x of these cotangents, as a function to check in its turn."""

        def derived(*tensors: Tensor) -> list[Tensor]:
            found, _ = flatten(self.function(*tensors), lambda v: isinstance(v, Tensor))
            real = [t.node for t in found if t.dtype.kind == "f"]
            given = [Buffer.of(c, o.dtype).leaf for c, o in zip(cotangents, real, strict=True)]
            leaves = [t.node for t in tensors]
            b = Builder()
            floats = [n for n in leaves if n.dtype.kind == "f"]
            grads = reverse(real, given, leaves)
            pairs = [(g, n) for g, n in zip(grads, leaves, strict=True) if n in floats]
            return [Tensor(b.full(n.shape, 0, n.dtype) if g is None else g) for g, n in pairs]

        return TensorSubject(derived, f"gradient of {self.name}")


class NumpySubject:
    """A function of NumPy arrays with a gradient, or a vjp, that somebody wrote."""

    modes = ("reverse",)

    def __init__(
        self,
        function: Callable[..., Any],
        gradient: Callable[..., Any] | None = None,
        vjp: Callable[..., Any] | None = None,
    ) -> None:
        self.function, self._gradient, self._vjp = function, gradient, vjp
        self.name = name_of(function)

    @property
    def rule(self) -> tuple[str, Callable[..., Any]]:
        """The rule, and the name it is passed by."""
        if self._gradient is not None:
            return "gradient", self._gradient
        assert self._vjp is not None
        return "vjp", self._vjp

    def value(self, arrays: Sequence[Array]) -> list[Array]:
        found = self.function(*[a.copy() for a in arrays])
        return [np.asarray(v) for v in (found if isinstance(found, tuple) else (found,))]

    def vjp(self, arrays: Sequence[Array], cotangents: Sequence[Array]) -> list[Array]:
        copies = [a.copy() for a in arrays]
        if self._vjp is not None:
            given = cotangents[0] if len(cotangents) == 1 else tuple(cotangents)
            return _for_inputs(self.name, self._vjp(given, *copies), arrays)
        if len(cotangents) != 1 or cotangents[0].size != 1:
            shapes = ", ".join(str(c.shape) for c in cotangents)
            remedy = "use vjp=, a function of (cotangent, *inputs)"
            raise CheckInputError(
                f"{self.name}: gradient= needs a function with one number as its result, "
                f"this one returns {shapes}; {remedy}."
            )
        assert self._gradient is not None
        found = _for_inputs(self.name, self._gradient(*copies), arrays)
        return [g * cotangents[0].reshape(()) for g in found]

    def jvp(self, arrays: Sequence[Array], tangents: Sequence[Array]) -> list[Array]:
        raise NotImplementedError


def _for_inputs(name: str, found: Any, arrays: Sequence[Array]) -> list[Array]:
    """Gradients of a user's rule, one for each floating-point input, checked for shape."""
    real = [a for a in arrays if is_real(a)]
    given = list(found) if isinstance(found, (tuple, list)) else [found]
    if len(given) == len(arrays) != len(real):
        given = [g for g, a in zip(given, arrays, strict=True) if is_real(a)]
    if len(given) != len(real):
        raise CheckInputError(
            f"{name}: its gradient returned {len(given)} arrays for {len(real)} real inputs."
        )
    for g, a in zip(given, real, strict=True):
        if np.shape(g) != a.shape:
            raise CheckInputError(
                f"{name}: its gradient has shape {np.shape(g)} for an input of shape {a.shape}."
            )
    values = iter(given)
    return [np.asarray(next(values)) if is_real(a) else np.zeros(a.shape) for a in arrays]


class from_torch:  # noqa: N801  # read as a function
    """A function of PyTorch tensors, to be passed to gradcheck. Needs torch."""

    modes = ("reverse",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.name = function, name_of(function)

    def _run(self, arrays: Sequence[Array]) -> tuple[list[Any], list[Any]]:
        import torch  # only where it is used

        inputs = [torch.tensor(a, requires_grad=is_real(a)) for a in arrays]
        found = self.function(*inputs)
        return inputs, list(found) if isinstance(found, (tuple, list)) else [found]

    def value(self, arrays: Sequence[Array]) -> list[Array]:
        return [o.detach().numpy() for o in self._run(arrays)[1]]

    def vjp(self, arrays: Sequence[Array], cotangents: Sequence[Array]) -> list[Array]:
        import torch

        inputs, outputs = self._run(arrays)
        real = [o for o in outputs if o.is_floating_point() and o.requires_grad]
        wanted = [i for i in inputs if i.requires_grad]
        found = torch.autograd.grad(
            real, wanted, [torch.tensor(c) for c in cotangents], allow_unused=True
        )
        values = iter(found)
        grads = [next(values) if i.requires_grad else None for i in inputs]
        return [
            np.zeros(a.shape) if g is None else g.numpy()
            for g, a in zip(grads, arrays, strict=True)
        ]

    def jvp(self, arrays: Sequence[Array], tangents: Sequence[Array]) -> list[Array]:
        raise NotImplementedError


class from_jax:  # noqa: N801  # read as a function
    """A function of JAX arrays, to be passed to gradcheck. Needs jax with 64-bit numbers on."""

    modes = ("reverse", "forward")

    def __init__(self, function: Callable[..., Any]) -> None:
        import jax  # only where it is used

        if not jax.config.jax_enable_x64:
            raise CheckInputError(
                "from_jax: differences need float64; call "
                "jax.config.update('jax_enable_x64', True)."
            )
        self.function, self.name = function, name_of(function)

    def _of_real(self, arrays: Sequence[Array]) -> tuple[Callable[..., Any], list[Array]]:
        real = [a for a in arrays if is_real(a)]

        def call(*floats: Any) -> tuple[Any, ...]:
            values = iter(floats)
            found = self.function(*[next(values) if is_real(a) else a for a in arrays])
            return found if isinstance(found, tuple) else (found,)

        return call, real

    def value(self, arrays: Sequence[Array]) -> list[Array]:
        call, real = self._of_real(arrays)
        return [np.asarray(v) for v in call(*real)]

    def vjp(self, arrays: Sequence[Array], cotangents: Sequence[Array]) -> list[Array]:
        import jax

        call, real = self._of_real(arrays)
        values = iter(jax.vjp(call, *real)[1](tuple(cotangents)))
        return [np.asarray(next(values)) if is_real(a) else np.zeros(a.shape) for a in arrays]

    def jvp(self, arrays: Sequence[Array], tangents: Sequence[Array]) -> list[Array]:
        import jax

        call, real = self._of_real(arrays)
        moves = tuple(t for t, a in zip(tangents, arrays, strict=True) if is_real(a))
        return [np.asarray(v) for v in jax.jvp(call, tuple(real), moves)[1]]


def location_of(rule: Any) -> str:
    """`file:line` of a function."""
    try:
        code = inspect.unwrap(rule).__code__
    except (AttributeError, ValueError):
        return ""
    return f"{code.co_filename}:{code.co_firstlineno}"
