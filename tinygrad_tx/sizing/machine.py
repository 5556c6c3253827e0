"""Machine: nodes of devices with a peak, memory and links; by name, or from a JSON file."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from tinygrad_tx.errors import DataError, explain

__all__ = ["MACHINES", "Machine", "machine"]


@dataclass(frozen=True)
class Machine:
    """What a plan is made for. Errors: DataError for what is not positive.

    flops: peak a second of one device, in the precision that is trained in. memory: bytes of one
    device. memory_bandwidth: bytes a second read or written. inside, between: bytes a second that
    one device sends to another in its node, and in another node (its share of the node's links).
    efficiency: the part of the peak that large products reach. overhead: seconds that the forward
    pass of a block takes beside what is counted (starts of kernels, ragged tiles). Both are fitted
    on figures of A100, see published.py.
    """

    name: str
    flops: float
    memory: float
    memory_bandwidth: float
    inside: float
    between: float
    gpus_per_node: int = 8
    nodes: int = 1
    efficiency: float = 0.77
    overhead: float = 1.23e-3
    reserved: float = 2e9
    """Bytes that are not ours: the driver, libraries of communication, fragments."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name in ("name", "overhead", "reserved"):
                continue
            is_number = isinstance(value, (int, float)) and math.isfinite(value) and value > 0
            if not is_number:
                what = f"{name} is {value!r}"
                raise DataError(explain("machine", what, remedy="give a positive number"))
        whole = isinstance(self.nodes, int) and isinstance(self.gpus_per_node, int)
        if self.efficiency > 1 or not whole:
            what = f"efficiency {self.efficiency}, {self.nodes} nodes of {self.gpus_per_node}"
            remedy = "efficiency is at most 1; nodes and devices are whole numbers"
            raise DataError(explain("machine", what, remedy=remedy))

    @property
    def gpus(self) -> int:
        return self.nodes * self.gpus_per_node

    def of(self, nodes: int, gpus_per_node: int | None = None) -> Machine:
        """The same machine in another size."""
        return replace(self, nodes=nodes, gpus_per_node=gpus_per_node or self.gpus_per_node)


# Peaks, memory and links as their makers state them, links one way. Selene: Narayanan et al. 2021,
# section 5: eight A100 of 80 GB a node, NVLink, eight HDR InfiniBand cards of 200 Gb/s.
MACHINES: Mapping[str, Machine] = {
    "selene": Machine("selene", 312e12, 80 * 2**30, 2.039e12, 300e9, 25e9, nodes=280),
    "a100-40gb": Machine("a100-40gb", 312e12, 40 * 2**30, 1.555e12, 300e9, 25e9),
    # DGX-2: 16 V100 a node, eight cards of 100 Gb/s.
    "v100": Machine("v100", 125e12, 32 * 2**30, 0.9e12, 150e9, 6.25e9, 16),
    # DGX H100, dense bfloat16; eight NDR cards of 400 Gb/s.
    "h100": Machine("h100", 989.4e12, 80 * 2**30, 3.35e12, 450e9, 50e9),
}
"""Published machines by name."""


def machine(source: str) -> Machine:
    """A published machine by name, or one described in a JSON file with the fields of `Machine`.

    Errors: DataError.
    """
    if source in MACHINES:
        return MACHINES[source]
    if not source.endswith(".json"):
        near = difflib.get_close_matches(source, MACHINES, 3, 0.4) or sorted(MACHINES)
        remedy = f"did you mean {', '.join(near)}, or a .json file?"
        raise DataError(explain("machine", f"{source!r} is not known", remedy=remedy))
    try:
        found = json.loads(Path(source).read_bytes())
    except ValueError as error:
        raise DataError(explain("machine", f"{source} is not JSON: {error}")) from None
    names = [f.name for f in fields(Machine)]
    needed = names[1:6]
    if not isinstance(found, dict) or not set(needed) <= found.keys() <= set(names):
        remedy = f"one object with {', '.join(needed)}, and if needed {', '.join(names[6:])}"
        raise DataError(explain("machine", f"{source} does not describe one", remedy=remedy))
    return Machine(**{"name": Path(source).stem, **found})
