"""Pretrain without labels, then fine-tune with few: what the first is worth to the second.

Reviews are made by a grammar: three to five remarks that mostly agree in their opinion, each with
one of forty words for it. 8,000 have no label; a BERT learns from them which words go together, by
filling gaps. Then eight labelled reviews, in which half of the words never stand, say what is good
and what is bad. The same model without pretraining and naive Bayes get the same eight.

On real reviews: `tinygrad-tx finetune sentiment --out runs/sentiment`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

import tinygrad_tx as tx

GOOD = (
    "superb", "lovely", "brilliant", "charming", "delightful", "excellent", "moving",
    "witty", "fresh", "elegant", "gripping", "warm", "clever", "stunning", "graceful",
    "funny", "tender", "bold", "honest", "rich",
)  # fmt: skip
BAD = (
    "awful", "dull", "dreadful", "boring", "terrible", "tedious", "flat", "clumsy", "stale",
    "bland", "lazy", "noisy", "silly", "crude", "hollow", "weak", "grim", "messy", "forced",
    "cheap",
)  # fmt: skip
THINGS = (
    "plot", "cast", "music", "ending", "script", "camera", "pace", "cutting", "dialogue",
    "story",
)  # fmt: skip
TIME, LABELLED = 18, 8


def reviews(count: int, rng: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """Texts, and 1 for those that are good. One remark in ten is of another mind."""
    labels = rng.integers(0, 2, count)
    texts = []
    for label in labels:
        said = []
        for _ in range(int(rng.integers(3, 6))):
            words = (BAD, GOOD)[label if rng.random() < 0.9 else 1 - label]
            said.append(f"{rng.choice(words)} {rng.choice(THINGS)} .")
        texts.append(" ".join(said))
    return texts, labels


def learn(
    loss_of: Callable[..., tx.Tensor], parameters: list[tx.Tensor], draw: Callable[[], tuple],
    steps: int, peak: float,
) -> float:  # fmt: skip
    """Steps of AdamW on what `draw` gives; the last loss."""
    optimizer = tx.optim.AdamW(parameters, weight_decay=0.01)
    rate = tx.optim.linear(peak, steps, warmup=max(1, steps // 10))

    @tx.jit
    def step(*batch: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = loss_of(*batch)
        loss.backward()
        tx.optim.clip_grad_norm(parameters, 1.0)
        optimizer.step()
        return loss

    for number in range(steps):
        optimizer.lr = rate(number)
        loss = step(*draw())
    return float(loss.item())


class Classifier(tx.nn.Module):
    """BERT's encoder, the mean of its states over real tokens, and two classes: (batch, 2)."""

    def __init__(self, config: tx.models.BERTConfig, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.encoder = tx.models.BERTEncoder(config, rng)
        self.head = tx.nn.Linear(config.width, 2, rng)

    def forward(self, tokens: tx.Tensor, mask: tx.Tensor) -> tx.Tensor:
        real = tx.as_tensor(mask).astype(tx.float32)[:, :, None]
        states = self.encoder(tokens, mask=mask)  # (batch, time, width)
        return self.head((states * real).sum(1) / real.sum(1))

    def loss(self, tokens: tx.Tensor, classes: tx.Tensor, mask: tx.Tensor) -> tx.Tensor:
        return tx.cross_entropy(self(tokens, mask), classes)


def naive_bayes(tokens: np.ndarray, labels: np.ndarray, vocab: int) -> np.ndarray:
    """How much more often each word stands in good reviews, as a logarithm: (vocab,)."""
    counts = [np.bincount(tokens[labels == k].ravel(), minlength=vocab) + 1.0 for k in (0, 1)]
    return np.log(counts[1] / counts[1].sum()) - np.log(counts[0] / counts[0].sum())


def main(unlabelled: int, steps: int, finetuning: int) -> None:
    rng = np.random.default_rng(0)
    units = tx.data.WordUnits(sorted({".", *THINGS, *GOOD, *BAD}))

    def rows(texts: list[str]) -> np.ndarray:
        return np.stack([tx.data.framed(units.encode(t), TIME)[0] for t in texts])

    read, (few, labels), (exam, truth) = (reviews(n, rng) for n in (unlabelled, LABELLED, 1000))
    read, few, exam = rows(read[0]), rows(few), rows(exam)
    config = tx.models.BERTConfig(units.vocab_size, context=TIME, layers=2, width=32, dropout=0.0)

    model = tx.models.BERT(config)

    def hidden() -> tuple[np.ndarray, ...]:
        some = read[rng.integers(0, len(read), 32)]
        tokens, words, places = tx.data.hide_words(some, units.vocab_size, rng)
        return tokens, words, some != 0, places

    loss = learn(
        lambda tokens, words, mask, places: model.loss(tokens, words, mask=mask, places=places),
        model.parameters(), hidden, steps, 3e-3,
    )  # fmt: skip
    print(f"pretrained on {len(read):,} reviews without labels: loss on hidden words {loss:.2f}")

    right = {}
    for name in ("pretrained", "from scratch"):
        classifier = Classifier(config, seed=1)
        if name == "pretrained":
            # The encoder is taken over; the head is new.
            classifier.encoder.load_state_dict(model.encoder.state_dict())
        some = tx.data.Examples([few, labels, few != 0], batch=LABELLED)
        learn(classifier.loss, classifier.parameters(), some.draw, finetuning, 1e-3)
        answers = classifier.eval()(exam, exam != 0).numpy().argmax(1)
        right[name] = float((answers == truth).mean())
    weights = naive_bayes(few, labels, units.vocab_size)
    counted = float(((weights[exam].sum(1) > 0) == truth).mean())
    print(
        f"right of 1,000 reviews after {LABELLED} labels: pretrained {right['pretrained']:.1%}, "
        f"from scratch {right['from scratch']:.1%}, naive Bayes {counted:.1%}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What pretraining is worth to fine-tuning.")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    if parser.parse_args().quick:
        main(unlabelled=200, steps=5, finetuning=5)
    else:
        main(unlabelled=8000, steps=1000, finetuning=40)
