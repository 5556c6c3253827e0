"""A network that solves a differential equation: the damped pendulum, from its equation alone.

    u'' + 0.3 u' + sin u = 0,   u(0) = 2,   u'(0) = 0,   0 <= t <= 6

No solution is shown to it. The loss is how far the network's own second derivative is from what the
equation wants, so that each step differentiates through derivatives: third order in all, recorded
and compiled as one Program. Judged by SciPy's integrator. Source: Raissi et al. 2019.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.integrate import solve_ivp

import tinygrad_tx as tx

END, START, DAMPING = 6.0, 2.0, 0.3


class Curve(tx.nn.Module):
    """t (times,) to u (times,): a perceptron, shaped so that u(0) = 2 and u'(0) = 0 always hold."""

    def __init__(self, width: int) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.first = tx.nn.Linear(1, width, rng, deviation=2.0)
        self.second = tx.nn.Linear(width, width, rng, deviation=width**-0.5)
        self.last = tx.nn.Linear(width, 1, rng, deviation=width**-0.5)

    def forward(self, t: tx.Tensor) -> tx.Tensor:
        x = t.reshape(-1, 1) * (2 / END) - 1
        h = tx.tanh(self.second(tx.tanh(self.first(x))))
        # From 0, with slope 0, to 4 at most: a factor that grows on would make errors grow.
        return START + 4 * t * t / (1 + t * t) * self.last(h).reshape(-1)


def main(steps: int, width: int, points: int) -> None:
    # Second derivatives want more digits than float32 has.
    curve = Curve(width).astype(tx.float64)
    optimizer = tx.optim.Adam(curve.parameters())
    rate = tx.optim.cosine(5e-3, steps, warmup=steps // 20, floor=0.01)

    def residual(t: tx.Tensor) -> tx.Tensor:
        """What is left of the equation at each time: (times,).

        All ones as a tangent: u at one time does not depend on the others.
        """
        ones = tx.ones_like(t)

        def slope(s: tx.Tensor) -> tx.Tensor:
            return tx.jvp(curve, (s,), (ones,))[1]

        first, second = tx.jvp(slope, (t,), (ones,))
        return second + DAMPING * first + tx.sin(curve(t))

    @tx.jit
    def step(t: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = (residual(t) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    rng = np.random.default_rng(0)
    for number in range(steps):
        optimizer.lr = rate(number)
        loss = step(np.sort(rng.uniform(0, END, points)))
        if number % max(1, steps // 6) == 0:
            print(f"step {number:5}  mean square of what is left {loss.item():.2e}")

    t = np.linspace(0, END, 61)
    found = curve(tx.as_tensor(t)).numpy()
    true = solve_ivp(
        lambda _, y: (y[1], -DAMPING * y[1] - np.sin(y[0])), (0, END), (START, 0.0), t_eval=t,
        rtol=1e-10, atol=1e-12,
    ).y[0]  # fmt: skip
    # The pendulum of the textbook: sin u taken for u.
    decay, turn = DAMPING / 2, (1 - DAMPING**2 / 4) ** 0.5
    small = START * np.exp(-decay * t) * (np.cos(turn * t) + decay / turn * np.sin(turn * t))
    for i in range(0, 61, 10):
        print(f"t {t[i]:.0f}: network {found[i]:+.4f}, integrator {true[i]:+.4f}")
    print(
        f"largest error: network {abs(found - true).max():.1e}, "
        f"small-angle formula {abs(small - true).max():.1e}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A network that solves a differential equation.")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    if parser.parse_args().quick:
        main(steps=10, width=8, points=16)
    else:
        main(steps=8000, width=32, points=64)
