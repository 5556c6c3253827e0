"""How a transformer copies: induction heads, found by a score and tested by taking them away.

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
    optimizer = tx.optim.AdamW(model.parameters(), weight_decay=0.0)
    rate = tx.optim.constant(1e-3, warmup=50)

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
        some, is_known = texts(64, rng)
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

    # A score is no proof: the heads are taken away, the best first. One alone is not missed where
    # the others do the same.
    means = found.scores["induction"].mean(0)  # (layers, heads)
    ranked = [divmod(int(i), means.shape[1]) for i in np.argsort(-means, axis=None)]
    left = {}
    for count in (1, 2, 4):
        gone = ranked[:count]
        change = {
            f"blocks.{layer}.attention.context": reasoning.zero(
                heads=[head for where, head in gone if where == layer]
            )
            for layer in {layer for layer, _ in gone}
        }
        left[count] = copied(reasoning.intervene(model, some, change), some, is_known)
        names = ", ".join(f"{layer}.{head}" for layer, head in gone)
        print(f"without {names}: copies {left[count]:.1%}")
    print(
        f"copies {shares[2]:.0%} with two layers, {shares[1]:.0%} with one; without its best "
        f"induction head {left[1]:.0%}, without the best four {left[4]:.0%}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Finds the heads that copy, and removes them.")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    if parser.parse_args().quick:
        main(steps=5, sequences=4)
    else:
        main(steps=600, sequences=64)
