"""How a transformer copies: induction heads, found by their score and proved by taking them away.

Texts are random tokens that begin again after six to twelve of them. From there on, what comes is
what came after the same token before. One head has to tell each place which token stood before it,
another to look for the place behind an equal one: it takes two layers, so a model of one layer is
the baseline. Were the period always the same, counting places would do. Source: Olsson et al. 2022.
"""

from __future__ import annotations

import argparse

import numpy as np

import tinygrad_tx as tx
from tinygrad_tx import reasoning

VOCAB, TIME, PERIODS = 32, 24, (6, 12)


def texts(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Tokens (count, TIME), and which of them the tokens before them foretell."""
    period = rng.integers(PERIODS[0], PERIODS[1] + 1, (count, 1))
    places = np.arange(TIME)
    # Without repeats inside a period: what follows a token is certain.
    first = rng.permuted(np.tile(np.arange(VOCAB), (count, 1)), axis=1)
    return np.take_along_axis(first, places % period, 1), places > period


def trained(layers: int, steps: int) -> tx.models.GPT:
    config = tx.models.GPTConfig(VOCAB, context=TIME, layers=layers, heads=4, width=64)
    model = tx.models.GPT(config)
    optimizer = tx.optim.AdamW(model.parameters(), weight_decay=0.01)
    rate = tx.optim.cosine(3e-3, steps, warmup=max(1, steps // 20), floor=0.05)

    @tx.jit
    def step(tokens: tx.Tensor, targets: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = model.loss(tokens, targets)
        loss.backward()
        tx.optim.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        return loss

    rng = np.random.default_rng(1)
    for number in range(steps):
        optimizer.lr = rate(number)
        some, is_known = texts(32, rng)
        # -100 asks for nothing: the first period is noise.
        step(some[:, :-1], np.where(is_known, some, -100)[:, 1:])
    return model.eval()


def copied(logits: tx.Tensor, some: np.ndarray, is_known: np.ndarray) -> float:
    """Share of the tokens that can be foretold, and are."""
    guesses = logits.numpy()[:, :-1].argmax(-1)
    return float((guesses == some[:, 1:])[is_known[:, 1:]].mean())


def main(steps: int, sequences: int) -> None:
    some, is_known = texts(sequences, np.random.default_rng(0))
    shares = {}
    for layers in (1, 2):
        model = trained(layers, steps)
        shares[layers] = copied(model(some), some, is_known)
        print(f"{layers} layer{'s' * (layers > 1)}: copies {shares[layers]:.1%}")

    found = reasoning.induction_scores(model, VOCAB, length=PERIODS[1], sequences=sequences)
    print(found.table(most=4))
    layer, head = found.best("induction")

    # A score is no proof. The head is taken away, then each of the other seven, for comparison.
    def without(layer: int, head: int) -> float:
        change = {f"blocks.{layer}.attention.context": reasoning.zero(heads=head)}
        return copied(reasoning.intervene(model, some, change), some, is_known)

    others = [
        without(i, j) for i in range(2) for j in range(4)
        if (i, j) != (layer, head)
    ]  # fmt: skip
    print(
        f"copies {shares[2]:.0%} with two layers, {shares[1]:.0%} with one; without head "
        f"{layer}.{head} {without(layer, head):.0%}, without another {np.mean(others):.0%} (mean)"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Finds the heads that copy, and removes them.")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    if parser.parse_args().quick:
        main(steps=5, sequences=4)
    else:
        main(steps=1000, sequences=64)
