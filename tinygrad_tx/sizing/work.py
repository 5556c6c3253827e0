"""What one text costs in each part of a model, counted in the model's own graph.

A model by shape alone is run into a graph; its nodes are sorted into embedding, blocks and head,
and of one block is counted what is computed, what is trained and what the backward pass will read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.models import abstract
from tinygrad_tx.models.presets import Config
from tinygrad_tx.tensor.tensor import as_tensor, no_grad

__all__ = ["Kept", "Work", "work_of"]

BLOCK = re.compile(r"(?:^|\.)blocks\.(\d+)(?:\.|$)")
NORMS = ("layer_norm", "rms_norm")
# Elementwise operators whose derivative is a function of their input.
CURVED = (*NORMS, "gelu", "gelu_tanh", "silu", "relu", "tanh")


@dataclass(frozen=True)
class Kept:
    """Numbers that one block keeps of one text for its backward pass.

    inside: between the two products of a tensor-parallel pair, so divided among its devices.
    outside: before and after, the same on each of them unless the sequence is divided.
    scores: of the attention, where it stores them (heads, time, time).
    """

    inside: int
    outside: int
    scores: int


@dataclass(frozen=True)
class Work:
    """A model as a plan sees it; FLOPs are those of a forward pass over one text.

    attention_flops: with all keys of all tokens; a kernel that skips what a causal mask hides does
    half of that, `is_causal`. Matrices are what tensor parallelism divides; vectors are not.
    """

    name: str
    layers: int
    heads: int
    key_heads: int
    width: int
    context: int
    vocab: int
    is_causal: bool
    block_matrices: int
    block_vectors: int
    matmul_flops: int
    attention_flops: int
    kept: Kept
    embedding: int
    """Parameters before the blocks."""
    head: int
    """Parameters behind the blocks, without those that are the embedding's own."""
    shared: int
    """Parameters of the embedding that the head reads too: a copy on the pipeline's last stage."""
    head_flops: int

    @property
    def parameters(self) -> int:
        """All numbers that are trained."""
        blocks = self.layers * (self.block_matrices + self.block_vectors)
        return self.embedding + blocks + self.head

    @property
    def forward_flops(self) -> int:
        """Of one text through the whole model, attention counted whole."""
        return self.layers * (self.matmul_flops + self.attention_flops) + self.head_flops


def work_of(config: Config, name: str = "") -> Work:
    """Counts a model. Errors: ShapeError for a model that is not one stack of equal blocks."""
    return _counted(config, name or type(config).__name__.removesuffix("Config"))


@lru_cache(maxsize=64)
def _counted(config: Any, name: str) -> Work:
    if not hasattr(config, "layers"):
        remedy = "plan a GPT, a BERT or a Llama"
        what = "an encoder and a decoder are not one stack of equal blocks"
        raise ShapeError(explain("plan", what, remedy=remedy))
    model: Any = abstract(config)
    with no_grad():
        nodes = collect([model(*(as_tensor(value) for value in model.example())).node])
    block = [n for n in nodes if _block_of(n.scope) == 0]
    rest = [n for n in nodes if _block_of(n.scope) is None]
    sizes = {n: t.shape for n, t in model.named_parameters()}
    of_block = [s for n, s in sizes.items() if _block_of(n) == 0]
    of_rest = {t.node: t.size for n, t in model.named_parameters() if _block_of(n) is None}
    attention = next(n for n in block if n.op.name == "attention")
    is_causal = bool(attention.attrs["causal"])
    products = [n for n in rest if n.op.name == "matmul"]
    embedded = {n.inputs[0] for n in rest if n.op.name == "take"} & of_rest.keys()
    read_last = {i for p in products for i in map(_source, p.inputs) if i in of_rest}
    embedding = sum(of_rest[n] for n in embedded)
    return Work(
        name,
        config.layers,
        config.heads,
        attention.inputs[1].aval.shape[1],
        config.width,
        config.context,
        config.vocab_size,
        is_causal,
        sum(a * b for a, b in (s for s in of_block if len(s) == 2)),
        sum(s[0] for s in of_block if len(s) == 1),
        sum(_flops(n) for n in block if n.op.name == "matmul"),
        _flops(attention) * (2 if is_causal else 1),
        _kept(block, attention),
        embedding,
        sum(of_rest.values()) - embedding,
        sum(of_rest[n] for n in embedded & read_last),
        sum(_flops(p) for p in products),
    )


def _block_of(scope: str) -> int | None:
    found = BLOCK.search(scope)
    return int(found[1]) if found else None


def _flops(node: Node) -> int:
    return node.op.cost(node).flops if node.op.cost else 0


def _source(node: Node) -> Node:
    """What a view, or a name, is of."""
    while node.inputs and (node.op.view is not None or node.op.name == "point"):
        node = node.inputs[0]
    return node


def _kept(block: Sequence[Node], attention: Node) -> Kept:
    """What derivative rules read, each value once."""
    moving = _moving(block)
    values = {_source(v): v.aval.size for v in _read_again(block, moving) if v in moving}
    around = {_source(n.inputs[0]) for n in block if n.op.name in NORMS}
    outside = sum(s for v, s in values.items() if v in around or v.op.name in NORMS)
    passed = sum(i.aval.size for i in attention.inputs[:3])
    query, key = attention.inputs[:2]
    scores = query.aval.size // query.aval.shape[-1] * key.aval.shape[-2]
    return Kept(sum(values.values()) - outside + passed, outside, scores)


def _moving(block: Sequence[Node]) -> set[Node]:
    """Nodes that depend on the block's input: neither parameters nor tables of positions."""
    found = {n for n in block if n.op.name == "point" and n.name == "residual_before"}
    for node in block:  # sorted: inputs come first
        if any(i in found for i in node.inputs):
            found.add(node)
    return found


def _read_again(block: Sequence[Node], moving: set[Node]) -> Iterator[Node]:
    for node in block:
        if node.op.name == "matmul":
            yield from node.inputs
        elif node.op.name in CURVED:
            yield node.inputs[0]
        elif node.op.name == "multiply" and all(i in moving for i in node.inputs):
            yield from node.inputs
