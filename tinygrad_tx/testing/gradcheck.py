"""gradcheck: derivatives against finite differences, along random directions.

For f(x) with a random unit cotangent c and a random unit direction u, g(t) = <c, f(x + t s u)> is
a function of one number; its slope at 0 must be <vjp(c), s u> (reverse mode) and <c, jvp(s u)>
(forward mode). s is max(1, |x|) for each element, or |x| where that leaves the domain. All in
float64. What is allowed stands in differences.py. Only a failure costs the whole Jacobian.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from tinygrad_tx.errors import explain
from tinygrad_tx.missing import knows_arguments
from tinygrad_tx.tensor.tensor import Tensor
from tinygrad_tx.testing.blame import explained
from tinygrad_tx.testing.differences import EPSILON, KINK, STEPS, Slope, one_sided, slope
from tinygrad_tx.testing.report import (
    CheckInputError,
    Failure,
    GradientError,
    OutsideDomainError,
    Report,
    finished,
)
from tinygrad_tx.testing.subjects import (
    Array,
    NumpySubject,
    Subject,
    TensorSubject,
    is_real,
)

__all__ = ["check_jacobian", "gradcheck", "gradient_slope"]

TRANSPOSES = 1e-9
"""Reverse and forward mode are one sum in two orders: they may differ by this much of it."""
ELEMENTS = 256
"""Of how many elements at most the Jacobian is made to explain a failure."""


@knows_arguments
def gradcheck(
    f: Callable[..., Any] | Subject,
    inputs: Any,
    *,
    gradient: Callable[..., Any] | None = None,
    vjp: Callable[..., Any] | None = None,
    order: int = 1,
    modes: Sequence[str] = ("reverse", "forward"),
    directions: int = 3,
    seed: int = 0,
    relative: float = 1e-6,
    max_discarded: float = 0.5,
    kinks: Literal["discard", "bounded"] = "discard",
    name: str = "",
) -> Report:
    """Checks the derivatives of `f` at `inputs`; returns what was done.

    f: a function of tx tensors that returns tensors (nests of them are fine); of NumPy arrays with
    `gradient(*inputs)` where its result is one number, or with `vjp(cotangent, *inputs)`; or
    `from_torch(f)`, `from_jax(f)`. inputs: an array or a sequence of arrays; the floating-point
    ones are taken in float64, integers are passed on.
    order: 2 also checks the gradient's own derivatives. max_discarded: what share of the samples
    may say nothing, being at a kink or beside the domain. kinks: "bounded" also demands that at a
    kink the derivative lies between the one-sided slopes of each result, which is so for a single
    operator (ties share evenly, relu at 0) but not for every sum of such.
    Errors: GradientError for a wrong gradient; CheckInputError where nothing can be checked.
    """
    started = time.perf_counter()
    subject = _subject_of(f, gradient, vjp, name)
    arrays = _arrays_of(subject.name, inputs)
    outputs = _outputs_of(subject, arrays)
    report = Report(subject.name)
    rng = np.random.default_rng(seed)
    unknown = {modes} if isinstance(modes, str) else set(modes) - {"reverse", "forward"}
    if unknown or directions < 1:
        what = f"modes {modes!r}, directions {directions}"
        remedy = 'modes is a tuple of "reverse" and "forward"; directions is at least 1'
        raise CheckInputError(explain("gradcheck", what, remedy=remedy))
    used = [m for m in subject.modes if m in modes]
    for _ in range(directions):
        cotangents = _unit(rng, [o for o in outputs if is_real(o)])
        moves = _unit(rng, arrays)
        _check_direction(subject, arrays, cotangents, moves, used, relative, kinks, report)
    _check_linearity(subject, arrays, outputs, rng, report)
    if report.samples and (report.kinks + report.discarded) > max_discarded * report.samples:
        raise CheckInputError(
            f"{subject.name}: {report.kinks} of {report.samples} samples are at kinks and "
            f"{report.discarded} beside the domain, more than {max_discarded:.0%}; choose other "
            "inputs, or raise max_discarded."
        )
    if order > 1:
        if not isinstance(subject, TensorSubject):
            raise CheckInputError(f"{subject.name}: order {order} needs a function of tx tensors.")
        real = [o for o in outputs if is_real(o)]
        inner = subject.gradient(_unit(rng, real))
        part = gradcheck(
            inner,
            arrays,
            order=order - 1,
            modes=modes,
            directions=directions,
            seed=seed + 1,
            relative=relative,
            max_discarded=1.0,
            kinks="discard",
        )
        finished.pop()
        report.add(part)
    report.seconds = time.perf_counter() - started
    finished.append(report)
    return report


def check_jacobian(f: Callable[..., Any], x: Any, jacobian: Any, relative: float = 1e-6) -> Report:
    """Checks a matrix of derivatives, result.shape + x.shape, that somebody computed."""
    claimed = np.asarray(jacobian, np.float64)

    def pulled(cotangent: Array, value: Array) -> Array:
        return np.tensordot(cotangent, claimed, cotangent.ndim).reshape(value.shape)

    def plain(value: Array) -> Array:
        found = f(value)
        return np.asarray(found.numpy() if isinstance(found, Tensor) else found, np.float64)

    return gradcheck(plain, (x,), vjp=pulled, relative=relative, name="jacobian")


def _subject_of(
    f: Any, gradient: Callable[..., Any] | None, vjp: Callable[..., Any] | None, name: str
) -> Subject:
    if gradient is not None or vjp is not None:
        if gradient is not None and vjp is not None:
            raise CheckInputError("gradcheck: give gradient= or vjp=, not both.")
        subject: Any = NumpySubject(f, gradient, vjp)
    elif hasattr(f, "vjp") and hasattr(f, "value"):
        subject = f
    else:
        subject = TensorSubject(f)
    subject.name = name or subject.name
    found: Subject = subject
    return found


def _arrays_of(name: str, inputs: Any) -> list[Array]:
    given = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    arrays = []
    for i, value in enumerate(given):
        array = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise CheckInputError(f"{name}: input {i} has dtype {array.dtype}; give numbers.")
        arrays.append(array.astype(np.float64) if is_real(array) else np.array(array))
    if not any(is_real(a) for a in arrays):
        kinds = ", ".join(str(a.dtype) for a in arrays) or "nothing"
        raise CheckInputError(
            f"{name}: no input is of a floating-point type, got {kinds}; gradients need one."
        )
    return arrays


def _outputs_of(subject: Subject, arrays: list[Array]) -> list[Array]:
    """The results; checked for what would make every comparison meaningless."""
    outputs, again = subject.value(arrays), subject.value(arrays)
    for i, (first, second) in enumerate(zip(outputs, again, strict=True)):
        if first.shape != second.shape or not np.array_equal(
            first, second, equal_nan=is_real(first)
        ):
            raise CheckInputError(
                f"{subject.name}: called twice with the same inputs, result {i} differs; the "
                "function has side effects or draws random numbers. Fix its seed inside."
            )
    if not any(is_real(o) for o in outputs):
        kinds = ", ".join(f"{o.dtype}" for o in outputs)
        raise CheckInputError(
            f"{subject.name}: nothing to differentiate: it returns {kinds}, no real number."
        )
    for i, output in enumerate(outputs):
        if is_real(output) and not np.isfinite(output).all():
            bad = tuple(int(k) for k in np.argwhere(~np.isfinite(output))[0])
            raise OutsideDomainError(
                f"{subject.name}: result {i} is {output[bad]} at {bad}; choose inputs where it is "
                "finite."
            )
    return outputs


def _unit(rng: np.random.Generator, like: Sequence[Array]) -> list[Array]:
    """Random directions for real arrays, of joint length 1; zeros for integers."""
    drawn = [
        np.asarray(rng.normal(size=a.shape), a.dtype) if is_real(a) else np.zeros(a.shape)
        for a in like
    ]
    length = np.sqrt(sum(float((d**2).sum()) for d in drawn)) or 1.0
    return [np.asarray(d / length, d.dtype) for d in drawn]


def _coarseness(results: Sequence[Array]) -> float:
    """How many times coarser than float64 the results are."""
    return max(float(np.finfo(r.dtype).eps) for r in results) / EPSILON


def _inner(left: Sequence[Array], right: Sequence[Array]) -> tuple[float, float]:
    """The sum of products, and of their sizes."""
    products = [np.asarray(a * b, np.float64) for a, b in zip(left, right, strict=True)]
    return sum(float(p.sum()) for p in products), sum(float(np.abs(p).sum()) for p in products)


def gradient_slope(
    subject: Subject, arrays: list[Array], cotangents: list[Array], moves: list[Array]
) -> tuple[Slope, list[Array]]:
    """The slope of <cotangents, f> along `moves`, and those moves as they were scaled."""
    for smallest in (1.0, 0.0):
        scaled = [
            m * np.where(np.abs(a) > smallest, np.abs(a), smallest or 1.0) if is_real(a) else m
            for a, m in zip(arrays, moves, strict=True)
        ]

        def along(t: float, scaled: list[Array] = scaled) -> tuple[float, float]:
            moved = [a + t * m if is_real(a) else a for a, m in zip(arrays, scaled, strict=True)]
            with np.errstate(all="ignore"):
                found = [o for o in subject.value(moved) if is_real(o)]
                value, size = _inner(cotangents, found)
                return value, size * _coarseness(found)

        measured = slope(along)
        if measured.is_known:
            break
    return measured, scaled


def _check_direction(
    subject: Subject,
    arrays: list[Array],
    cotangents: list[Array],
    moves: list[Array],
    modes: list[str],
    relative: float,
    kinks: str,
    report: Report,
) -> None:
    measured, scaled = gradient_slope(subject, arrays, cotangents, moves)
    report.samples += 1
    if not measured.is_known:
        report.discarded += 1
        return
    report.kinks += measured.is_kink
    claims: dict[str, tuple[float, float]] = {}
    if "reverse" in modes:
        claims["reverse"] = _inner(subject.vjp(arrays, cotangents), scaled)
    if "forward" in modes:
        claims["forward"] = _inner(cotangents, subject.jvp(arrays, scaled))
    for mode, (claimed, _) in claims.items():
        report.count(mode)
        excess = measured.excess(claimed, relative)
        if measured.is_kink and excess > 1:
            bounded = kinks == "bounded"
            excess = _beyond(subject, arrays, cotangents, scaled, claimed) if bounded else 0.0
        report.worst = max(report.worst, excess)
        if not excess <= 1:
            check = f"{mode} mode against finite differences"
            _fail(subject, arrays, cotangents, mode, check, measured.value, claimed, report)
    if len(claims) == 2:
        report.count("transposes")
        (back, size), (ahead, other) = claims["reverse"], claims["forward"]
        allowed = TRANSPOSES * _coarseness(cotangents) * max(size, other)
        if abs(back - ahead) > allowed and not measured.is_kink:
            check = "reverse mode against forward mode"
            _fail(subject, arrays, cotangents, "reverse", check, ahead, back, report)


def _beyond(
    subject: Subject,
    arrays: list[Array],
    cotangents: list[Array],
    scaled: list[Array],
    claimed: float,
) -> float:
    """How far `claimed` is outside of what the one-sided slopes of all results allow."""

    def at(t: float) -> list[Array]:
        moved = [a + t * m if is_real(a) else a for a, m in zip(arrays, scaled, strict=True)]
        return [o for o in subject.value(moved) if is_real(o)]

    middle = at(0.0)
    right = map(one_sided, at(STEPS[4]), at(STEPS[3]), middle)
    left = [-v for v in map(one_sided, at(-STEPS[4]), at(-STEPS[3]), middle)]
    low = high = 0.0
    for c, r, v in zip(cotangents, right, left, strict=True):
        low += float(np.minimum(c * r, c * v).sum())
        high += float(np.maximum(c * r, c * v).sum())
    allowed = KINK * (abs(low) + abs(high)) + 1e-9
    return max(low - claimed, claimed - high, 0.0) / allowed


def _check_linearity(
    subject: Subject,
    arrays: list[Array],
    outputs: list[Array],
    rng: np.random.Generator,
    report: Report,
) -> None:
    """vjp(c + 2 d) = vjp(c) + 2 vjp(d)."""
    real = [o for o in outputs if is_real(o)]
    first, second = _unit(rng, real), _unit(rng, real)
    joint = [a + 2 * b for a, b in zip(first, second, strict=True)]
    whole = subject.vjp(arrays, joint)
    parts = zip(subject.vjp(arrays, first), subject.vjp(arrays, second), strict=True)
    report.count("linearity")
    coarse = _coarseness(real)
    for got, (a, b) in zip(whole, parts, strict=True):
        expected = a + 2 * b
        if not np.isfinite(expected).all():
            continue  # an infinite derivative has no sum to compare
        allowed = TRANSPOSES * coarse * (np.abs(a) + 2 * np.abs(b)).max(initial=1e-300)
        off = np.abs(got - expected)
        if not (off <= allowed).all():
            at = np.unravel_index(int(np.nanargmax(off)), off.shape)
            check = "the vjp is not linear in its cotangent"
            values = (float(expected[at]), float(got[at]))
            _fail(subject, arrays, joint, "reverse", check, *values, report)


def _fail(
    subject: Subject,
    arrays: list[Array],
    cotangents: list[Array],
    mode: str,
    check: str,
    expected: float,
    got: float,
    report: Report,
) -> None:
    where = _worst_element(subject, arrays, cotangents, mode)
    blame, repro, drawing = explained(subject, arrays, mode)
    raise GradientError(
        report, Failure(check, expected, got, where, blame, repro, drawing)
    ) from None


def _worst_element(
    subject: Subject, arrays: list[Array], cotangents: list[Array], mode: str
) -> str:
    """The input and element whose derivative is most wrong, out of at most ELEMENTS."""
    real = [i for i, a in enumerate(arrays) if is_real(a)]
    every = [(i, int(e)) for i in real for e in range(arrays[i].size)]
    step = max(1, len(every) // ELEMENTS)
    grads = subject.vjp(arrays, cotangents) if mode == "reverse" else None
    worst, story = 0.0, ""
    for i, e in every[::step]:
        moves = [np.zeros(a.shape) for a in arrays]
        moves[i].reshape(-1)[e] = 1.0
        measured, scaled = gradient_slope(subject, arrays, cotangents, moves)
        scale = float(scaled[i].reshape(-1)[e]) or 1.0
        if grads is not None:
            got = float(grads[i].reshape(-1)[e]) * scale
        else:
            got = _inner(cotangents, subject.jvp(arrays, scaled))[0]
        excess = measured.excess(got, 1e-6) if measured.is_known else 0.0
        if excess > max(worst, 1):
            worst = excess
            at = tuple(int(k) for k in np.unravel_index(e, arrays[i].shape))
            expected = measured.value / scale
            ratio = got / measured.value if measured.value else float("inf")
            story = (
                f"input {i}, element {at} = {arrays[i][at]:.6g}: expected {expected:.8g}, got "
                f"{got / scale:.8g} (ratio {ratio:.6g})"
            )
    return story
