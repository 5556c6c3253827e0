"""Step time: products at a stated part of the peak, memory traffic, links, the pipeline's bubble.

Source: Narayanan et al. 2021, sections 2 and 3; Korthikanti et al. 2022, section 4 and table 5.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from tinygrad_tx.sizing.layout import Layout
from tinygrad_tx.sizing.machine import Machine
from tinygrad_tx.sizing.memory import activations_of_block, parameters_of_stage, scores_of_block
from tinygrad_tx.sizing.work import Work

__all__ = ["BlockTime", "StepTime", "block_time", "flops_of_step", "step_time"]


@dataclass(frozen=True)
class BlockTime:
    """Seconds of one block and one microbatch on one device. again: what the backward pass computes
    anew. links: tensor-parallel all-reduces that nothing hides, in all three."""

    forward: float
    backward: float
    again: float
    links: float

    @property
    def total(self) -> float:
        return float(sum(asdict(self).values()))


@dataclass(frozen=True)
class StepTime:
    """Seconds of one step, by what they are spent on; they add up to `total`."""

    compute: float
    recompute: float
    tensor: float
    head: float
    between_stages: float
    bubble: float
    data: float
    optimizer: float

    @property
    def total(self) -> float:
        return float(sum(asdict(self).values()))


def flops_of_step(work: Work, layout: Layout, with_recompute: bool = False) -> float:
    """Operations of a step on all devices: a backward pass is two forward passes."""
    attention = work.attention_flops * (0.5 if _skips(work, layout) else 1.0)
    block = work.matmul_flops + attention
    again = {"none": 0.0, "selective": attention, "full": block}[layout.recompute]
    blocks = work.layers * (3 * block + (again if with_recompute else 0.0))
    return layout.batch * (blocks + 3 * work.head_flops)


def _skips(work: Work, layout: Layout) -> bool:
    return layout.fused_attention and work.is_causal


def block_time(work: Work, machine: Machine, layout: Layout) -> BlockTime:
    """One block: what it stores is written once and read once, backward twice as much."""
    rate = machine.flops * machine.efficiency
    texts, size = layout.microbatch, layout.bytes.activations
    attention = work.attention_flops * (0.5 if _skips(work, layout) else 1.0)
    products = texts * work.matmul_flops / layout.tensor / rate
    attended = texts * attention / layout.tensor / rate
    traffic = 2 * activations_of_block(work, layout, "none") / machine.memory_bandwidth
    scores = 2 * texts * scores_of_block(work, layout) / machine.memory_bandwidth
    sent = 2 * all_reduce(layout.tensor, texts * work.width * work.context * size, machine.inside)
    forward = products + attended + traffic + machine.overhead
    again = {"none": 0.0, "selective": attended + scores, "full": forward}[layout.recompute]
    # Backward, the all-reduce of a cotangent goes on while the gradients of weights are computed.
    links = sent + max(0.0, sent - products) + (sent if layout.recompute == "full" else 0.0)
    return BlockTime(forward, 2 * forward, again, links)


def all_reduce(devices: int, size: float, bandwidth: float) -> float:
    """Seconds of a ring: each device sends 2 (n - 1) / n of the size; also of a reduce-scatter with
    its all-gather."""
    return 2 * (devices - 1) / devices * size / bandwidth


def step_time(work: Work, machine: Machine, layout: Layout) -> StepTime:
    """One step of the slowest stage, and what nothing else hides."""
    block, rounds = block_time(work, machine, layout), layout.microbatches
    blocks = work.layers / layout.pipeline
    rate = machine.flops * machine.efficiency
    head = 3 * layout.microbatch * work.head_flops / layout.tensor / rate
    sent = _between_stages(work, machine, layout)
    microbatch = blocks * block.total + head + sent
    return StepTime(
        compute=rounds * blocks * (block.forward + block.backward),
        recompute=rounds * blocks * block.again,
        tensor=rounds * blocks * block.links,
        head=rounds * head,
        between_stages=rounds * sent,
        bubble=(layout.pipeline - 1) / layout.chunks * microbatch,
        data=_reduction(work, machine, layout, blocks * block.backward),
        optimizer=_update(work, machine, layout),
    )


def _between_stages(work: Work, machine: Machine, layout: Layout) -> float:
    """One microbatch there and back through each chunk's border; each device of a tensor-parallel
    group sends its share, which is gathered inside the node (section 4.1)."""
    if layout.pipeline == 1:
        return 0.0
    size = layout.microbatch * work.width * work.context * layout.bytes.activations
    bandwidth = machine.inside if layout.gpus <= machine.gpus_per_node else machine.between
    return 2 * layout.chunks * size / layout.tensor / bandwidth


def _reduction(work: Work, machine: Machine, layout: Layout, hidden_by: float) -> float:
    """Gradients added up over data-parallel devices, once a step; with ZeRO 3 weights too,
    gathered for each microbatch forward and backward."""
    if layout.data == 1:
        return 0.0
    is_inside = layout.tensor * layout.data <= machine.gpus_per_node
    bandwidth = machine.inside if is_inside else machine.between
    count = max(parameters_of_stage(work, layout, s) for s in (0, layout.pipeline - 1))
    found = all_reduce(layout.data, layout.bytes.gradients * count, bandwidth)
    if layout.zero:  # scattered only; the new weights are gathered behind the step
        found /= 2
        gathers = 2 * layout.microbatches if layout.zero == 3 else 1
        found += gathers * all_reduce(layout.data, layout.bytes.weights * count, bandwidth) / 2
    return max(0.0, found - hidden_by) if layout.overlap else found


def _update(work: Work, machine: Machine, layout: Layout) -> float:
    """The optimiser reads and writes its state and the weights, and reads gradients."""
    sizes = layout.bytes
    moved = 2 * sizes.optimizer + sizes.weights + sizes.gradients
    count = max(parameters_of_stage(work, layout, s) for s in (0, layout.pipeline - 1))
    return moved * count / (layout.data if layout.zero else 1) / machine.memory_bandwidth
