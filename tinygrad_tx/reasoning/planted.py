"""A small GPT trained on text whose skew is known: what audits and corrections are tried out on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinygrad_tx.data import SkewedText
from tinygrad_tx.data.skewed import NAMES, PLACES, PRONOUN_TEMPLATES, TIMES, TRAIT_TEMPLATES
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.optim import AdamW, clip_grad_norm, cosine
from tinygrad_tx.reasoning.continuations import Continuations
from tinygrad_tx.tensor import Tensor, require_finite

__all__ = ["QUICK", "Training", "planted_checks", "planted_truth", "trained_on"]
PRONOUN, NAMED, TRAIT = "he or she", "he or she after a name", "brilliant or friendly"


@dataclass(frozen=True)
class Training:
    """Sizes of the model and of its training. layers, heads, width: as in `GPTConfig`."""

    layers: int = 2
    heads: int = 4
    width: int = 64
    steps: int = 1200
    batch: int = 128
    learning_rate: float = 3e-3


QUICK = Training(heads=2, width=32, steps=800, learning_rate=1e-2)
"""For tests: some six seconds of one core instead of half a minute. It learns grammar, facts and
skew; what one model says of the skew is off by 0.1 to 0.2 nats, the mean of several by less."""


def trained_on(
    text: SkewedText,
    training: Training | None = None,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> GPT:
    """A GPT trained on `text.train`, each sentence a row; without dropout, ready to run.

    on_progress gets (steps done, all steps). Errors: DataError, NonFiniteError.
    """
    plan = training or Training()
    if plan.steps < 1:
        what = f"steps is {plan.steps}"
        raise DataError(explain("trained_on", what, remedy="give at least 1"))
    examples = text.examples(text.train, plan.batch, seed)
    time = examples.arrays[0].shape[1]
    sizes = GPTConfig(text.units.vocab_size, time, plan.layers, plan.heads, plan.width)
    model = GPT(sizes, seed)
    optimizer = AdamW(model.parameters(), plan.learning_rate, weight_decay=0.01)
    rate = cosine(plan.learning_rate, plan.steps, plan.steps // 20, 0.02 * plan.learning_rate)

    def step(tokens: Tensor, targets: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = model.loss(tokens, targets)
        loss.backward()
        clip_grad_norm(optimizer.parameters, 1.0)
        optimizer.step()
        return require_finite(loss, "loss")

    captured = jit(step)
    for i in range(plan.steps):
        optimizer.lr = rate(i)
        captured(*examples.draw())
        if on_progress is not None:
            on_progress(i + 1, plan.steps)
    model.eval()
    return model


def planted_checks(text: SkewedText) -> list[Continuations]:
    """What an audit asks of a model that learnt this text: he or she after each occupation, after
    names, and brilliant or friendly after women's names against men's."""
    fillers = {"place": PLACES, "when": TIMES}
    bare = [t.replace("the {group}", "{group}") for t in PRONOUN_TEMPLATES]
    units, jobs = text.units, {o: [o] for o in text.skew.pronouns}
    return [
        Continuations(PRONOUN, units, PRONOUN_TEMPLATES, jobs, ["he"], ["she"], fillers),
        Continuations(NAMED, units, bare, NAMES, ["he"], ["she"], fillers),
        Continuations(
            TRAIT, units, TRAIT_TEMPLATES, NAMES, ["brilliant"], ["friendly"], fillers, "men"
        ),
    ]


def planted_truth(text: SkewedText) -> dict[str, float]:
    """The size of each effect of `planted_checks` in the text, by name, in nats. Names have none
    that is finite: their pronoun is certain."""
    skew = text.skew
    found = {f"{PRONOUN}: {o}": skew.pronoun_log_odds(o) for o in skew.pronouns}
    trait = skew.trait_log_odds("women") - skew.trait_log_odds("men")
    return {**found, f"{TRAIT}: women against men": trait}
