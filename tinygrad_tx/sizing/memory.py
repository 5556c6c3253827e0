"""Memory of one device: what is always there, and what passes leave for the backward pass.

Source: Korthikanti et al. 2022, sections 3 to 5; Rajbhandari et al. 2020, section 3 (ZeRO).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from tinygrad_tx.sizing.layout import Layout
from tinygrad_tx.sizing.work import Work

__all__ = ["Memory", "activations_of_block", "memory_of_stage", "parameters_of_stage"]

LOGIT = 4  # logits and their loss are computed in 32 bits


@dataclass(frozen=True)
class Memory:
    """Bytes of one device of a pipeline stage. working: what exists only while a block is run."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    working: float

    @property
    def total(self) -> float:
        return float(sum(asdict(self).values()))


def parameters_of_stage(work: Work, layout: Layout, stage: int) -> float:
    """Numbers that are trained on one device; embedding and head are divided like matrices."""
    block = work.block_matrices / layout.tensor + work.block_vectors
    found = work.layers / layout.pipeline * block
    is_last = stage == layout.pipeline - 1
    found += work.embedding / layout.tensor if stage == 0 else 0
    found += work.head / layout.tensor if is_last else 0
    return found + (work.shared / layout.tensor if is_last and stage > 0 else 0)


def activations_of_block(work: Work, layout: Layout, recompute: str | None = None) -> float:
    """Bytes that one block keeps of one microbatch: equations 1 to 4 and 6, and table 2."""
    recompute = layout.recompute if recompute is None else recompute
    texts, size = layout.microbatch, layout.bytes.activations
    residual = work.width * work.context
    if recompute == "full":
        return texts * size * residual
    outside = size * work.kept.outside + (2 * residual if layout.dropout else 0)  # masks: a byte
    found = size * work.kept.inside / layout.tensor
    found += outside / (layout.tensor if layout.sequence else 1)
    return texts * (found + (scores_of_block(work, layout) if recompute == "none" else 0))


def scores_of_block(work: Work, layout: Layout) -> float:
    """Bytes of one text's scores, where attention stores them: the pattern, and with dropout its
    mask and what is left of it."""
    if layout.fused_attention:
        return 0.0
    size = layout.bytes.activations
    return work.kept.scores / layout.tensor * (2 * size + 1 if layout.dropout else size)


def memory_of_stage(work: Work, layout: Layout, stage: int) -> Memory:
    """What a device holds at its fullest."""
    count, shards = parameters_of_stage(work, layout, stage), layout.data
    kept = activations_of_block(work, layout)
    working = activations_of_block(work, layout, "none") - (
        kept if layout.recompute != "full" else 0
    )
    if layout.zero == 3:  # the weights of one block, gathered
        block = work.block_matrices / layout.tensor + work.block_vectors
        working += layout.bytes.weights * block
    blocks = work.layers / (layout.pipeline * layout.chunks)
    activations = passes_in_flight(layout, stage) * blocks * kept
    if stage == layout.pipeline - 1:
        activations += _kept_by_head(work, layout)
    if stage == 0 and layout.dropout:
        divided = layout.tensor if layout.sequence else 1
        masks = layout.microbatch * work.width * work.context / divided
        activations += masks * min(layout.pipeline, layout.microbatches)
    return Memory(
        layout.bytes.weights * count / (shards if layout.zero >= 3 else 1),
        layout.bytes.gradients * count / (shards if layout.zero >= 2 else 1),
        layout.bytes.optimizer * count / (shards if layout.zero >= 1 else 1),
        activations,
        working,
    )


def passes_in_flight(layout: Layout, stage: int) -> int:
    """Passes through a chunk that wait for their backward pass, at most.

    1F1B: one for each stage still to come. Interleaved: Narayanan et al. 2021, section 2.2; on the
    first stage this is the factor 1 + (p - 1) / (p m) of Korthikanti et al. 2022, section 4.2.
    """
    left = layout.pipeline - stage
    if layout.chunks == 1:
        return min(left, layout.microbatches)
    waiting = 2 * (left - 1) + (layout.chunks - 1) * layout.pipeline + 1
    return min(waiting, layout.microbatches * layout.chunks)


def _kept_by_head(work: Work, layout: Layout) -> float:
    """Inputs of the last norm and of the logits, and the logits: section 4.3."""
    divided = layout.tensor if layout.sequence else 1
    size = layout.bytes.activations
    found = 2 * size * work.width / divided + LOGIT * work.vocab / layout.tensor
    return layout.microbatch * work.context * found
