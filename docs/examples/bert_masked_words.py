"""Pretrains a BERT on hidden words, and asks it to fill the gap in sentences that it never read.

The text is the language reference inside Python, cut into sentences; a tenth is held out. What is
learnt stands beside two ways to guess: the commonest word, and the word most often seen between the
same two neighbours. On some 370 words a difference below five in a hundred may be chance.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict

import numpy as np

import tinygrad_tx as tx
from tinygrad_tx.data.sentences import sentence_runs
from tinygrad_tx.data.units import MASK, UNKNOWN

TIME = 32
SENTENCES = ("the value of the [MASK] is a string .", "if the [MASK] is omitted , it is none .")


def words_of(sentence: str) -> list[str]:
    """Lower-case words and marks."""
    return re.findall(r"\w+|[^\w\s]", sentence.lower())


def rows_of(sentences: list[list[str]], units: tx.data.WordUnits) -> np.ndarray:
    """(sentences, TIME): framed by [CLS] and [SEP], cut and padded."""
    return np.stack([tx.data.framed(units.encode(" ".join(s)), TIME)[0] for s in sentences])


def neighbours(learnt: list[list[str]]) -> dict[tuple[str, str], str]:
    """The word most often between two others."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for words in learnt:
        for left, word, right in zip(words, words[1:], words[2:], strict=False):
            counts[left, right][word] += 1
    return {pair: found.most_common(1)[0][0] for pair, found in counts.items()}


def main(steps: int, width: int, layers: int) -> None:
    runs = sentence_runs()
    parts = [
        [words_of(s) for run in runs if run.is_held_out == held for s in run.sentences]
        for held in (False, True)
    ]
    counts = Counter(word for words in parts[0] for word in words)
    units = tx.data.WordUnits([word for word, count in counts.most_common(3000) if count > 2])
    learnt, held_out = (rows_of(part, units) for part in parts)
    config = tx.models.BERTConfig(
        units.vocab_size, context=TIME, layers=layers, width=width, dropout=0.0
    )
    model = tx.models.BERT(config)
    optimizer = tx.optim.AdamW(model.parameters(), weight_decay=0.01)
    rate = tx.optim.linear(2e-3, steps, warmup=steps // 10)

    @tx.jit
    def step(
        tokens: tx.Tensor, words: tx.Tensor, places: tx.Tensor, is_real: tx.Tensor
    ) -> tx.Tensor:
        optimizer.zero_grad()
        loss = model.loss(tokens, words, mask=is_real, places=places)
        loss.backward()
        tx.optim.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        return loss

    rng = np.random.default_rng(0)
    for number in range(steps):
        optimizer.lr = rate(number)
        rows = learnt[rng.integers(0, len(learnt), 32)]
        # Other words are hidden at each reading: that is all the variety that a small text has.
        tokens, words, places = tx.data.hide_words(rows, units.vocab_size, rng)
        loss = step(tokens, words, places, rows != 0)
        if number % max(1, steps // 6) == 0:
            print(f"step {number:5}  loss {loss.item():.3f}")

    model.eval()
    for sentence in SENTENCES:
        ids = [MASK if word == "[MASK]" else units.encode(word)[0] for word in sentence.split()]
        tokens = tx.data.framed(ids, TIME)[0][None]
        place = int(np.argmax(tokens[0] == MASK))
        chances = tx.softmax(model(tokens, mask=tokens != 0)[0, place]).numpy()
        best = ", ".join(f"{units.decode([t])} {chances[t]:.0%}" for t in np.argsort(-chances)[:4])
        print(f"{sentence}  {best}")

    # One known word of each held-out sentence is hidden; all three guess it.
    between = neighbours(parts[0])
    commonest = next(word for word, _ in counts.most_common() if word.isalpha())
    right = Counter[str]()
    for words_in_row, row in zip(parts[1], held_out, strict=True):
        inside = range(1, min(len(words_in_row), TIME - 2) - 1)
        known = [i for i in inside if row[i + 1] != UNKNOWN]
        if not known:
            continue
        hidden = known[int(rng.integers(len(known)))]
        word, seen = words_in_row[hidden], row.copy()
        seen[hidden + 1] = MASK  # behind [CLS]
        guess = int(model(seen[None], mask=seen[None] != 0)[0, hidden + 1].argmax().item())
        pair = words_in_row[hidden - 1], words_in_row[hidden + 1]
        right["asked"] += 1
        right["BERT"] += units.decode([guess]) == word
        right["neighbours"] += between.get(pair) == word
        right["commonest"] += commonest == word
    shares = {name: right[name] / right["asked"] for name in ("BERT", "neighbours", "commonest")}
    print(
        f"right of {right['asked']} hidden words: BERT {shares['BERT']:.0%}, both neighbours "
        f"{shares['neighbours']:.0%}, the commonest word {shares['commonest']:.0%}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Pretrains a BERT and fills gaps with it.")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    if parser.parse_args().quick:
        main(steps=10, width=32, layers=1)
    else:
        main(steps=3000, width=96, layers=2)
