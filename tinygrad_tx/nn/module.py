"""Module: parameters and parts by name. Calling one marks the graph with its path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.graph.place import current_scope, scope
from tinygrad_tx.nn.outline import outline
from tinygrad_tx.tensor import Tensor, tensor

__all__ = ["Module", "ModuleList"]


class Module:
    """Base of layers and models: define `forward`, and keep parameters and parts as attributes."""

    def __init__(self) -> None:
        self.training = True
        self.title = ""
        """What a drawing calls it, as it is written here; its class if empty."""
        self._name = ""

    def __setattr__(self, key: str, value: Any) -> None:
        if isinstance(value, Module):
            value._name = key
        object.__setattr__(self, key, value)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

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
        """Tensors that ask for gradients, each once, by path."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Tensor) and value.requires_grad and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def parameters(self) -> list[Tensor]:
        return [p for _, p in self.named_parameters()]

    def num_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(p.size for p in self.parameters())

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of all parameters by path."""
        return {name: p.numpy().copy() for name, p in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """New values for all parameters. Errors: CheckpointError; then nothing has changed."""
        own = dict(self.named_parameters())
        missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        wrong = [
            f"{k} is {np.shape(state[k])}, not {own[k].shape}"
            for k in own.keys() & state.keys()
            if tuple(np.shape(state[k])) != own[k].shape
        ]
        if missing or unknown or wrong:
            what = f"missing {missing}, unknown {unknown}, shapes {wrong}"
            raise CheckpointError(explain("load_state_dict", what))
        for name, parameter in own.items():
            parameter.assign_(np.asarray(state[name], parameter.dtype))

    def astype(self, dtype: Any) -> Self:
        """Turns all parameters into another element type, as new tensors; returns itself.

        Before an optimiser is made: one that exists keeps the old tensors.
        """
        for _, module in self.named_modules():
            for name, value in list(vars(module).items()):
                if isinstance(value, Tensor) and value.requires_grad:
                    setattr(module, name, tensor(value.numpy(), dtype, requires_grad=True))
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
                raise CheckpointError(explain("exchanged", f"there is no parameter {path!r}"))
            places.append((modules[owner], name, getattr(modules[owner], name), value))
        try:
            for module, name, _, value in places:
                setattr(module, name, value)
            yield
        finally:
            for module, name, before, _ in places:
                setattr(module, name, before)

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
