"""Schedule: what each device of a pipeline does and when, for 1F1B and its interleaved form.

Source: Narayanan et al. 2021, section 2.2 and figures 3 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pass", "order_of", "schedule"]


@dataclass(frozen=True)
class Pass:
    """One microbatch through one chunk of one device."""

    device: int
    chunk: int
    microbatch: int
    is_forward: bool
    start: float
    end: float


Key = tuple[int, int, bool]  # chunk, microbatch, is_forward


def order_of(device: int, pipeline: int, microbatches: int, chunks: int = 1) -> list[Key]:
    """What a device does, one after the other: passes forward until the pipeline is full, then one
    forward and one backward in turns, then what is left backward."""
    total = microbatches * chunks
    ahead = pipeline - device - 1
    warm = ahead if chunks == 1 else 2 * ahead + (chunks - 1) * pipeline
    warm = min(warm, total)
    forward = [_turn(i, pipeline, chunks) for i in range(total)]
    found: list[Key] = [(c, m, True) for c, m in forward[:warm]]
    backward = [(chunks - 1 - c, m, False) for c, m in forward]
    for i in range(total - warm):
        found += [(*forward[warm + i], True), backward[i]]
    return found + backward[total - warm :]


def _turn(i: int, pipeline: int, chunks: int) -> tuple[int, int]:
    """Chunk and microbatch of the i-th pass: a pipeline's length of microbatches for each chunk."""
    if chunks == 1:
        return 0, i
    group, inside = divmod(i, pipeline * chunks)
    chunk, member = divmod(inside, pipeline)
    return chunk, group * pipeline + member


def schedule(
    pipeline: int, microbatches: int, chunks: int = 1, forward: float = 1.0, backward: float = 2.0
) -> list[Pass]:
    """All passes with their times; forward and backward are seconds of one chunk.

    A pass starts once its device is free and what it reads has arrived; links take no time here.
    """
    orders = [order_of(d, pipeline, microbatches, chunks) for d in range(pipeline)]
    places, free = [0] * pipeline, [0.0] * pipeline
    ends: dict[tuple[int, Key], float] = {}
    found: list[Pass] = []
    while any(p < len(o) for p, o in zip(places, orders, strict=True)):
        before = len(found)
        for device, order in enumerate(orders):
            while places[device] < len(order):
                key = order[places[device]]
                ready = _arrival(ends, device, key, pipeline, chunks)
                if ready is None:
                    break
                start = max(free[device], ready)
                end = start + (forward if key[2] else backward)
                found.append(Pass(device, *key, start, end))
                ends[device, key], free[device] = end, end
                places[device] += 1
        if len(found) == before:
            raise AssertionError("the schedule waits for itself")
    return found


def _arrival(
    ends: dict[tuple[int, Key], float], device: int, key: Key, pipeline: int, chunks: int
) -> float | None:
    """When what a pass reads is there: 0 for the first, None if nobody has made it yet."""
    chunk, microbatch, is_forward = key
    place = chunk * pipeline + device + (-1 if is_forward else 1)
    if place < 0:
        return 0.0
    if place == pipeline * chunks:
        return ends.get((device, (chunk, microbatch, True)))
    other, at = divmod(place, pipeline)
    return ends.get((at, (other, microbatch, is_forward)))
