"""Learning, not only speed: one GPT trained by us and by PyTorch, from the same weights on the same
batches, each in its own process: `python -m tinygrad_tx.bench.learning NAME THREADS SEED STEPS`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_tx import models, optim
from tinygrad_tx.bench.race import surroundings
from tinygrad_tx.config import config
from tinygrad_tx.data import CharTokenizer, Windows, bigram_loss, default_text, split
from tinygrad_tx.jit import jit
from tinygrad_tx.tensor import Tensor, manual_seed, no_grad

__all__ = ["LEARNERS", "Learning", "learn"]

RATE, WARMUP, DECAY, BETAS, CLIP = 1e-3, 100, 0.1, (0.9, 0.95), 1.0
BATCH, CONTEXT, LAYERS, HEADS, WIDTH = 12, 64, 4, 4, 128  # GPT A
VALIDATION = 64  # batches

Batch = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


@dataclass
class Learning:
    """Held-out losses in nats a character by learner, one for each seed; seconds of all steps."""

    steps: int
    parameters: int = 0
    bigram: float = float("nan")
    losses: dict[str, list[float]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def learn(
    learners: Sequence[str],
    threads: int,
    steps: int = 1000,
    seeds: int = 3,
    on_run: Callable[[str], None] | None = None,
) -> Learning:
    """Trains by each learner with each seed, in turns; what fails is named and left out."""
    result = Learning(steps)
    for seed in range(seeds):
        for name in learners:
            if name in result.failed:
                continue
            words = [sys.executable, "-m", "tinygrad_tx.bench.learning"]
            words += [name, str(threads), str(seed), str(steps)]
            done = subprocess.run(
                words, capture_output=True, text=True, env=surroundings(threads), check=False
            )
            if done.returncode:
                result.failed[name] = (done.stderr.strip().splitlines() or ["it ended"])[-1][:200]
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            result.losses.setdefault(name, []).append(found["loss"])
            result.seconds.setdefault(name, []).append(found["seconds"])
            result.bigram, result.parameters = found["bigram"], found["parameters"]
            if on_run is not None:
                on_run(
                    f"{steps} steps, seed {seed}, {name}: held-out loss {found['loss']:.4f} "
                    f"(bigrams {found['bigram']:.4f}) in {found['seconds']:.1f} s"
                )
    return result


def main(name: str, threads: int, seed: int, steps: int) -> dict[str, float]:
    """One training: the loss behind it, and the seconds of its steps without the first."""
    learner = _BUILDERS[name]
    config.threads = threads
    text = default_text()
    units = CharTokenizer.train(text)
    learnt, held = split(units.encode(text))
    batches, held_out = Windows(learnt, BATCH, CONTEXT, seed), Windows(held, BATCH, CONTEXT)
    manual_seed(seed)
    model = models.GPT(models.GPTConfig(units.vocab_size, CONTEXT, LAYERS, HEADS, WIDTH))
    step, loss_of = learner(model, threads)
    rate = optim.cosine(RATE, steps, WARMUP, RATE / 10)
    began = time.perf_counter()
    for number in range(steps):
        step(rate(number), batches.draw())
        if number == 0:
            began = time.perf_counter()
    seconds = time.perf_counter() - began
    losses = [loss_of(batch) for batch in held_out.in_order(VALIDATION)]
    return {
        "loss": float(np.mean(losses)),
        "seconds": seconds,
        "bigram": bigram_loss(learnt, held, units.vocab_size),
        "parameters": model.num_parameters(),
    }


Learner = tuple[Callable[[float, Batch], None], Callable[[Batch], float]]


def _ours(model: models.GPT, threads: int) -> Learner:
    optimizer = optim.AdamW(model.parameters(), RATE, BETAS, weight_decay=DECAY)

    @jit
    def update(tokens: Tensor, targets: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = model.loss(tokens, targets)
        loss.backward()
        optim.clip_grad_norm(model.parameters(), CLIP)
        optimizer.step()
        return loss

    @jit
    def measure(tokens: Tensor, targets: Tensor) -> Tensor:
        with no_grad():
            return model.loss(tokens, targets)

    def step(rate: float, batch: Batch) -> None:
        optimizer.lr = rate
        update(*batch).item()

    return step, lambda batch: measure(*batch).item()


def _torch(ours: models.GPT, threads: int) -> Learner:
    import torch

    from tinygrad_tx.bench.torch_models import like

    torch.set_num_threads(threads)
    model = like(ours)
    # As ours: what has one axis does not decay.
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": DECAY},
        {"params": [p for p in model.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, RATE, BETAS, fused=True)

    def step(rate: float, batch: Batch) -> None:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        loss = model(*map(torch.from_numpy, batch))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        loss.item()

    def loss_of(batch: Batch) -> float:
        with torch.inference_mode():
            return float(model(*map(torch.from_numpy, batch)).item())

    return step, loss_of


_BUILDERS: dict[str, Callable[[models.GPT, int], Learner]] = {"ours": _ours, "torch": _torch}
LEARNERS = tuple(_BUILDERS)

if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], *map(int, sys.argv[2:5]))))
