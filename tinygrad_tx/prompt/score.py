"""Zero- and few-shot scoring: the probabilities of a verbalizer's words in a template's place.

Causal models (GPT, Llama, and those with a soft prompt or a prefix) read what stands before the
answer, and score a word of several tokens whole; BERT reads both sides of one [MASK].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.data.units import CLS, MASK, PAD, SEP
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.models import BERT
from tinygrad_tx.prompt.template import Encodes, Template
from tinygrad_tx.prompt.verbalizer import Verbalizer
from tinygrad_tx.tensor import Tensor, broadcast_to, cross_entropy, no_grad, take_along_axis

__all__ = ["Demonstration", "calibrate", "score", "word_scores"]

Array = np.ndarray[Any, Any]
Example = Mapping[str, str]
Demonstration = tuple[Example, str]
"""An example with its label."""
IGNORED = -100


@dataclass(frozen=True)
class _Ask:
    """A row for the model, and what is asked of it: log P of `tokens_asked` at `places`.

    words: which of the verbalizer's words each of them belongs to. example: whose row it is.
    """

    example: int
    tokens: list[int]
    places: list[int]
    tokens_asked: list[int]
    words: list[int]


def score(
    model: Any,
    tokenizer: Encodes,
    template: Template,
    verbalizer: Verbalizer,
    examples: Sequence[Example],
    demonstrations: Sequence[Demonstration] = (),
    *,
    seed: int | None = None,
    content_free: Sequence[Example] = (),
    separator: str = "\n\n",
    batch: int = 16,
) -> Array:
    """P of each label for each example: (examples, labels), rows that add up to 1.

    demonstrations: solved examples that are put before each one (Brown et al. 2020), in an order
    drawn from `seed`; as given without it. content_free: examples that say nothing, as
    {"text": "N/A"}; the model's leaning on them is divided out (`calibrate`). Errors: DataError
    for slots that do not fit, prompts beyond the context, demonstrations for a masked model, and
    words that a masked model would need several tokens for.
    """
    if seed is not None:
        order = np.random.default_rng(seed).permutation(len(demonstrations))
        demonstrations = [demonstrations[i] for i in order]
    both = [*examples, *content_free]
    scores = word_scores(
        model, tokenizer, template, verbalizer, both, demonstrations, separator, batch
    )
    found = verbalizer.probabilities(scores)
    if content_free:
        return calibrate(found[: len(examples)], found[len(examples) :])
    return found


def calibrate(probabilities: Array, content_free: Array) -> Array:
    """Probabilities (..., labels) divided by what inputs without content get, and normalised.

    q ~ diag(p_cf)^-1 p, where p_cf is the mean over content-free inputs. Zhao et al. 2021, section
    4. There a softmax follows, which changes no decision; here q is divided by its sum.
    """
    leaning = np.asarray(content_free, np.float64).reshape(-1, np.shape(probabilities)[-1]).mean(0)
    scaled = probabilities / np.maximum(leaning, np.finfo(np.float64).tiny)
    found: Array = scaled / scaled.sum(-1, keepdims=True)
    return found


def word_scores(
    model: Any,
    tokenizer: Encodes,
    template: Template,
    verbalizer: Verbalizer,
    examples: Sequence[Example],
    demonstrations: Sequence[Demonstration] = (),
    separator: str = "\n\n",
    batch: int = 16,
) -> Array:
    """log P of each word of `verbalizer.flat` in the answer's place: (examples, words), float64."""
    words = [encoded(tokenizer, template.word(w)) for w in verbalizer.flat]
    bare = [w for w, tokens in zip(verbalizer.flat, words, strict=True) if not tokens]
    if bare:
        raise DataError(explain("score", f"the tokenizer has no tokens for {bare}"))
    asks: list[_Ask] = []
    before: list[int] = []
    if isinstance(model, BERT):
        if demonstrations:
            what = "a masked model takes no demonstrations"
            raise DataError(explain("score", what, remedy="tune it, or use a causal model"))
        for i, example in enumerate(examples):
            asks.append(_masked_ask(model, tokenizer, template, words, i, example))
    else:
        before = shown(tokenizer, template, verbalizer, demonstrations, separator)
        context = int(model.config.context)
        for i, example in enumerate(examples):
            asks += _causal_asks(tokenizer, template, words, i, example, before, context)
    found = np.zeros((len(examples), len(words)))
    for ask, losses in zip(asks, _losses(model, asks, batch, before), strict=True):
        np.subtract.at(found[ask.example], ask.words, losses[: len(ask.words)])
    return found


def shown(
    tokenizer: Encodes,
    template: Template,
    verbalizer: Verbalizer,
    demonstrations: Sequence[Demonstration],
    separator: str,
) -> list[int]:
    """The tokens of solved examples, each with the separator behind it."""
    tokens: list[int] = []
    for example, label in demonstrations:
        tokens += template.prompt(tokenizer, example, verbalizer.word(label)).tokens.tolist()
        tokens += encoded(tokenizer, separator)
    return tokens


def encoded(tokenizer: Encodes, text: str) -> list[int]:
    """The tokens of a text as whole numbers."""
    return [int(t) for t in tokenizer.encode(text)]


def _causal_asks(
    tokenizer: Encodes,
    template: Template,
    words: list[list[int]],
    i: int,
    example: Example,
    before: list[int],
    context: int,
) -> list[_Ask]:
    """One row where all words are single tokens, else one for each word."""
    longest = max(len(w) for w in words)
    room = context - len(before)
    if room < longest + 1:
        what = f"{len(before)} tokens of demonstrations leave no room in a context of {context}"
        raise DataError(explain("score", what, remedy="show fewer, or shorter ones"))
    filled = template.prompt(tokenizer, example, [0] * longest, room)
    start = filled.answer[0]
    lead = filled.tokens[:start].tolist()
    if not lead:
        what = f"nothing stands before the answer of {template.text!r}"
        raise DataError(explain("score", what, remedy="a causal model needs a token to go on from"))
    last = len(lead) - 1
    if longest == 1:
        every = [w[0] for w in words]
        return [_Ask(i, lead, [last] * len(words), every, list(range(len(words))))]
    return [
        _Ask(i, lead + w[:-1], list(range(last, last + len(w))), w, [j] * len(w))
        for j, w in enumerate(words)
    ]


def _masked_ask(
    model: BERT,
    tokenizer: Encodes,
    template: Template,
    words: list[list[int]],
    i: int,
    example: Example,
) -> _Ask:
    """[CLS] text [SEP] with one [MASK] in the answer's place."""
    if any(len(w) > 1 for w in words):
        what = f"words of {sorted({len(w) for w in words})} tokens for one [MASK]"
        raise DataError(explain("score", what, remedy="choose words that are single tokens"))
    cls, sep, mask, _ = frame_tokens(tokenizer)
    filled = template.prompt(tokenizer, example, [mask], model.config.context - 2)
    place = filled.answer[0] + 1
    row = [cls, *filled.tokens.tolist(), sep]
    return _Ask(i, row, [place] * len(words), [w[0] for w in words], list(range(len(words))))


def frame_tokens(tokenizer: Any) -> tuple[int, int, int, int]:
    """[CLS], [SEP], [MASK] and [PAD] of a tokenizer. Errors: DataError where it has no [MASK]."""
    special = getattr(tokenizer, "special", None)
    if special is None:
        return CLS, SEP, MASK, PAD
    try:
        return special["[CLS]"], special["[SEP]"], special["[MASK]"], special["[PAD]"]
    except KeyError as missing:
        what = f"the tokenizer has no {missing.args[0]}"
        raise DataError(explain("score", what, remedy="use that of a masked model")) from None


def _losses(model: Any, asks: Sequence[_Ask], batch: int, before: list[int]) -> list[Array]:
    """-log P for all that each row asks, in the order of `asks`, each row behind `before`.

    Rows of like length go together, padded on the right to a power of two: a pass is recorded for
    few sizes. A model that can keep keys and values reads `before` once.
    """
    width = max((len(a.words) for a in asks), default=0)
    room = int(model.config.context) - len(before)
    model.eval()
    longest = max((len(a.tokens) for a in asks), default=0)
    if longest > room:
        what = f"a prompt of {longest} tokens where there is room for {room}"
        raise DataError(explain("score", what, remedy="mark a slot that may be cut: {text:cut}"))
    measure = _measure(model, before, batch, _padded(longest, room))
    order = sorted(range(len(asks)), key=lambda i: len(asks[i].tokens))
    found: dict[int, Array] = {}
    for first in range(0, len(order), batch):
        some = order[first : first + batch]
        size = _padded(len(asks[some[-1]].tokens), room)
        tokens = np.zeros((batch, size), np.int64)
        seen = np.zeros((batch, size), bool)
        seen[:, 0] = True
        places = np.zeros((batch, width), np.int64)
        targets = np.full((batch, width), IGNORED)
        for row, i in enumerate(some):
            ask = asks[i]
            tokens[row, : len(ask.tokens)], seen[row, : len(ask.tokens)] = ask.tokens, True
            places[row, : len(ask.words)] = ask.places
            targets[row, : len(ask.words)] = ask.tokens_asked
        losses = measure(tokens, seen, places, targets).numpy()
        found |= {i: losses[row].astype(np.float64) for row, i in enumerate(some)}
    return [found[i] for i in range(len(asks))]


def _padded(count: int, room: int) -> int:
    return min(room, 1 << max(3, (count - 1).bit_length()))


def _measure(model: Any, before: list[int], batch: int, longest: int) -> Callable[..., Tensor]:
    """-log P of targets (batch, asked) at places (batch, asked) of tokens behind `before`."""
    cache = model.cache(batch, len(before) + longest) if before else None
    if cache is not None:

        def read(tokens: Tensor) -> None:
            with no_grad():
                model.hidden(tokens, cache)

        jit(read)(np.tile(np.array(before, np.int64), (batch, 1)))
    lengths = np.full(batch, len(before))

    def measured(
        tokens: Tensor, seen: Tensor, places: Tensor, targets: Tensor, lengths: Tensor
    ) -> Tensor:
        with no_grad():
            if isinstance(model, BERT):
                logits = model.words_at(model.encoder(tokens, None, seen), places)
            else:
                kept = () if cache is None else (cache.at(lengths),)
                hidden = model.hidden(tokens, *kept)
                shape = (*places.shape, hidden.shape[-1])
                index = broadcast_to(places.reshape((*places.shape, 1)), shape)
                logits = model.logits(take_along_axis(hidden, index, 1))
            return cross_entropy(logits, targets, reduction="none")

    captured = jit(measured)
    return lambda *some: captured(*some, lengths)
