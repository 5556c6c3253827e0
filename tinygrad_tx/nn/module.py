"""Module: parameters and parts by name. Calling one marks the graph with its path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tinygrad_tx import capture
from tinygrad_tx.elsewhere import MODULE
from tinygrad_tx.errors import CheckpointError, NoSuchNameError, explain
from tinygrad_tx.graph.place import current_scope, scope
from tinygrad_tx.missing import knows_arguments, nearest, no_such_name
from tinygrad_tx.nn.outline import outline
from tinygrad_tx.nn.untrained import check_container, check_parameter
from tinygrad_tx.state import check_state
from tinygrad_tx.tensor import Tensor, tensor

__all__ = ["Module", "ModuleList"]


class Module:
    """Base of layers and models: define `forward`, and keep parameters and parts as attributes."""

    def __init__(self) -> None:
        self.training = True
        self.title = ""
        """What a drawing calls it, as it is written here; its class if empty."""
        self._name = ""

    _training: bool

    @property
    def training(self) -> bool:
        """Whether dropout drops. What `tx.jit` records of a module holds for the mode it is in."""
        is_training: bool = self._training
        capture.read_mode(self, is_training)
        return is_training

    @training.setter
    def training(self, mode: bool) -> None:
        object.__setattr__(self, "_training", bool(mode))
        capture.set_mode(self)

    def __setattr__(self, key: str, value: Any) -> None:
        before = vars(self).get(key)
        if isinstance(before, Tensor) and before.requires_grad and not isinstance(value, Module):
            check_parameter(type(self).__name__, key, before, value)
        if isinstance(value, (Module, Tensor)) and "_name" not in vars(self):
            raise _not_begun(type(self).__name__)
        if isinstance(value, Module):
            value._name = key
        object.__setattr__(self, key, value)

    if not TYPE_CHECKING:  # else a type checker would take every name for there

        def __getattr__(self, name: str) -> Any:
            if name in ("_name", "_training", "title"):
                raise _not_begun(type(self).__name__)
            raise no_such_name(type(self).__name__, name, dir(self), MODULE)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(explain(type(self).__name__, self._no_forward()))

    def _no_forward(self) -> str:
        return "defines no forward: add `def forward(self, x):`"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with scope(".".join(part for part in (current_scope(), self._name) if part)):
            return self.forward(*args, **kwargs)

    def __repr__(self) -> str:
        return outline(self)

    def children(self) -> Iterator[tuple[str, Module]]:
        """The parts of this module by name."""
        return ((k, v) for k, v in vars(self).items() if isinstance(v, Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, by path."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Tensors that ask for gradients, each once, by path.

        Errors: GraphError for parts or parameters in a plain list, which nobody would find.
        """
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Tensor):
                    if value.requires_grad and id(value) not in seen:
                        seen.add(id(value))
                        yield f"{path}.{name}" if path else name, value
                elif isinstance(value, (list, tuple, dict)) and not name.startswith("_"):
                    check_container(type(module).__name__, name, value, Module)

    def parameters(self) -> list[Tensor]:
        return [p for _, p in self.named_parameters()]

    def num_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(p.size for p in self.parameters())

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of all parameters by path."""
        return {name: p.numpy().copy() for name, p in self.named_parameters()}

    @knows_arguments
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """New values for all parameters. Errors: CheckpointError; then nothing has changed."""
        own = dict(self.named_parameters())
        check_state("load_state_dict", {name: p.shape for name, p in own.items()}, state)
        for name, parameter in own.items():
            parameter.assign_(np.asarray(state[name], parameter.dtype))

    def astype(self, dtype: Any) -> Self:
        """Turns all parameters into another element type, as new tensors; returns itself.

        Before an optimiser is made: one that exists keeps the old tensors.
        """
        for _, module in self.named_modules():
            for name, value in list(vars(module).items()):
                if isinstance(value, Tensor) and value.requires_grad:
                    new = tensor(value.numpy(), dtype, requires_grad=True)
                    object.__setattr__(module, name, new)
        return self

    @contextmanager
    def exchanged(self, values: Mapping[str, Tensor]) -> Iterator[None]:
        """Inside, the parameters named in `values` are those tensors: for functions of parameters.

        Errors: CheckpointError for a name that the module does not have.
        """
        modules = dict(self.named_modules())
        places = []
        for path, value in values.items():
            owner, _, name = path.rpartition(".")
            if not isinstance(vars(modules.get(owner, self)).get(name), Tensor):
                remedy = nearest(path, [name for name, _ in self.named_parameters()])
                what = f"there is no parameter {path!r}"
                raise CheckpointError(explain("exchanged", what, remedy=remedy))
            places.append((modules[owner], name, getattr(modules[owner], name), value))
        try:
            for module, name, _, value in places:
                object.__setattr__(module, name, value)
            yield
        finally:
            for module, name, before, _ in places:
                object.__setattr__(module, name, before)

    def train(self, mode: bool = True) -> Self:
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        return self.train(False)


class ModuleList(Module):
    """Parts in order; the path of the third of `blocks` is `blocks.2`."""

    def __init__(self, modules: list[Module]) -> None:
        super().__init__()
        self._items = list(modules)
        for i, module in enumerate(self._items):
            module._name = str(i)

    def children(self) -> Iterator[tuple[str, Module]]:
        return ((str(i), m) for i, m in enumerate(self._items))

    def _no_forward(self) -> str:
        return "is called part by part: for part in parts: x = part(x)"

    def __iter__(self) -> Iterator[Any]:
        for i, module in enumerate(self._items):
            # The list itself is not called, so that its name joins those of its parts here.
            module._name = f"{self._name}.{i}"
            yield module

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Module:
        return self._items[index]

    def __setitem__(self, index: int, module: Module) -> None:
        self._items[index] = module
        module._name = str(index)


def _not_begun(kind: str) -> NoSuchNameError:
    remedy = "call super().__init__() first in its __init__"
    return NoSuchNameError(explain(kind, "is a module that was not begun", remedy=remedy))
