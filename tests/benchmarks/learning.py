"""Whether our training learns what PyTorch's does, and how long each takes.

    python tests/benchmarks/learning.py --seeds 3 --out docs/results/learning.json

GPT A (4 layers, 4 heads, width 128, context 64, batch 12) reads the language reference inside
Python by characters, for 2,000 steps. Both begin with the same weights of a seed and see the same
batches; one seed after the other, ours first and second in turns. Times are of the whole loop. The
cache of kernels is empty, so that the first seed's time holds all that is ever compiled.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_tx as tx
from tinygrad_tx.bench.results import versions
from tinygrad_tx.bench.workloads import CONFIGS
from tinygrad_tx.data import Batch, CharTokenizer, Windows, bigram_loss, default_text, split
from tinygrad_tx.files import write_whole

LAYERS, HEADS, WIDTH, CONTEXT, BATCH, _ = CONFIGS["A"]
PEAK, WARMUP, DECAY, BETAS, CLIP = 2e-3, 100, 0.1, (0.9, 0.95), 1.0
Run = tuple[float, float]
"""Held-out loss in nats for each token, and seconds of training."""


def ours(model: tx.models.GPT, batches: list[Batch], held_out: list[Batch]) -> Run:
    optimizer = tx.optim.AdamW(model.parameters(), PEAK, BETAS, weight_decay=DECAY)
    rate = tx.optim.cosine(PEAK, len(batches), WARMUP, 0.1 * PEAK)

    @tx.jit
    def step(tokens: tx.Tensor, targets: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = model.loss(tokens, targets)
        loss.backward()
        tx.optim.clip_grad_norm(model.parameters(), CLIP)
        optimizer.step()
        return loss

    @tx.jit
    def measure(tokens: tx.Tensor, targets: tx.Tensor) -> tx.Tensor:
        with tx.no_grad():
            return model.loss(tokens, targets)

    began = time.perf_counter()
    for number, batch in enumerate(batches):
        optimizer.lr = rate(number)
        step(*batch).item()
    seconds = time.perf_counter() - began
    return float(np.mean([measure(*batch).item() for batch in held_out])), seconds


def pytorch(model: tx.models.GPT, batches: list[Batch], held_out: list[Batch]) -> Run:
    import torch

    from tinygrad_tx.bench.torch_models import as_torch

    torch.set_num_threads(tx.config.threads)
    theirs = as_torch(model)
    groups = [
        {"params": [p for p in theirs.parameters() if p.ndim > 1], "weight_decay": DECAY},
        {"params": [p for p in theirs.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, PEAK, BETAS, fused=True)
    rate = tx.optim.cosine(PEAK, len(batches), WARMUP, 0.1 * PEAK)
    given = [tuple(map(torch.from_numpy, batch)) for batch in batches]

    began = time.perf_counter()
    for number, batch in enumerate(given):
        for group in optimizer.param_groups:
            group["lr"] = rate(number)
        optimizer.zero_grad(set_to_none=True)
        loss = theirs(*batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), CLIP)
        optimizer.step()
        loss.item()
    seconds = time.perf_counter() - began
    with torch.inference_mode():
        found = [theirs(*map(torch.from_numpy, batch)).item() for batch in held_out]
    return float(np.mean(found)), seconds


def learn(seeds: int, steps: int) -> dict[str, Any]:
    """Losses and seconds of both, a seed each, and what bigram counts reach on the same text."""
    text = default_text()
    tokenizer = CharTokenizer.train(text)
    tokens, rest = split(np.array(tokenizer.encode(text)))
    vocab = tokenizer.vocab_size
    held_out = list(Windows(rest, BATCH, CONTEXT).in_order(len(rest)))
    contenders: dict[str, Callable[..., Run]] = {"ours": ours, "torch": pytorch}
    found: dict[str, list[Run]] = {name: [] for name in contenders}
    for seed in range(seeds):
        source = Windows(tokens, BATCH, CONTEXT, seed=seed)
        batches = [source.draw() for _ in range(steps)]
        for name in sorted(contenders, reverse=seed % 2 == 1):
            tx.manual_seed(seed)
            model = tx.models.GPT(tx.models.GPTConfig(vocab, CONTEXT, LAYERS, HEADS, WIDTH))
            found[name].append(contenders[name](model, batches, held_out))
            print(f"seed {seed} {name}: {found[name][-1][0]:.4f} nats, {found[name][-1][1]:.1f} s")
    return {
        "versions": versions(tx.config.threads),
        "steps": steps,
        "bigram": bigram_loss(tokens, rest, vocab),
        "losses": {name: [loss for loss, _ in runs] for name, runs in found.items()},
        "seconds": {name: [s for _, s in runs] for name, runs in found.items()},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("learning.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TINYGRAD_TX_CACHE"] = cache
        write_whole(options.out, json.dumps(learn(options.seeds, options.steps), indent=1) + "\n")
    print(f"Written: {options.out}")
