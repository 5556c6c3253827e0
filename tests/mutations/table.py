"""Prints docs/mutations.md: which check catches which mutant, beside PyTorch's and JAX's checkers.

Theirs see the same forward values and the same wrong rule, wrapped as a torch.autograd.Function and
as a jax.custom_vjp, on the same samples with their default tolerances. Needs the extra `bench`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import compiler_mutants  # noqa: F401  # from this folder; registers more
from mutants import MUTANTS, Mutant  # from this folder
from suite import run_suite  # from this folder

from tinygrad_tx.graph.registry import find
from tinygrad_tx.testing import apply
from tinygrad_tx.testing.subjects import TensorSubject

HEAD = """# Planted bugs

A *mutant* is a bug that is planted to see whether the tests find it.

Made by `tests/mutations/table.py`. {count} plausible bugs, each switched on alone and run against
the suite with its default budget: the operator's row of samples, programs of parallel sizes, random
graphs and views, small transformers. "Samples" is how many were needed. `tests/mutations` runs all
of it in CI.

PyTorch's `torch.autograd.gradcheck` and JAX's `jax.test_util.check_grads` (reverse mode, order 1)
saw the same forward values and the same wrong rule, with their default tolerances, on the same
samples; "-" marks mutants that no checker of gradients can look for: kernels, NaN, threads, the
compiler, and rules of forward mode, which these wrappers do not have.

| mutant | caught by | samples | torch gradcheck | jax check_grads |
| --- | --- | --- | --- | --- |
"""


def samples(operator: str) -> Iterator[tuple[list[np.ndarray[Any, Any]], dict[str, Any]]]:
    row = find(operator).row
    assert row is not None
    for sample in row.samples(np.random.default_rng(7)):
        arrays = [np.asarray(a) for a in sample.inputs]
        if any(a.dtype == np.float64 and a.size for a in arrays):
            yield arrays, dict(sample.attrs)


def subject_of(operator: str, attrs: dict[str, Any]) -> TensorSubject:
    return TensorSubject(lambda *tensors: apply(operator, *tensors, **attrs), operator)


def torch_catches(operator: str) -> bool:
    import torch

    for arrays, attrs in samples(operator):
        subject = subject_of(operator, attrs)

        class Wrapped(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *inputs: Any) -> Any:
                ctx.given = [i.detach().numpy() for i in inputs]
                return tuple(torch.tensor(o) for o in subject.value(ctx.given))  # noqa: B023  # used within the round

            @staticmethod
            def backward(ctx: Any, *cotangents: Any) -> Any:
                real = [c.numpy() for c in cotangents]
                found = subject.vjp(ctx.given, real)  # noqa: B023  # used within the round
                pairs = zip(found, ctx.given, strict=True)
                return tuple(torch.tensor(g) if x.dtype.kind == "f" else None for g, x in pairs)

        inputs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
        try:
            torch.autograd.gradcheck(Wrapped.apply, inputs)
        except Exception:  # theirs raise what they like
            return True
    return False


def jax_catches(operator: str) -> bool:
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    for arrays, attrs in samples(operator):
        subject = subject_of(operator, attrs)
        real = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]

        def filled(
            values: Any, arrays: Any = arrays, real: Any = real
        ) -> list[np.ndarray[Any, Any]]:
            found = list(arrays)
            for i, v in zip(real, values, strict=True):
                found[i] = np.asarray(v)
            return found

        shapes = tuple(jax.ShapeDtypeStruct(o.shape, o.dtype) for o in subject.value(arrays))
        given = tuple(jax.ShapeDtypeStruct(arrays[i].shape, np.float64) for i in real)

        def value(
            *values: Any, subject: Any = subject, filled: Any = filled
        ) -> tuple[np.ndarray[Any, Any], ...]:
            return tuple(subject.value(filled(values)))

        def pulled(
            values: Any,
            cotangents: Any,
            subject: Any = subject,
            filled: Any = filled,
            real: Any = real,
        ) -> tuple[np.ndarray[Any, Any], ...]:
            found = subject.vjp(filled(values), [np.asarray(c) for c in cotangents])
            return tuple(found[i] for i in real)

        @jax.custom_vjp
        def wrapped(*values: Any, shapes: Any = shapes, value: Any = value) -> Any:
            return jax.pure_callback(value, shapes, *values)

        def ahead(*values: Any, shapes: Any = shapes, value: Any = value) -> Any:
            return jax.pure_callback(value, shapes, *values), values

        def back(values: Any, cotangents: Any, given: Any = given, pulled: Any = pulled) -> Any:
            return jax.pure_callback(pulled, given, values, cotangents)

        wrapped.defvjp(ahead, back)
        try:
            check_grads(wrapped, [arrays[i] for i in real], order=1, modes=["rev"])
        except Exception:  # theirs raise what they like
            return True
    return False


def cell(mutant: Mutant, catches: Callable[[str], bool]) -> str:
    if not mutant.rule or "forward mode" in mutant.what:
        return "-"
    return "caught" if catches(mutant.operator) else "**missed**"


def main() -> None:
    warnings.simplefilter("ignore")
    sys.stdout.write(HEAD.format(count=len(MUTANTS)))
    counts = {"torch": [0, 0], "jax": [0, 0]}
    missed = 0
    for mutant in MUTANTS:
        with mutant.switch():
            found = run_suite(mutant.operator)
            theirs = {"torch": cell(mutant, torch_catches), "jax": cell(mutant, jax_catches)}
        check, number = found or ("**missed**", 0)
        missed += found is None
        for name, text in theirs.items():
            counts[name][0] += text == "caught"
            counts[name][1] += text != "-"
        row = (mutant.name, check, str(number), theirs["torch"], theirs["jax"])
        sys.stdout.write(f"| {' | '.join(row)} |\n")
        sys.stdout.flush()
    sys.stdout.write(
        f"\nOurs caught {len(MUTANTS) - missed} of {len(MUTANTS)}. Of the {counts['torch'][1]} "
        f"wrong reverse rules torch.autograd.gradcheck caught {counts['torch'][0]}, "
        f"jax.test_util.check_grads {counts['jax'][0]}.\n"
    )


if __name__ == "__main__":
    main()
