"""Speculative writing: a small model proposes, the large one checks several tokens in one step.

At temperature 0 the text is that of the large model alone, token for token; what changes is how
often the large model has to run. Whether that is worth it depends on how much smaller the draft is
and how often it is right: both are printed, with the time. Models as small as these take longer
with a draft, as a step of the large one costs little more than one of the small. Source: Leviathan
et al. 2023.
"""

from __future__ import annotations

import argparse
import time

import tinygrad_tx as tx
from tinygrad_tx.models.speculative import Counts

CONTEXT, BATCH, AHEAD = 128, 8, 4


def trained(config: tx.models.GPTConfig, batches: tx.data.Windows, steps: int) -> tx.models.GPT:
    model = tx.models.GPT(config)
    optimizer = tx.optim.AdamW(model.parameters())
    rate = tx.optim.cosine(2e-3, steps, warmup=max(1, steps // 20), floor=0.05)

    @tx.jit
    def step(tokens: tx.Tensor, targets: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = model.loss(tokens, targets)
        loss.backward()
        tx.optim.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        return loss

    for number in range(steps):
        optimizer.lr = rate(number)
        loss = step(*batches.draw())
    print(f"{model.num_parameters():,} parameters: loss {loss.item():.2f}")
    return model.eval()


def main(steps: int, layers: int, width: int, new: int) -> None:
    # Its tables and indents are left out: a long run of spaces is too easy to foretell.
    text = " ".join(tx.data.default_text().split())
    tokenizer = tx.data.CharTokenizer.train(text)
    learnt, held_out = tx.data.split(tokenizer.encode(text))
    batches = tx.data.Windows(learnt, BATCH, CONTEXT)
    vocab = tokenizer.vocab_size
    large = tx.models.GPTConfig(vocab, context=CONTEXT, layers=layers, heads=4, width=width)
    small = tx.models.GPTConfig(vocab, context=CONTEXT, layers=1, heads=2, width=32)
    model, draft = trained(large, batches, steps), trained(small, batches, steps)

    greedy = tx.models.Sampling(temperature=0)
    counts, seconds, same, tokens = Counts(), [0.0, 0.0], True, 0
    # The first prompt is written twice: compiling is not what is timed.
    starts = [0, *range(0, 8000, 2000)]
    for number, start in enumerate(starts):
        prompt = held_out[start : start + 24].tolist()
        told = counts if number else Counts()
        began = time.perf_counter()
        alone = list(model.generate(prompt, new, temperature=0))
        between = time.perf_counter()
        together = list(
            tx.models.speculative(model, draft, prompt, new, AHEAD, greedy, counts=told)
        )
        if number:
            seconds[0] += between - began
            seconds[1] += time.perf_counter() - between
            tokens += len(alone)
        same = same and alone == together
    print(tokenizer.decode(together))
    steps_of_large = counts.proposed / AHEAD
    print(f"{counts.taken / counts.proposed:.0%} of what the draft proposes is taken")
    print(f"seconds for {tokens} tokens: alone {seconds[0]:.2f}, with a draft {seconds[1]:.2f}")
    print(
        f"the same text: {same}; {tokens / steps_of_large:.1f} tokens for each step of the large "
        f"model, {seconds[0] / seconds[1]:.2f} times as fast"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A small model drafts for a large one.")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    if parser.parse_args().quick:
        main(steps=5, layers=2, width=48, new=10)
    else:
        main(steps=300, layers=4, width=128, new=100)
