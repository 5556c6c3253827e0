"""The rewrite view against counts that know nothing of it: serial numbers and operators."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.compiler.pipeline import PASSES, passes
from tinygrad_tx.errors import DrawError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.viz.changes import changes_of, is_operation, operations_in
from tinygrad_tx.viz.dot import dot_of
from tinygrad_tx.viz.mermaid import mermaid_of
from tinygrad_tx.viz.names import Names
from tinygrad_tx.viz.picture import Box, Picture
from tinygrad_tx.viz.rewrite_view import rewrite_picture, rewritten
from tinygrad_tx.viz.shorten import shortened
from tinygrad_tx.viz.theme import THEMES

TOKENS = np.zeros((2, 8), np.int64)


def gpt(layers: int = 1) -> tx.models.GPT:
    return tx.models.GPT(tx.models.GPTConfig(17, 8, layers, 2, 32))


def training_step() -> tuple[Any, tuple[Any, ...]]:
    model = gpt()
    optimizer = tx.optim.AdamW(model.parameters(), lr=1e-3)

    @tx.jit
    def step(tokens: Any, targets: Any) -> Any:
        optimizer.zero_grad()
        loss = model.loss(tokens, targets)
        loss.backward()
        optimizer.step()
        return loss

    return step, (TOKENS, TOKENS)


def drawn(outputs: list[Node], chosen: Any = None) -> Picture:
    return rewrite_picture(*rewritten(outputs, chosen), Names(), False)[0]


def boxes_of(picture: Picture, side: str, change: str) -> list[Box]:
    return [b for b in picture.boxes.values() if b.frame[0] == side and b.change == change]


def serials(outputs: Any) -> set[int]:
    return {n.serial for n in collect(outputs) if is_operation(n)}


def test_the_names_of_the_passes_are_those_that_run() -> None:
    assert [name for name, _ in passes(generate=True)] == [p.name for p in PASSES]


@pytest.mark.parametrize("chosen", [None, *(p.name for p in PASSES)])
def test_counts_agree_with_serial_numbers(chosen: str | None) -> None:
    step, inputs = training_step()
    before, after = rewritten(step.graph(*inputs), chosen)
    changes = changes_of(before, after)
    old, new = serials(before), serials(after)
    same = sum(a is b for a, b in changes.kept.items())
    rebuilt = len(changes.kept) - same
    assert (len(changes.before), len(changes.after)) == (len(old), len(new))
    assert same == len(old & new)
    assert len(changes.gone) + len(changes.moved) + rebuilt == len(old - new)
    assert len(changes.new) + rebuilt == len(new - old)
    # A twin stands for one operation only.
    assert len(set(changes.kept.values())) == len(changes.kept)
    picture = drawn(list(step.graph(*inputs)), chosen)
    assert len(boxes_of(picture, "before", "gone")) == len(changes.gone)
    assert len(boxes_of(picture, "before", "moved")) == len(changes.moved)
    found = boxes_of(picture, "after", "new") + boxes_of(picture, "after", "group")
    assert len(found) == len(changes.new)
    assert f"{len(old)} operations before, {len(new)} after" in picture.note
    for word, count in (("gone", len(changes.gone)), ("new", len(changes.new))):
        said = re.search(rf"(\d+) {word}", picture.note)
        assert (int(said.group(1)) if said else 0) == count


def test_what_is_kept_on_other_inputs_is_the_same_operation() -> None:
    step, inputs = training_step()
    changes = changes_of(*rewritten(step.graph(*inputs)))
    rebuilt = [(a, b) for a, b in changes.kept.items() if a is not b]
    assert rebuilt
    for old, new in rebuilt:
        assert (old.op, old.outputs, old.scope) == (new.op, new.outputs, new.scope)
        assert dict(old.attrs) == dict(new.attrs)


def test_groups_hold_every_operation_that_moved_into_them() -> None:
    step, inputs = training_step()
    changes = changes_of(*rewritten(step.graph(*inputs)))
    assert len(changes.moved) > 100
    moved: dict[Node, Counter[str]] = {}
    for node, home in changes.moved.items():
        moved.setdefault(home, Counter())[node.op.name] += 1
    for home, names in moved.items():
        assert names <= Counter(operations_in(home))


def test_each_change_of_a_small_graph_is_found() -> None:
    """x * 1 goes; a sum and an exponential become one group; the product stays."""
    x, w = tx.ones((2, 3)), tx.ones((3, 4))
    result = tx.softmax(tx.exp((x @ w) * 1.0 + w.sum(axis=0)).T)
    picture = drawn([result.node])
    assert [b.title for b in boxes_of(picture, "before", "gone")] == ["multiply 1"]
    titles = sorted(b.title for b in boxes_of(picture, "before", "moved"))
    assert titles == ["add", "exp", "matmul"]
    (group,) = boxes_of(picture, "after", "group")
    assert group.lines == ("matmul · add · exp",)
    assert ("inside", "matmul, add, exp") in group.facts
    assert all(b.lines == ("→ group 1",) for b in boxes_of(picture, "before", "moved"))
    assert boxes_of(picture, "after", "new") == []
    kept = [sorted(b.title for b in boxes_of(picture, s, "kept")) for s in ("before", "after")]
    assert kept[0] == kept[1]
    assert "softmax" in kept[0]


def test_a_composite_that_nothing_serves_is_gone_and_its_primitives_are_new() -> None:
    inner = tx.checkpoint(lambda x: tx.exp(x).sum())(tx.ones((2, 3)))
    changes = changes_of(*rewritten([tx.tanh(inner).node], "expand"))
    assert [n.op.name for n in changes.gone] == ["call"]
    assert [n.op.name for n in changes.new] == ["exp", "sum"]
    assert [n.op.name for n in changes.kept] == ["tanh"]


def test_passes_before_the_first_chosen_one_have_run() -> None:
    x = tx.ones((2, 3))
    picture = drawn([(tx.exp(x * 1.0) + 1.0).node], "fuse")
    assert boxes_of(picture, "before", "gone") == []
    assert all("multiply" not in b.title for b in picture.boxes.values())
    (group,) = boxes_of(picture, "after", "group")
    assert group.lines == ("exp · add",)


def test_a_graph_that_no_pass_changes_says_so() -> None:
    picture = drawn([(tx.ones((3, 2)) @ tx.ones((2, 3))).node])
    assert "nothing changed" in picture.note
    assert {b.change for b in picture.boxes.values()} == {"", "kept"}


def test_arrows_stay_on_their_side() -> None:
    step, inputs = training_step()
    picture = drawn(list(step.graph(*inputs)))
    assert picture.arrows
    for arrow in picture.arrows:
        assert picture.boxes[arrow.source].frame[0] == picture.boxes[arrow.target].frame[0]


@pytest.mark.parametrize("budget", [4, 40, 150])
def test_a_shortened_picture_keeps_both_sides_and_counts_what_it_closed(budget: int) -> None:
    step, inputs = training_step()
    whole = drawn(list(step.graph(*inputs)))
    small = shortened(whole, budget)
    assert len(small.boxes) <= max(budget, 6)
    assert {b.frame[0] for b in small.boxes.values()} == {"before", "after"}
    for word in ("moved", "gone", "new"):
        shown = sum(b.change == word and not b.key.startswith("box ") for b in small.boxes.values())
        lines = " ".join(line for b in small.boxes.values() for line in b.lines)
        closed = sum(int(n) for n in re.findall(rf"(\d+) {word}\b", lines))
        assert shown + closed == sum(b.change == word for b in whole.boxes.values())


def test_changes_differ_in_line_as_in_colour() -> None:
    x = tx.ones((2, 3))
    picture = drawn([tx.exp(x * 1.0 + 2.0).node])
    for name, theme in THEMES.items():
        dot = dot_of(picture, name)
        (gone,) = [line for line in dot.splitlines() if "multiply 1" in line]
        assert "dashed" in gone
        assert theme.changes["gone"] in gone
        (group,) = [line for line in dot.splitlines() if "group 1\\n" in line and "→" not in line]
        assert "dashed" not in group
        assert "penwidth=2.8" in group
    greys = {
        sum(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in THEMES["light"].changes.values()
    }
    assert len(greys) == 4  # a group has the colour of what moved into it
    text = mermaid_of(picture)
    assert re.search(r"classDef gone .*stroke-dasharray", text)
    assert re.search(r"classDef group .*stroke-width:3px", text)


def test_chinese_says_what_became_of_each() -> None:
    dot = dot_of(drawn([tx.exp(tx.ones((2,)) * 1.0 + 2.0).node]), language="zh")
    for word in ("之前", "之后", "融合组 1", "1 消去"):
        assert word in dot


@pytest.mark.parametrize("chosen", ["shrink", (), ("fuse", "shrink")])
def test_unknown_passes_are_refused_with_the_names_there_are(chosen: Any) -> None:
    with pytest.raises(DrawError, match=", ".join(p.name for p in PASSES)):
        rewritten([tx.ones((2,)).node], chosen)


def test_equal_operations_with_other_attributes_are_not_taken_for_each_other() -> None:
    x = tx.ones((3, 3))
    earlier = x.sum(axis=0)  # its node is older than what the pass finds it for
    ones = [(x * 1.0).sum(axis=1), (x * 1.0).sum(axis=0)]
    changes = changes_of(*rewritten([t.node for t in ones], "simplify"))
    assert changes.kept[ones[1].node] is earlier.node
    assert all(dict(a.attrs) == dict(b.attrs) for a, b in changes.kept.items())


def test_equal_operations_become_one_and_their_readers_stay() -> None:
    """Names keep two exponentials apart until simplify shares them."""
    x = tx.ones((2, 2))
    named = [Builder().point(tx.exp(x).node, name=n) for n in ("one", "other")]
    b = Builder()
    result = b.matmul(b.sqrt(named[0]), b.permute_dims(b.sqrt(named[1]), axes=(1, 0)))
    changes = changes_of(*rewritten([result], "simplify"))
    assert Counter(n.op.name for n in changes.gone) == {"point": 2, "sqrt": 1}
    assert changes.new == ()
