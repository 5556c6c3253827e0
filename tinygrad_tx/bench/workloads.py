"""What is timed. A workload is a name with sizes; every contender builds it in its own way."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = [
    "CONFIGS",
    "SUITES",
    "Workload",
    "capture",
    "flops_of_step",
    "growth",
    "parameters_of",
    "suite",
]

SUITES = ("steps", "models", "parts", "quick", "growth", "real", "capture", "learning", "all")
"""Names that `suite` knows."""

CONFIGS: dict[str, tuple[int, ...]] = {
    "A": (4, 4, 128, 64, 12, 65),
    "B": (6, 6, 384, 256, 8, 65),
    "C": (2, 2, 64, 32, 8, 65),
    # Sizes that nobody tuned for: odd heads, ragged edges, a real vocabulary.
    "D": (3, 3, 96, 80, 5, 1000),
}
"""Sizes of GPTs that are raced: layers, heads, width, context, batch, vocab."""


@dataclass(frozen=True)
class Workload:
    """One race: what is computed, at which sizes, by whom.

    kind: "step", "matmul", ...; sizes as that kind reads them; peers that know it.
    """

    name: str
    kind: str
    sizes: tuple[int, ...]
    option: str = ""
    peers: tuple[str, ...] = ("torch",)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def flops_of_step(config: tuple[int, ...]) -> int:
    """Operations of forward and backward pass; attention counted causal."""
    layers, _, width, context, batch, vocab = config
    tokens = batch * context
    return 6 * tokens * (12 * width**2 * layers + width * vocab) + (
        7 * tokens * context * width * layers
    )


def parameters_of(config: tuple[int, ...]) -> int:
    """Parameters of a GPT with learned positions and tied embeddings, norms and biases included."""
    layers, _, width, context, _, vocab = config
    return layers * (12 * width**2 + 13 * width) + (vocab + context + 2) * width


def growth() -> list[Workload]:
    """One thing grows at a time: parameters to 30 million, context to 2,048, batch, nodes."""
    parameters = ((4, 4, 64), (4, 4, 128), (4, 4, 256), (6, 6, 384), (10, 8, 512))
    named = [("parameters", (*p, 64, 8, 65)) for p in parameters]
    named += [("context", (4, 4, 128, time, 1, 65)) for time in (64, 128, 256, 512, 1024, 2048)]
    named += [("batch", (4, 4, 128, 64, batch, 65)) for batch in (1, 4, 16, 64)]
    works = []
    for option, sizes in named:
        value = {"parameters": parameters_of(sizes), "context": sizes[3], "batch": sizes[4]}[option]
        works.append(Workload(f"{option} {value:,}", "step", sizes, option))
    return works + [
        Workload(f"graph of {nodes:,} nodes", "graph", (nodes,), peers=())
        for nodes in (1_000, 10_000, 100_000)
    ]


def capture() -> list[Workload]:
    """A forward pass of GPT A with nothing captured, with all points, and with one; the first is
    what the others are divided by. TorchLens sees the operations of PyTorch: a pattern that its
    fused attention does not store is none of them."""
    lenses = ("transformer lens", "torchlens")
    works = [
        Workload(f"capture {option} A", "capture", CONFIGS["A"], option, lenses)
        for option in ("nothing", "everything", "hidden")
    ]
    return [*works, Workload("capture pattern A", "capture", CONFIGS["A"], "pattern", lenses[:1])]


def suite(which: str = "all") -> list[Workload]:
    """The workloads of one of SUITES; "all" are steps, models, parts and capture.

    "learning" has none: what it trains is no workload, see `learning`.
    """
    steps = [
        Workload(f"step {name}", "step", sizes, peers=("torch", "torch compiled", "jax"))
        for name, sizes in CONFIGS.items()
    ]
    models = [
        Workload(f"{option} step A", "step", CONFIGS["A"], option, ("torch", "torch compiled"))
        for option in ("bert", "encoder-decoder")
    ]
    models += [Workload(f"write {name}", "write", CONFIGS[name]) for name in ("A", "B")]
    parts = [
        Workload(f"matmul {m}x{k}x{n} {form}", "matmul", (m, k, n), form, ("numpy",))
        for m, k, n in (
            (64, 64, 64),
            (768, 128, 512),
            (128, 768, 512),
            (512, 512, 512),
            (2048, 384, 1536),
            (1000, 333, 77),
        )
        for form in ("NN", "NT", "TN")
    ]
    parts += [
        Workload(f"{kind} {rows}x{width}", kind, (rows, width))
        for kind in ("softmax", "layer_norm", "gelu", "cross_entropy")
        for rows, width in ((768, 128), (2048, 1024))
    ]
    parts += [
        Workload(f"attention T={time} {form}", "attention", (4, 4, time, 32), form)
        for time in (64, 256, 1024)
        for form in ("causal", "full")
    ]
    parts += [Workload(f"adamw {n:,}", "adamw", (n,)) for n in (800_000, 10_000_000)]
    quick = [w for w in steps if w.name.endswith(("A", "C"))] + parts[1:3]
    real = [Workload(f"SmolLM2 prompt of {time}", "prompt", (time,)) for time in (32, 128, 512)]
    real.append(Workload("SmolLM2 writes 32 tokens", "decode", (32,)))
    suites = {"steps": steps, "models": models, "parts": parts, "quick": quick, "real": real}
    suites |= {"growth": growth(), "capture": capture(), "learning": []}
    return {**suites, "all": steps + models + parts + capture()}[which]
