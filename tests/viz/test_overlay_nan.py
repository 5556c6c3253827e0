"""Where the first NaN arises: flaws that were planted are found, masks are none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tests.viz.measured import (
    RNG,
    TOKENS,
    drawn,
    gpt,
)
from tinygrad_tx.runtime.not_finite import first_not_finite


@pytest.mark.parametrize(
    ("weight", "key"),
    [
        ("blocks.1.feed_forward.up.weight", "box blocks.0.feed_forward"),
        ("blocks.2.attention.qkv.bias", "box blocks.0.attention"),
        ("norm.weight", "box norm"),
        ("position.weight", "box position"),
        ("embedding.weight", "box embedding"),  # tied: the logits read it too
    ],
)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_bad_weight_is_found_in_the_box_that_holds_it(
    weight: str, key: str, value: float
) -> None:
    model = gpt()
    parameter = dict(model.named_parameters())[weight]
    array = parameter.numpy().copy()
    array.flat[3] = value
    parameter.assign_(array)
    picture = drawn(model, inputs=(TOKENS,), overlay="nan")
    assert [k for k, box in picture.boxes.items() if box.marked] == [key]
    for part in (weight, f"not finite: 1 / {array.size:,}", str(value)):
        assert part in picture.note
        assert part in " ".join(picture.boxes[key].lines)


@pytest.mark.parametrize("view", ["blocks", "ops"])
def test_a_bad_product_is_found_where_it_arises_with_its_place(view: Any) -> None:
    x = tx.tensor([[1e30, 1.0], [1.0, 1.0]])
    product = x @ x
    picture = drawn(tx.exp(product - product), view=view, overlay="nan")
    (box,) = [b for b in picture.boxes.values() if b.marked]
    assert "matmul" in box.key
    assert "not finite: 1 / 4" in box.lines
    assert "inf at (0, 0)" in box.lines
    assert "test_overlay_nan.py" in picture.note


def test_a_flaw_of_the_backward_pass_is_found_there() -> None:
    x = tx.tensor([0.0, 1.0], requires_grad=True)
    picture = drawn(tx.sqrt(x) * 2.0, view="gradient", overlay="nan")
    assert [key for key, box in picture.boxes.items() if box.marked] == ["box backward"]


def test_all_finite_is_said_and_masks_are_no_finding() -> None:
    picture = drawn(gpt(1), inputs=(TOKENS,), overlay="nan", depth=3)
    assert picture.note == "every value is finite"
    assert not any(box.marked for box in picture.boxes.values())
    q = RNG.normal(size=(1, 1, 4, 4)).astype(np.float32)
    out = tx.attention(q, q, q, mask=np.tri(4, dtype=bool), bias=tx.tensor(q) * 2.0)
    assert first_not_finite([out.node]) is None


def test_a_nan_under_a_mask_is_still_found() -> None:
    hidden = tx.where(np.array([True, False, False]), tx.ones((3,)), float("-inf"))
    found = first_not_finite([(hidden - hidden).node])
    assert found is not None
    assert found.node.op.name == "subtract"
    assert (found.count, found.index) == (2, (1,))
    assert math.isnan(found.value)


def test_a_mark_survives_shortening() -> None:
    x = tx.tensor([1.0, 0.0])
    for step in range(2000):
        x = tx.log(x) if step == 1000 else x * 0.999
    picture = drawn(x, view="ops", overlay="nan")
    assert len(picture.boxes) <= 600
    assert sum(box.marked for box in picture.boxes.values()) == 1
