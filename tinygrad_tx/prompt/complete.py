"""Answers in free text: generation and question answering with a template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygrad_tx.data import Tokenizer
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.prompt.template import Template

__all__ = ["complete"]


def complete(
    model: Any,
    tokenizer: Tokenizer,
    template: Template,
    example: Mapping[str, str],
    max_new_tokens: int = 32,
    stop: str = "\n",
    **options: Any,
) -> str:
    """What a causal model writes in the answer's place, up to `stop`; greedy by default.

    options: as in `models.generation.stream`. What stands behind {mask} is not read. Errors:
    DataError for slots that do not fit, and a prompt that leaves no room.
    """
    room = int(model.config.context) - max_new_tokens
    if room < 1:
        what = f"{max_new_tokens} new tokens leave no room in a context of {model.config.context}"
        raise DataError(explain("complete", what))
    filled = template.prompt(tokenizer, example, [], room)
    lead = filled.tokens[: filled.answer[0]].tolist()
    new: list[int] = []
    for token in model.generate(lead, max_new_tokens, **{"temperature": 0, **options}):
        new.append(token)
        if stop and stop in tokenizer.decode(new).lstrip():
            break
    text = tokenizer.decode(new).lstrip()
    return text.partition(stop)[0].strip() if stop else text.strip()
