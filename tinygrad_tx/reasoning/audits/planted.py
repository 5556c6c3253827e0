"""A small GPT trained on text whose skew is known: what audits and corrections are tried out on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.data import Examples, SkewedText
from tinygrad_tx.data.planted_reviews import PlantedReviews
from tinygrad_tx.data.skewed import NAMES, PLACES, PRONOUN_TEMPLATES, TIMES, TRAIT_TEMPLATES
from tinygrad_tx.data.units import PAD
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.models import GPT, BERTClassifier, BERTConfig, GPTConfig
from tinygrad_tx.optim import cosine
from tinygrad_tx.reasoning.audits.continuations import Continuations
from tinygrad_tx.tasks.mean_classifier import MeanClassifier
from tinygrad_tx.train.brief import trained_by

__all__ = ["QUICK", "Training", "classifier_on", "planted_checks", "planted_truth", "trained_on"]
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

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            what = f"steps {self.steps}, batch {self.batch}"
            raise DataError(explain("Training", what, remedy="give at least 1 of each"))


QUICK = Training(heads=2, width=32, steps=800, learning_rate=1e-2)
"""For tests: some six seconds of one core instead of half a minute. It learns grammar, facts and
skew; what one model says of the skew is off by 0.1 to 0.2 nats, the mean of several by less."""

CLASSIFIER = Training(layers=1, heads=2, width=32, steps=300, batch=64)
"""Of planted reviews: two seconds."""


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
    examples = text.examples(text.train, plan.batch, seed)
    time = examples.arrays[0].shape[1]
    sizes = GPTConfig(text.units.vocab_size, time, plan.layers, plan.heads, plan.width)
    model = GPT(sizes, seed)
    _train(model, examples, plan, on_progress)
    return model


def classifier_on(
    reviews: PlantedReviews,
    seed: int = 0,
    training: Training | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> BERTClassifier:
    """A classifier trained on reviews, seconds of one core; without dropout, ready to run."""
    plan = training or CLASSIFIER
    shape = BERTConfig(reviews.units.vocab_size, reviews.tokens.shape[1], plan.layers, plan.heads,
                       plan.width, dropout=0.0)  # fmt: skip
    model = MeanClassifier(shape, 2, seed)
    tokens = reviews.tokens
    arrays = [tokens, reviews.labels, np.zeros_like(tokens), tokens != PAD]
    _train(model, Examples(arrays, plan.batch, seed), plan, on_progress)
    return model


def _train(
    model: Any,
    examples: Examples,
    plan: Training,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    """AdamW on a warmed-up cosine; then without dropout."""
    rate = cosine(plan.learning_rate, plan.steps, plan.steps // 20, 0.02 * plan.learning_rate)
    model.train()
    trained_by(model, examples.draw, plan.steps, rate, 0.01, on_progress)
    model.eval()


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
