"""given_gradients: a gradient test of a function, with inputs from strategies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st

from tinygrad_tx.testing.gradcheck import gradcheck
from tinygrad_tx.testing.profile import profile
from tinygrad_tx.testing.report import CheckInputError, OutsideDomainError, Report, finished

__all__ = ["given_gradients"]


def given_gradients(
    *inputs: st.SearchStrategy[Any],
    gradient: Callable[..., Any] | None = None,
    vjp: Callable[..., Any] | None = None,
    order: int = 1,
    examples: int | None = None,
    max_discarded: float = 0.5,
    **options: Any,
) -> Callable[[Callable[..., Any]], Callable[[], None]]:
    """Makes a test of the decorated function: its gradients are checked at inputs that are drawn.

    @given_gradients(arrays(shape=(3, 4)), arrays(shape=(4,)))
    def test_energy(x, y):
        return (tx.tanh(x) @ y).sum()

    A failure shrinks to a small input and comes with code that reproduces it. Samples at kinks and
    outside of the domain are counted; the test fails if they are more than `max_discarded` of all.
    """

    def decorate(function: Callable[..., Any]) -> Callable[[], None]:
        name = getattr(function, "__name__", "function")

        def test() -> None:
            report = Report(name)
            mark = len(finished)
            count = examples or profile.examples

            @settings(
                max_examples=count,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(st.tuples(*inputs), st.integers(0, 3))
            def check(drawn: tuple[Any, ...], seed: int) -> None:
                try:
                    found = gradcheck(
                        function,
                        drawn,
                        gradient=gradient,
                        vjp=vjp,
                        order=order,
                        seed=seed + 4 * profile.seed,
                        max_discarded=1.0,
                        name=name,
                        **options,
                    )
                except OutsideDomainError:
                    report.samples += 1
                    report.discarded += 1
                    return
                report.add(found)

            check()
            del finished[mark:]
            finished.append(report)
            useless = report.kinks + report.discarded
            if useless > max_discarded * report.samples:
                raise CheckInputError(
                    f"{name}: {report.kinks} of {report.samples} samples were at kinks and "
                    f"{report.discarded} outside of the domain, more than {max_discarded:.0%}; "
                    "draw other inputs."
                )

        test.__name__, test.__doc__, test.__module__ = name, function.__doc__, function.__module__
        test.checks_gradients = True  # type: ignore[attr-defined]  # the plug-in marks such tests
        return test

    return decorate
