"""What boxes and frames are called, and that their titles can be read where they stand."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.viz.names import usual_depth
from tinygrad_tx.viz.picture import duration
from tinygrad_tx.viz.render import renderer

X = np.zeros((2, 4), np.float32)


@tx.custom_op
def swish(x: Any) -> Any:
    return x * tx.sigmoid(x)


half = tx.custom_op(lambda a: a / 2, result=lambda x: (x.shape, x.dtype))


class Net(tx.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = tx.nn.FeedForward(4, 8, np.random.default_rng(0))

    def forward(self, x: Any) -> Any:
        return half(swish(tx.checkpoint(self.inner)(x)) / 8**0.5)


def titles(view: Any, **options: Any) -> list[str]:
    picture = tx.draw(Net(), inputs=(X,), view=view, **options).picture
    return [box.title for box in picture.boxes.values()]


def test_a_custom_operator_is_called_by_its_function() -> None:
    blocks, ops = titles("blocks"), titles("ops")
    assert {"Swish", "Custom Operator"} <= set(blocks)
    assert {"swish", "custom operator"} <= set(ops)
    assert not {"Call", "External", "call lambda"} & {*blocks}


def test_what_is_computed_again_is_drawn_as_the_modules_that_it_is() -> None:
    assert "Feed Forward" in titles("blocks", depth=0)
    assert {"Linear", "GELU"} <= set(titles("blocks", depth=1))


def test_a_constant_that_another_model_made_first_opens_nothing() -> None:
    x = tx.tensor(X).node
    two = Builder("blocks.0").full(x.shape, 2.0, x.dtype)  # one node for all who ask for it
    assert usual_depth([Builder("encoder.blocks.0").multiply(x, two)]) == 2


@pytest.mark.parametrize("view", ["ops", "rewrite"])
def test_constants_are_short(view: Any) -> None:
    assert "divide 2.828" in titles(view, **({"passes": "fuse"} if view == "rewrite" else {}))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 seconds"), (59.94, "59.9 seconds"), (60, "1.0 minutes"), (5400, "1.5 hours")],
)
def test_a_duration_is_said_in_the_largest_unit_that_it_fills(seconds: float, said: str) -> None:
    assert duration(seconds) == said


# Titles of frames and the arrows around them, by where Graphviz puts both


def on_curve(spline: str) -> Iterator[tuple[float, float]]:
    """Points of an arrow, closer together than a letter is wide: Bézier pieces, then its tip."""
    words = [w.split(",") for w in spline.split()]
    ends = [(float(w[1]), float(w[2])) for w in words if w[0] == "e"]
    points = np.array([[float(v) for v in w[-2:]] for w in words if w[0] not in ("e", "s")])
    t = np.linspace(0, 1, 300)[:, None]
    for i in range(0, len(points) - 1, 3):
        a, b, c, d = points[i : i + 4]
        yield from (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
    for tip in ends:
        yield from points[-1] + (np.array(tip) - points[-1]) * t


def crossed(drawing: Any) -> tuple[list[str], int]:
    """Titles of frames that an arrow runs through, and how many frames there are."""
    words = [renderer(), "-Tjson"]
    done = subprocess.run(words, input=drawing.dot.encode(), capture_output=True, check=True)
    graph = json.loads(done.stdout)
    points = np.array([p for e in graph["edges"] for p in on_curve(e["pos"])])
    frames = [o for o in graph["objects"] if o["name"].startswith("cluster")]
    found = []
    for frame in frames:
        x, y = map(float, frame["lp"].split(","))
        wide, high = float(frame["lwidth"]) * 72, float(frame["lheight"]) * 72
        lines = re.split(r"\\[lr]", frame["label"].removesuffix("\\l").removesuffix("\\r"))
        text = " ".join(line.strip("\N{NO-BREAK SPACE}") for line in lines)
        longest = max(len(line.strip("\N{NO-BREAK SPACE}")) for line in lines)
        # A space is half as wide as a letter at least.
        own = wide * longest / (longest + 0.5 * (len(lines[0]) - longest))
        ends = x - wide / 2, x + wide / 2
        left, right = (ends[0], ends[0] + own)
        if frame["label"].endswith("\\r"):
            left, right = ends[1] - own, ends[1]
        over = (points[:, 0] > left) & (points[:, 0] < right) & (abs(points[:, 1] - y) < high / 2)
        found += [text] if over.any() else []
    return found, len(frames)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_no_arrow_runs_through_the_title_of_a_frame(depth: int) -> None:
    if not renderer().endswith("dot"):
        pytest.skip("dot is not here")
    config = tx.models.GPTConfig(65, 16, 4, 2, 32)
    drawing = tx.draw(tx.models.GPT(config).eval(), depth=depth)
    found, frames = crossed(drawing)
    assert found == []
    assert frames == {1: 1, 2: 3, 3: 4}[depth]


def test_in_a_comparison_few_titles_are_crossed() -> None:
    if not renderer().endswith("dot"):
        pytest.skip("dot is not here")
    model = tx.models.GPT(tx.models.GPTConfig(65, 16, 1, 2, 32)).eval()
    found, frames = crossed(tx.draw(model, view="rewrite", passes="fuse"))
    assert frames > 20
    assert len(found) < frames / 8
