"""The loss curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tinygrad_tx.plots import picture_bytes

__all__ = ["loss_curve"]


def loss_curve(
    rows: Sequence[Mapping[str, Any]], baselines: Mapping[str, float], format: str
) -> bytes:
    """The picture of the losses by step, as "svg" or "png". Losses in nats for each token."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    steps = np.array([r["step"] for r in rows])
    losses = np.array([r["loss"] for r in rows])
    axes.plot(steps, losses, color="#9dbad5", linewidth=0.8, label="training, each batch")
    width = max(1, len(losses) // 50)
    if width > 1:
        smooth = np.convolve(losses, np.full(width, 1 / width), "valid")
        axes.plot(steps[width - 1 :], smooth, color="#1f5f99", label=f"training, mean of {width}")
    held = [(r["step"], r["validation"]) for r in rows if "validation" in r]
    if held:
        axes.plot(*zip(*held, strict=True), "o-", color="#c4572a", markersize=4, label="held out")
    for name, value in baselines.items():
        axes.axhline(value, color="#666666", linestyle="--", linewidth=1)
        axes.annotate(
            f"{name} {value:.3f}", (0.99, value), xycoords=("axes fraction", "data"),
            ha="right", va="bottom", fontsize=8, color="#444444",
        )  # fmt: skip
    axes.set_xlabel("step")
    axes.set_ylabel("cross-entropy (nats for each token)")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return picture_bytes(figure, format)
