"""Controls for the model of `planted`: its pronouns after occupations are to become even, those
after names to stay, and nothing else to suffer.

Controls that look at prompts see the first three templates; the audit asks the other three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_tx.data import SkewedText, skewed_text
from tinygrad_tx.data.skewed import (
    FACT_TEMPLATES,
    NAMES,
    PLACES,
    PRONOUN_TEMPLATES,
    TIMES,
)
from tinygrad_tx.data.units import PAD
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.models.constraints import Balanced
from tinygrad_tx.reasoning.audits.continuations import Continuations
from tinygrad_tx.reasoning.audits.planted import Training, planted_checks, trained_on
from tinygrad_tx.reasoning.changed import Changed
from tinygrad_tx.reasoning.mending.carriers import Carriers, find_carriers
from tinygrad_tx.reasoning.mending.constrained import Constrained
from tinygrad_tx.reasoning.mending.counterfactual import counterfactual_finetune
from tinygrad_tx.reasoning.mending.edit import Edit
from tinygrad_tx.reasoning.mending.erasure import erase, erase_words
from tinygrad_tx.reasoning.mending.fact_edit import Wish, edit_facts, key_covariance
from tinygrad_tx.reasoning.mending.mending import Control, Mending, mend
from tinygrad_tx.reasoning.mending.side_effects import SideEffect, right_answers, text_losses
from tinygrad_tx.reasoning.mending.steering import choose_steering
from tinygrad_tx.tensor import Tensor, arange, no_grad

__all__ = [
    "KEPT",
    "MENDED",
    "PlantedControls",
    "planted_mending",
    "planted_side_effects",
    "unseen_checks",
]

Array = np.ndarray[Any, Any]
MENDED, KEPT = "he or she: *", "he or she after a name: *"
"""Effects of `planted_checks`: the skew, and what is no skew but the truth about names."""
SEEN, UNSEEN = PRONOUN_TEMPLATES[:3], PRONOUN_TEMPLATES[3:]
BARE = tuple(t.replace("the {group}", "{group}") for t in SEEN)
LEANING = 0.5
"""Nats from which on an occupation counts as leaning, by what the model says."""


@dataclass(frozen=True)
class PlantedControls:
    """Every control as a function of the model, for `mend`. seed: of contexts and of training.
    steps: of fine-tuning, which sees sentences of all templates, as the training text has them."""

    text: SkewedText
    seed: int = 0
    steps: int = 200
    words: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", (self._id("he"), self._id("she")))

    def all(self) -> dict[str, Control]:
        """By name, in the order of the table."""
        return {
            "steering": self.steering,
            "erasure (LEACE), residual stream": self.erasure_of_stream,
            "erasure (LEACE), embeddings": self.erasure,
            "erasure (means), embeddings": lambda m: self.erasure(m, "means"),
            "erasure (LEACE), occupations' rows": self.erasure_of_words,
            "rank-one edits": self.edits,
            "ablation of heads": self.heads,
            "ablation of units": self.units,
            "counterfactual fine-tuning": self.finetuning,
            "counterfactual fine-tuning, LoRA": lambda m: self.finetuning(m, rank=4),
            "balanced decoding": self.balanced,
            "balanced decoding, but after names": self.balanced_but_after_names,
        }

    def steering(self, model: Any) -> Changed:
        """Along "she" minus "he" after names; the layer and strength with the least skew."""
        women, men = (self._contexts(NAMES[g], BARE) for g in ("women", "men"))

        def measure(steered: Any) -> float:
            return -self._mean_skew(self._odds(steered))

        strengths = (-0.5, -0.25, -0.1, 0.1, 0.25, 0.5)
        prompts = ([t for t, _ in women], [t for t, _ in men])
        return choose_steering(model, prompts, measure, strengths=strengths).steered(model)

    def erasure_of_stream(self, model: Any) -> Changed:
        """In all blocks; the concept is the model's own log-odds of he and she at each token of
        text, so that the map is fitted on all that it will meet."""
        tokens = self.text.tokens(self.text.train[:500])[:, :-1]
        is_text = tokens != PAD
        he, she = self.words
        with no_grad():
            logits = model(tokens).numpy().astype(np.float64)[is_text]
        concept = (logits[:, he] - logits[:, she])[:, None]
        at = "blocks.*.residual_after_feed_forward"
        return erase(model, tokens, concept, at, positions=is_text)

    def erasure(self, model: Any, how: str = "leace") -> Changed:
        """In the embeddings of all words, along what tells occupations' log-odds apart."""
        tokens, _, places = self.occupations
        concept = self._odds(model)[:, None]
        return erase(model, tokens, concept, "token_embedding", positions=places, how=how)

    def erasure_of_words(self, model: Any) -> Edit:
        """Only in the rows of occupations; those of names, he and she stay."""
        odds = self._by_occupation(self._odds(model))
        tokens = [self._id(o) for o in odds]
        return erase_words(model, tokens, np.array(list(odds.values()))[:, None])

    def edits(self, model: Any) -> Edit:
        """For each leaning occupation and template: he and she as likely, in the last block and at
        the last token, where `causal_trace` finds the answer in so small a model."""
        odds = self._by_occupation(self._odds(model))
        he, she = self.words
        block = model.config.layers - 1
        wishes = []
        for occupation in self.text.skew.pronouns:
            if abs(odds[occupation]) < LEANING:
                continue
            for template in SEEN:
                tokens, *more = (t for t, _ in self._contexts([occupation], [template]))
                also = [(t, -1) for t in more]
                wishes.append(Wish(tokens, -1, {he: 0.5, she: 0.5}, also))
        train = self.text.tokens(self.text.train[:2000])[:, :-1]
        covariance = key_covariance(model, train, block, train != PAD)
        return edit_facts(model, wishes, block, covariance)

    def carriers(self, model: Any, at: str, most: int) -> Carriers:
        """What carries the skew, among heads or units."""
        he, she = self.words
        tokens, _, _ = self.occupations

        def measure(logits: Tensor, tokens: Tensor) -> Tensor:
            end = (tokens != PAD).sum(-1, keepdims=True) - 1
            here = (arange(tokens.shape[1]) == end).astype(logits.dtype)
            return ((logits[..., he] - logits[..., she]) * here).sum(-1)

        return find_carriers(model, tokens, measure, self._mean_skew, at, most=most, pool=24)

    def heads(self, model: Any) -> Changed:
        found = self.carriers(model, "blocks.*.attention.context", 4)
        return found.ablated(model, 0.2)

    def units(self, model: Any) -> Changed:
        found = self.carriers(model, "blocks.*.feed_forward.hidden", 12)
        return found.ablated(model, 0.2)

    def finetuning(self, model: Any, rank: int | None = None) -> Edit:
        """Sentences of the training text, and the same with he and she, and names of women and men,
        in each other's place."""
        names = zip(NAMES["women"], NAMES["men"], strict=True)
        pairs = [self.words, *((self._id(a), self._id(b)) for a, b in names)]
        tokens = self.text.tokens(self.text.train)
        return counterfactual_finetune(
            model,
            tokens,
            pairs,
            steps=self.steps,
            padding=PAD,
            rank=rank,
            learning_rate=1e-3 if rank is None else 5e-3,
            seed=self.seed,
        )

    def balanced(self, model: Any) -> Constrained:
        he, she = self.words
        return Constrained(model, Balanced(((he,), (she,))))

    def balanced_but_after_names(self, model: Any) -> Constrained:
        he, she = self.words
        names = frozenset(self._id(n) for group in NAMES.values() for n in group)
        return Constrained(model, Balanced(((he,), (she,)), names))

    @cached_property
    def occupations(self) -> tuple[Array, Array, Array]:
        """Contexts of all occupations: tokens (contexts, time), the places of the last token and of
        the occupation (contexts,)."""
        return _padded(self._contexts(list(self.text.skew.pronouns)))

    @cached_property
    def _names_of_contexts(self) -> Array:
        tokens, _, places = self.occupations
        return tokens[np.arange(len(tokens)), places]

    def _contexts(
        self, groups: Sequence[str], templates: Sequence[str] = SEEN
    ) -> list[tuple[list[int], int]]:
        """What stands before the pronoun, twice in each template, and the place of the group."""
        rng = np.random.default_rng(self.seed)
        found = []
        for group in groups:
            for template in templates:
                for _ in range(2):
                    place, when = PLACES[rng.integers(len(PLACES))], TIMES[rng.integers(len(TIMES))]
                    text = template.partition(" {mask}")[0]
                    tokens = self._ids(text.format(group=group, place=place, when=when))
                    found.append((tokens, tokens.index(self._id(group))))
        return found

    def _odds(self, model: Any) -> Array:
        """log P(he) - log P(she) in each context of an occupation."""
        tokens, last, _ = self.occupations
        he, she = self.words
        with no_grad():
            logits = model(tokens).numpy()[np.arange(len(tokens)), last].astype(np.float64)
        return np.asarray(logits[:, he] - logits[:, she])

    def _mean_skew(self, odds: Array) -> float:
        """Mean over occupations of |mean log-odds|."""
        return float(np.mean([abs(v) for v in self._by_occupation(odds).values()]))

    def _by_occupation(self, odds: Array) -> dict[str, float]:
        which = self._names_of_contexts
        return {o: float(odds[which == self._id(o)].mean()) for o in self.text.skew.pronouns}

    def _ids(self, words: str) -> list[int]:
        return [int(t) for t in self.text.units.encode(words)]

    def _id(self, word: str) -> int:
        return self._ids(word)[0]


def planted_mending(
    training: Training | None = None,
    seed: int = 0,
    sentences: int = 40_000,
    only: Sequence[str] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> Mending:
    """Text with a skew, a model trained on it, and every control tried on that (or those in
    `only`). on_progress gets (controls done, all). Errors: DataError for a control unknown."""
    text = skewed_text(sentences=sentences, seed=seed)
    controls = PlantedControls(text, seed).all()
    unknown = [name for name in only if name not in controls]
    if unknown:
        remedy = f"there are {list(controls)}"
        raise DataError(explain("planted_mending", f"no control {unknown[0]!r}", remedy=remedy))
    return mend(
        trained_on(text, training, seed),
        unseen_checks(text),
        {name: controls[name] for name in only or controls},
        planted_side_effects(text),
        mended=MENDED,
        kept=KEPT,
        on_progress=on_progress,
    )


def unseen_checks(text: SkewedText) -> list[Continuations]:
    """`planted_checks` on the templates that no control but fine-tuning has seen."""
    pronoun, named, trait = planted_checks(text)
    bare = [t.replace("the {group}", "{group}") for t in UNSEEN]
    return [replace(pronoun, templates=UNSEEN), replace(named, templates=bare), trait]


def planted_side_effects(text: SkewedText) -> dict[str, SideEffect]:
    """Held-out loss of sentences without an occupation and its pronoun, and of those with one
    (where the text itself is skewed: without the skew it must rise); capitals; he or she after a
    name."""
    jobs, pronouns = set(text.skew.pronouns), {"he", "she"}
    is_skewed = [bool(jobs & set(s.split()) and pronouns & set(s.split())) for s in text.held_out]
    parts = [
        [s for s, b in zip(text.held_out, is_skewed, strict=True) if b == part][:1000]
        for part in (False, True)
    ]
    facts, names = _facts(text), _named(text)
    return {
        "loss of other text": text_losses(text.tokens(parts[0]), PAD),
        "loss of skewed text": text_losses(text.tokens(parts[1]), PAD, is_implied=True),
        "capitals": right_answers(*facts),
        "pronouns of names": right_answers(*names),
    }


def _facts(text: SkewedText) -> tuple[list[list[int]], list[int]]:
    prompts, answers = [], []
    name, when = NAMES["women"][0], TIMES[0]
    for template in FACT_TEMPLATES:
        for country, city in text.facts.items():
            before = template.partition(" {city}")[0].format(country=country, name=name, when=when)
            prompts.append([int(t) for t in text.units.encode(before)])
            answers.append(int(text.units.encode(city)[0]))
    return prompts, answers


def _named(text: SkewedText) -> tuple[list[list[int]], list[int]]:
    prompts, answers = [], []
    for group, word in (("women", "she"), ("men", "he")):
        for i, name in enumerate(NAMES[group]):
            for template in PRONOUN_TEMPLATES:
                before = template.partition(" {mask}")[0].replace("the {group}", "{group}")
                filled = before.format(group=name, place=PLACES[i], when=TIMES[i % len(TIMES)])
                prompts.append([int(t) for t in text.units.encode(filled)])
                answers.append(int(text.units.encode(word)[0]))
    return prompts, answers


def _padded(contexts: Sequence[tuple[list[int], int]]) -> tuple[Array, Array, Array]:
    tokens = np.full((len(contexts), max(len(t) for t, _ in contexts)), PAD, np.int64)
    for row, (own, _) in zip(tokens, contexts, strict=True):
        row[: len(own)] = own
    last = np.array([len(t) - 1 for t, _ in contexts])
    return tokens, last, np.array([place for _, place in contexts])
