"""Plausible bugs of the compiler; importing this registers them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from mutants import MUTANTS, Mutant  # from this folder

from tinygrad_tx.compiler import (
    emit,
    epilogue,
    fuse,
    generate,
    lower,
    memory,
    pipeline,
    simplify,
)
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.runtime import evaluate


def compiler(name: str, what: str, switch: Callable[[], Any]) -> None:
    @contextmanager
    def alone() -> Iterator[None]:
        """No plan and no source from before is used, and none outlives the mutant."""
        _forget()
        with switch():
            yield
        _forget()

    MUTANTS.append(Mutant(f"{name}: {what}", "", what, alone, rule=False))


def _forget() -> None:
    generate.fused_kernel.cache_clear()
    evaluate._programs.clear()


def stale() -> Any:
    """Buffers are given back one step before their last reader."""
    right, wrong = "ends.setdefault(home.last, [])", "ends.setdefault(max(home.last - 1, i), [])"
    source = inspect.getsource(memory.plan_memory)
    assert right in source
    space = dict(vars(memory))
    exec(source.replace(right, wrong), space)
    return patch.object(pipeline, "plan_memory", space["plan_memory"])


compiler("memory", "a buffer is used again while it is read", stale)


def overwrite_live() -> Any:
    """Elementwise results overwrite inputs that somebody still reads."""
    right = lower.NodeLowering._over_dying_input

    def wrong(self: Any, aval: Any, reads: Any, taken: Any) -> Any:
        with patch.object(self.planner, "ends", _Never()):
            return right(self, aval, reads, taken)

    return patch.object(lower.NodeLowering, "_over_dying_input", wrong)


class _Never:
    def get(self, key: Any, default: Any) -> int:
        return -1


compiler("lower", "a result overwrites an input that is still read", overwrite_live)
compiler("emit", "the sign of a stride is lost", lambda: patch.object(emit, "_moves", _no_sign))
compiler(
    "emit",
    "a broadcast axis is walked",
    lambda: patch.object(emit, "_motion", lambda step, inner: "unit"),
)


_moves = emit._moves


def _no_sign(view: Any, steps: Any, motion: Any, is_flat: bool) -> Any:
    return _moves(view, tuple(abs(s) for s in steps), motion, is_flat)


def half_neutral() -> Any:
    """x * 0.5 is taken for x."""
    right = simplify._without_neutral

    def wrong(b: Builder, node: Node) -> Node | None:
        if node.op.name == "multiply" and simplify.scalar_of(node.inputs[1]) == 0.5:
            return node.inputs[0]
        return right(b, node)

    return patch.object(simplify, "_without_neutral", wrong)


compiler("simplify", "0.5 counts as a neutral factor", half_neutral)


def views_merged() -> Any:
    """Two permutations in a row are composed in the wrong order."""
    right = simplify._simpler_view

    def wrong(b: Builder, node: Node) -> Node:
        source = node.inputs[0]
        if node.op.name == source.op.name == "permute_dims":
            axes = tuple(node.attrs["axes"][a] for a in source.attrs["axes"])
            result: Node = b.permute_dims(source.inputs[0], axes=axes)
            return result if result.shape == node.shape else right(b, node)
        return right(b, node)

    return patch.object(simplify, "_simpler_view", wrong)


compiler("simplify", "permutations are composed in the wrong order", views_merged)


def duplicated() -> Any:
    """A fused kernel reads its first input for its second."""

    def wrong(outputs: Sequence[Node]) -> tuple[Node, ...]:
        done = fuse.fuse(outputs)
        new: dict[Node, Node] = {}
        for node in fuse.collect(done):
            inputs = tuple(new.get(i, i) for i in node.inputs)
            if node.op.name == "fused" and len(inputs) > 1 and inputs[0].aval == inputs[1].aval:
                inputs = (inputs[0], inputs[0], *inputs[2:])
            moved = Builder().rebuild(node, inputs)
            new[node] = moved
        return tuple(new[o] for o in done)

    changed = [replace(p, run=wrong) if p.name == "fuse" else p for p in pipeline.PASSES]
    return patch.object(pipeline, "PASSES", tuple(changed))


compiler("fuse", "a kernel reads its first input twice", duplicated)


def reversed_pieces() -> Any:
    """The cotangents of neighbouring slices change places."""
    right = simplify._joined

    def wrong(b: Builder, node: Node) -> Node | None:
        joined = right(b, node)
        if joined is None or joined.op.name != "concat":
            return joined
        result: Node = b.concat(*joined.inputs[::-1], axis=joined.attrs["axis"])
        return result if result.shape == joined.shape else joined

    return patch.object(simplify, "_joined", wrong)


compiler("simplify", "joined slices change places", reversed_pieces)


def other_input() -> Any:
    """An epilogue takes another input of its group for the product."""
    right = epilogue._product

    def wrong(node: Node, users: Any, wanted: Any) -> Any:
        found = right(node, users, wanted)
        return found and ((found[0] + 1) % len(node.inputs), found[1])

    return patch.object(epilogue, "_product", wrong)


compiler("epilogue", "the product stands for another input", other_input)


def short_sum() -> Any:
    """A sum leaves out the first element."""
    right = generate._summed

    def wrong(body: Any, ports: Any) -> list[str]:
        return [line.replace("range(0, m", "range(1, m") for line in right(body, ports)]

    return patch.object(generate, "_summed", wrong)


compiler("generate", "a sum leaves out the first element", short_sum)
