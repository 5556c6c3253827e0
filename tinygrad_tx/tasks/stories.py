"""Stories made by a small grammar, with a question, its answer and the facts that it rests on.

In the spirit of Weston et al. 2015, tasks 1 and 2; the words and the rules are our own. People go
to places, and pick up and put down things, which are where their holder is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = ["NAMES", "PLACES", "THINGS", "VERBS", "Story", "questions", "stories", "vocabulary"]

NAMES = ("Mara", "Tobias", "Ines", "Yusuf", "Greta", "Kofi", "Lena", "Piotr")
PLACES = (
    "mill", "boat house", "orchard", "chapel", "tea room", "harbour", "north tower", "bakery",
    "wine cellar", "stable", "reading room", "bridge",
)  # fmt: skip
THINGS = ("lantern", "kettle", "violin", "ladder", "basket", "compass")
VERBS = {"go": ("walked to", "ran to"), "take": ("picked up", "took"), "put": ("put down", "left")}
END, QUESTION = ".", ("Where", "is", "?")

Words = tuple[str, ...]


@dataclass(frozen=True)
class Story:
    """sentences: their words. supporting: numbers of the facts, the one with the answer last."""

    sentences: tuple[Words, ...]
    question: Words
    answer: Words
    supporting: tuple[int, ...]

    @property
    def hops(self) -> int:
        return len(self.supporting)


@dataclass
class _World:
    """What is so after the sentences up to now; facts are numbers of sentences."""

    sentences: list[Words] = field(default_factory=list)
    went: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Of a person: the place, and the fact that says so."""
    held: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Of a thing: who has it, and the fact."""
    lies: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    """Of a thing put down: the place, the fact, and the fact that the person was there."""


def vocabulary() -> list[str]:
    """All words, each once, in a fixed order."""
    phrases = (*NAMES, *PLACES, *THINGS, *(v for some in VERBS.values() for v in some))
    words = [w for phrase in phrases for w in phrase.split()]
    return list(dict.fromkeys([*words, "the", END, *QUESTION]))


def stories(
    count: int, lengths: tuple[int, int], hops: int, seed: int, skip: Callable[[Story], bool]
) -> list[Story]:
    """`count` stories of `lengths` sentences (least, most), each once, without those to skip."""
    rng = np.random.default_rng((seed, hops, *lengths))
    found: dict[Story, None] = {}
    while len(found) < count:
        story = _story(int(rng.integers(lengths[0], lengths[1] + 1)), hops, rng)
        if story is not None and not skip(story):
            found.setdefault(story)
    return list(found)


def _story(length: int, hops: int, rng: np.random.Generator) -> Story | None:
    """None where nothing can be asked of what happened."""
    world = _drawn(length, rng)
    asked = _asked(world, hops)
    return _about(world, asked[rng.integers(len(asked))]) if asked else None


def questions(length: int, rng: np.random.Generator) -> list[Story]:
    """One story with every question of one hop or two that it answers, in a random order."""
    world = _drawn(length, rng)
    asked = [*_asked(world, 1), *_asked(world, 2)]
    return [_about(world, asked[i]) for i in rng.permutation(len(asked))]


def _drawn(length: int, rng: np.random.Generator) -> _World:
    world, cast = _World(), rng.permutation(NAMES)[: rng.integers(2, 5)].tolist()
    things = rng.permutation(THINGS)[: rng.integers(1, 4)].tolist()
    for _ in range(length):
        _happen(world, cast, things, rng)
    return world


def _asked(world: _World, hops: int) -> list[str]:
    return [*world.held, *world.lies] if hops == 2 else [*world.went]


def _about(world: _World, who: str) -> Story:
    """The story with the question where a person or a thing is."""
    if who in world.went:
        place, fact = world.went[who]
        supporting: tuple[int, ...] = (fact,)
    elif who in world.held:
        holder, taken = world.held[who]
        place, fact = world.went[holder]
        supporting = (taken, fact)
    else:
        place, left, fact = world.lies[who]
        supporting = (left, fact)
    start, is_, end = QUESTION
    named = (who,) if who in world.went else ("the", who)
    question = (start, is_, *named, end)
    return Story(tuple(world.sentences), question, tuple(place.split()), supporting)


def _happen(
    world: _World, cast: Sequence[str], things: Sequence[str], rng: np.random.Generator
) -> None:
    """One more sentence: somebody goes, takes or puts, as the world allows."""
    who, number = cast[int(rng.integers(len(cast)))], len(world.sentences)
    here = world.went[who][0] if who in world.went else None
    own = [t for t, (holder, _) in world.held.items() if holder == who]
    free = [
        t
        for t in things
        if t not in world.held and (t not in world.lies or world.lies[t][0] == here)
    ]
    chance = rng.random()
    if here is not None and own and chance < 0.2:
        thing = own[rng.integers(len(own))]
        del world.held[thing]
        world.lies[thing] = (here, number, world.went[who][1])
        words = (who, *_verb("put", rng), "the", thing)
    elif here is not None and free and chance < 0.5:
        thing = free[rng.integers(len(free))]
        world.lies.pop(thing, None)
        world.held[thing] = (who, number)
        words = (who, *_verb("take", rng), "the", thing)
    else:
        others = [p for p in PLACES if p != here]
        place = others[rng.integers(len(others))]
        world.went[who] = (place, number)
        words = (who, *_verb("go", rng), "the", *place.split())
    world.sentences.append((*words, END))


def _verb(kind: str, rng: np.random.Generator) -> Words:
    choices = VERBS[kind]
    return tuple(choices[rng.integers(len(choices))].split())
