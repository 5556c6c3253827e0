"""A user's program, checked by type checkers as users run them, and run as well.

`assert_type` fails where a public name's type is not the one that its users rely on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import tinygrad_tx as tx
from tinygrad_tx import Tensor, nn

Array = npt.NDArray[np.float32]


class Classifier(nn.Module):
    """A module of one's own."""

    def __init__(self, width: int, classes: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, 2 * width, rng)
        self.out = nn.Linear(2 * width, classes, rng)
        self.scale: Tensor = tx.ones((1,), requires_grad=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(tx.gelu(self.hidden(x)))
        return out * self.scale

    def loss(self, x: Tensor, target: Tensor) -> Tensor:
        return tx.cross_entropy(self(x), target)


def tensors() -> None:
    x = tx.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert_type(x, Tensor)
    assert_type(x + 1, Tensor)
    assert_type(2.0 * x, Tensor)
    assert_type(x @ x, Tensor)
    assert_type(x.sum(), Tensor)
    assert_type(x.mean(axis=0), Tensor)
    assert_type(x.reshape(4), Tensor)
    assert_type(x[0], Tensor)
    assert_type(x.T, Tensor)
    assert_type(x.shape, tuple[int, ...])
    assert_type(x.ndim, int)
    assert_type(tx.einsum("ij,jk->ik", x, x), Tensor)
    assert_type(tx.zeros((2, 3)), Tensor)
    assert_type(tx.float32.itemsize, int)
    array: npt.NDArray[Any] = x.numpy()
    assert array.shape == (2, 2)


def square(x: Tensor, factor: float = 1.0) -> Tensor:
    return (x * x * factor).sum()


def gradients() -> None:
    x = tx.tensor([1.0, 2.0])
    slope = tx.grad(square)
    assert_type(slope, Callable[..., Any])
    assert [float(v) for v in slope(x).numpy()] == [2.0, 4.0]
    value, gradient = tx.value_and_grad(square)(x)
    assert_type(value, Tensor)
    assert value.item() == 5.0
    assert gradient.shape == (2,)
    assert_type(tx.jacobian(lambda v: v * v)(x), Tensor)
    assert_type(tx.hessian(square)(x), Tensor)


@tx.jit
def doubled(x: Tensor, factor: float = 2.0) -> Tensor:
    return x * factor


def both(x: Tensor) -> tuple[Tensor, Tensor]:
    return x, x + 1


def jitted() -> None:
    x = tx.tensor([1.0, 2.0])
    assert_type(doubled(x), Tensor)
    assert_type(doubled(x, factor=3.0), Tensor)
    assert_type(doubled.plan(x).text(), str)
    assert_type(doubled(np.ones(2, np.float32)), Tensor)  # arrays where it says Tensor
    assert_type(tx.jit(both)(x), tuple[Tensor, Tensor])


def training(folder: Path) -> None:
    model = Classifier(4, 3, np.random.default_rng(0))
    optimizer = tx.optim.AdamW(model.parameters(), 1e-2)
    assert_type(model.parameters(), list[Tensor])
    assert_type(model.eval(), Classifier)
    assert_type(model.train(), Classifier)

    @tx.jit
    def step(x: Tensor, target: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = model.loss(x, target)
        loss.backward()
        optimizer.step()
        return loss

    x, target = tx.ones((8, 4)), tx.zeros((8,), dtype=tx.int64)
    first = step(x, target)
    assert_type(first, Tensor)
    assert step(x, target).item() < first.item()
    state: dict[str, npt.NDArray[Any]] = model.state_dict()
    model.load_state_dict(state)
    tx.draw(model, folder / "model.svg", inputs=(x,))
    assert (folder / "model.svg").exists()


def reasoning() -> None:
    model = tx.models.GPT(tx.models.GPTConfig(17, 8, 1, 1, 32))
    tokens = np.arange(8).reshape(1, 8) % 17
    found = tx.reasoning.points(model, tokens)
    assert_type(found, dict[str, tx.reasoning.Point])
    kept = tx.reasoning.capture(model, tokens, at="blocks.0.residual_before")
    assert_type(kept, tx.reasoning.Activations)


def main(folder: Path) -> None:
    tensors()
    gradients()
    jitted()
    training(folder)
    reasoning()


if __name__ == "__main__":
    main(Path())
