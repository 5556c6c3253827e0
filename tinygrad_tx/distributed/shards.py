"""Shards: the parameters that ranks train together, of which each rank updates its share.

In the captured step: gradients go into buckets as they become known; each bucket is exchanged
while the backward pass goes on, and summed in the order of ranks; each rank updates its pieces
with its own moments; the new pieces are gathered.

Source: Rajbhandari et al. 2020 (ZeRO), stage 1, section 5.1; buckets: Li et al. 2020, section 3.2.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import numpy as np

from tinygrad_tx.capture import capturing
from tinygrad_tx.distributed.buckets import Bucket, buckets_of
from tinygrad_tx.distributed.group import Array, Group
from tinygrad_tx.distributed.messages import Exchange, Gather, Timing, effect, in_order
from tinygrad_tx.dtypes import DType, float32, int64
from tinygrad_tx.errors import DTypeError, GroupError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.shapes import Shape, size_of
from tinygrad_tx.tensor import Tensor, concat, no_grad, random, reshape, sqrt, square, zeros

__all__ = ["BUCKET_BYTES", "Shards"]

BUCKET_BYTES = 1 << 20


class Shards:
    """What of `parameters` this rank updates: `pieces`, each of parameter `owners[i]`.

    An optimiser is made of the pieces. A piece of a matrix is (1, n), so that what an optimiser
    does to matrices alone, as decay, it does to it. In a group of one the pieces are the
    parameters. backward: leaves gradients with the parameters; it is only recorded, to see in which
    order they become known. Errors: DTypeError for parameters that are not float32.
    """

    def __init__(
        self,
        group: Group,
        parameters: Sequence[Tensor],
        backward: Callable[[], object],
        bucket_bytes: int = BUCKET_BYTES,
    ) -> None:
        self.group, self.parameters = group, list(parameters)
        self.timing = Timing()
        self._last: Tensor = _constant((), int64)
        """What the last message gave: the next one takes it, so that all ranks send alike."""
        self._buckets: list[Bucket] = []
        if group.size == 1:
            self.pieces, self.owners = self.parameters, list(range(len(self.parameters)))
            return
        for parameter in self.parameters:
            if parameter.dtype != float32:
                what = f"a parameter is {parameter.dtype}, not float32"
                raise DTypeError(explain("distributed training", what))
        sizes = [size_of(p.shape) for p in self.parameters]
        order = group.share(lambda: _order_known(self.parameters, backward))
        self._buckets = buckets_of(sizes, order, group.size, max(1, bucket_bytes // 4))
        mine = [p for b in self._buckets for p in b.pieces(group.rank)]
        if not all(any(b.pieces(r) for b in self._buckets) for r in range(group.size)):
            what = f"{sum(sizes)} parameters are too few for {group.size} processes"
            raise GroupError(explain("distributed training", what, remedy="use fewer processes"))
        self.owners = [p.parameter for p in mine]
        self.pieces = []
        for piece in mine:
            count = piece.high - piece.low
            shape = (1, count) if self.parameters[piece.parameter].ndim > 1 else (count,)
            self.pieces.append(zeros(shape, requires_grad=True))
        self._exchanges = [Exchange(group, b.share, self.timing) for b in self._buckets]
        self._gathers = [Gather(group, b.share, self.timing) for b in self._buckets]

    def zero_grad(self) -> None:
        """Forgets the gradients of the parameters: a step begins."""
        for parameter in (*self.parameters, *self.pieces):
            parameter.grad = None
        self._last = _constant((), int64)

    def reduce(self) -> None:
        """The pieces get their values, and the mean over ranks of their gradients."""
        if self.group.size == 1:
            return
        with no_grad():
            begun, token = [], self._last
            for i, (bucket, exchange) in enumerate(
                zip(self._buckets, self._exchanges, strict=True)
            ):
                given = self._packed(bucket, [self._gradient(p) for p in bucket.parameters])
                token = effect(
                    f"gradients.{i}.start", exchange.start, (), int64, given, token, early=True
                )
                begun.append(given)
            self._last = token
            mine = iter(self.pieces)
            every = zip(self._buckets, self._exchanges, begun, strict=True)
            for i, (bucket, exchange, given) in enumerate(every):
                share = effect(
                    f"gradients.{i}.finish", exchange.finish, (bucket.share,), float32, given, token
                )
                for piece in bucket.pieces(self.group.rank):
                    own, parameter = next(mine), self.parameters[piece.parameter]
                    flat = reshape(parameter, -1)[piece.low : piece.high]
                    own.assign_(reshape(flat, own.shape))
                    end = piece.start + piece.high - piece.low
                    found = reshape(share[piece.start : end], own.shape) * (1 / self.group.size)
                    own.grad = None if parameter.grad is None else found

    def drawing(self) -> AbstractContextManager[None]:
        """Inside it random numbers are those that one process would draw for this rank's rows."""
        return random.default.as_part(self.group.rank, self.group.size)

    def agreed(self, loss: Tensor, norm: Tensor) -> tuple[Tensor, Tensor]:
        """The mean of all ranks' losses, and the norm of what all ranks' norms are of: the same
        bits on all ranks, so that they decide alike."""
        if self.group.size == 1:
            return loss, norm
        with no_grad():
            total, squares = self._total(loss, square(norm))
            return total * (1 / self.group.size), sqrt(squares)

    def _total(self, *numbers: Tensor) -> tuple[Tensor, ...]:
        """Each 0-d number summed over ranks, in the order of ranks."""
        given = concat([reshape(n, 1) for n in numbers])
        found = effect("agreed", self._summed, (len(numbers),), float32, given, self._last)
        self._last = found
        return tuple(found[i] for i in range(len(numbers)))

    def spread(self) -> None:
        """The parameters get what the optimiser made of all ranks' pieces."""
        if self.group.size == 1:
            return
        with no_grad():
            # A rank may have nothing but padding in a bucket: the token alone says when it is sent.
            begun, token = [], self._last
            mine = iter(self.pieces)
            for i, (bucket, gather) in enumerate(zip(self._buckets, self._gathers, strict=True)):
                own = [reshape(next(mine), -1) for _ in bucket.pieces(self.group.rank)]
                used = sum(p.shape[0] for p in own)
                given = concat([*own, *_padding(bucket.share - used)])
                token = effect(
                    f"weights.{i}.start", gather.start, (), int64, given, token, early=True
                )
                begun.append(given)
            every = zip(self._buckets, self._gathers, begun, strict=True)
            for i, (bucket, gather, given) in enumerate(every):
                whole = effect(
                    f"weights.{i}.finish", gather.finish, (bucket.length,), float32, given, token
                )
                for number, low, high in bucket.starts():
                    parameter = self.parameters[number]
                    parameter.assign_(reshape(whole[low:high], parameter.shape))

    def whole_state(self, state: Mapping[str, Array]) -> dict[str, Array]:
        """An optimiser's state as one process would have it, from that of the pieces; all ranks
        call it together. `name.i` belongs to parameter i, other names are alike on all ranks."""
        if self.group.size == 1:
            return dict(state)
        found = {k: v for k, v in state.items() if _kind_of(k) is None}
        for kind in dict.fromkeys(k for name in state if (k := _kind_of(name)) is not None):
            own = iter(range(len(self.pieces)))
            for bucket in self._buckets:
                share = np.zeros(bucket.share, np.float32)
                for piece in bucket.pieces(self.group.rank):
                    end = piece.start + piece.high - piece.low
                    share[piece.start : end] = state[f"{kind}.{next(own)}"].reshape(-1)
                flat = self.group.gather(share).reshape(-1)
                for i, low, high in bucket.starts():
                    found[f"{kind}.{i}"] = flat[low:high].reshape(self.parameters[i].shape)
        return found

    def own_state(self, state: Mapping[str, Array]) -> dict[str, Array]:
        """The pieces' part of what `whole_state` gave."""
        if self.group.size == 1:
            return dict(state)
        found = {k: v for k, v in state.items() if _kind_of(k) is None}
        mine = [p for b in self._buckets for p in b.pieces(self.group.rank)]
        for kind in dict.fromkeys(k for name in state if (k := _kind_of(name)) is not None):
            for number, piece in enumerate(mine):
                # A name too few or too many is for the optimiser to refuse.
                array = state.get(f"{kind}.{piece.parameter}")
                if array is not None:
                    flat = np.asarray(array).reshape(-1)[piece.low : piece.high]
                    found[f"{kind}.{number}"] = flat.reshape(self.pieces[number].shape)
        return found

    def _gradient(self, parameter: int) -> Tensor:
        found = self.parameters[parameter]
        return _constant(found.shape) if found.grad is None else found.grad

    def _packed(self, bucket: Bucket, values: Sequence[Tensor]) -> Tensor:
        return concat([*(reshape(v, -1) for v in values), *_padding(bucket.padding)])

    def _summed(self, given: Array, token: Array) -> Array:
        began = time.perf_counter()
        found = self.group.gather(given)
        self.timing.exposed += time.perf_counter() - began
        return in_order(found)


def _order_known(parameters: Sequence[Tensor], backward: Callable[[], object]) -> list[int]:
    """Parameters by when the backward pass makes their gradients; first those that get none."""
    with capturing():
        backward()
        made = [-1 if p.grad is None else p.grad.node.serial for p in parameters]
    for parameter in parameters:
        parameter.grad = None
    return sorted(range(len(parameters)), key=made.__getitem__)


def _padding(count: int) -> list[Tensor]:
    return [_constant((count,))] if count else []


def _constant(shape: Shape, dtype: DType = float32) -> Tensor:
    return Tensor(Builder().full(shape, 0, dtype))


def _kind_of(name: str) -> str | None:
    """`first` of `first.3`."""
    kind, _, number = name.rpartition(".")
    return kind if kind and number.isdigit() else None
