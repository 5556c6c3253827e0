"""Why did the model say that? Four answers about one prediction, each checked where it can be.

A small GPT learns a grammar with facts in it (the capital of each land). Asked for one, it is taken
apart: what each layer would have said, which words it comes from, which heads and networks say it;
then the explanation is tested by hiding words in its order. `tinygrad-tx explain` makes a page of
all this for any run.
"""

from __future__ import annotations

import argparse

import numpy as np

import tinygrad_tx as tx
from tinygrad_tx import reasoning


def main(training: reasoning.Training) -> None:
    text = tx.data.skewed_text()
    model = reasoning.trained_on(text, training)
    units = text.units
    sentence = next(s for s in text.train if s.startswith("the capital of"))
    *words, answer, _ = sentence.split()
    prompt, token = np.array([units.encode(" ".join(words))]), units.encode(answer)[0]
    said = units.decode([int(model(prompt)[0, -1].argmax().item())])
    print(f"{' '.join(words)} ... {said} (in the text: {answer})\n")

    print(reasoning.logit_lens(model, prompt, token=token, words=2, tokenizer=units).table())
    print()

    # Integrated gradients: what they give to the words adds up to the change of the logit. The
    # places are read off a path from no words at all to these.
    target = reasoning.Target(token)
    sources = reasoning.integrated_gradients(model, prompt, target, tokenizer=units)
    print(sources.table())
    print()

    # The logit is a sum of what parts add to the last place. Nothing is estimated here.
    parts = reasoning.direct_attribution(model, prompt, token, tokenizer=units)
    print(parts.table(most=6))
    print(reasoning.completeness(parts))
    print()

    # Does the explanation know what matters? The word that it puts first is hidden, then others.
    # The last one stays: that is where the answer is read.
    order = np.argsort(-sources.scores[0, :-1])

    def answer_is_worth(hidden: int | None) -> float:
        """The answer's logit above the mean of all, with one place made a word that says little."""
        changed = prompt.copy()
        if hidden is not None:
            changed[0, hidden] = units.encode("the")[0]
        logits = model(changed)[0, -1].numpy()
        return float(logits[token] - logits.mean())

    rest = float(np.mean([answer_is_worth(int(place)) for place in order[1:]]))
    print(f"the explanation puts {words[order[0]]!r} first")
    print(
        f"the answer's logit: {answer_is_worth(None):.1f}; {answer_is_worth(int(order[0])):.1f} "
        f"without the word put first, {rest:.1f} without another (mean)"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Takes one prediction apart.")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    if parser.parse_args().quick:
        main(reasoning.Training(layers=1, heads=2, width=16, steps=5))
    else:
        main(reasoning.Training(heads=4, width=48, steps=800, learning_rate=5e-3))
