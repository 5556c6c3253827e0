"""Template search: a small grammar of templates and words, scored on labelled examples.

Jiang et al. 2020 and Gao et al. 2021 let models write candidates; here a person wrote the parts.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.prompt.score import score
from tinygrad_tx.prompt.template import Encodes, Template
from tinygrad_tx.prompt.verbalizer import Verbalizer

__all__ = ["Candidate", "Grammar", "search"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Candidate:
    """A template with its words, and the share of the validation examples that it gets right."""

    template: Template
    verbalizer: Verbalizer
    accuracy: float


@dataclass(frozen=True)
class Grammar:
    """All templates are one of each: start, then {text}, then a link to the answer, then its words.

    words: for each choice the words of every label.
    """

    starts: Sequence[str]
    links: Sequence[str]
    words: Sequence[Mapping[str, Sequence[str]]]

    def pairs(self) -> list[tuple[Template, Verbalizer]]:
        """Every sentence of the grammar, in its order."""
        return [
            (Template(f"{start}{{text:cut}}{link}{{mask}}"), Verbalizer(words))
            for start, link, words in itertools.product(self.starts, self.links, self.words)
        ]


def search(
    model: Any,
    tokenizer: Encodes,
    grammar: Grammar,
    texts: Sequence[str],
    labels: Sequence[str],
    content_free: Sequence[str] = (),
) -> list[Candidate]:
    """Every sentence of the grammar with its accuracy on (texts, labels), the best first.

    content_free: texts that say nothing, for calibration. The best was chosen to look well on
    these examples: state its accuracy on others.
    """
    found = []
    for template, verbalizer in grammar.pairs():
        examples, empty = ([{"text": t} for t in some] for some in (texts, content_free))
        chances = score(
            model, tokenizer, template, verbalizer, examples, content_free=empty, batch=32
        )
        said = np.array(verbalizer.labels)[chances.argmax(1)]
        accuracy = float((said == np.array(labels)).mean())
        found.append(Candidate(template, verbalizer, accuracy))
    return sorted(found, key=lambda c: -c.accuracy)
