"""A skew planted, found by an audit, taken out by erasure, and audited again.

The text says *he* of nine engineers in ten and *she* of nine nurses in ten; the audit does not
know that. LEACE (Belrose et al. 2023) then changes the rows of the embedding as little as it takes
for no linear map to tell the two groups of occupations apart. What it breaks is measured too.
"""

from __future__ import annotations

import argparse

import tinygrad_tx as tx
from tinygrad_tx import reasoning


def main(training: reasoning.Training) -> None:
    text = tx.data.skewed_text()
    model = reasoning.trained_on(text, training)
    checks = reasoning.planted_checks(text)
    truth = reasoning.planted_truth(text)

    before = reasoning.bias_audit(model, checks)
    skewed = [e.name for e in before if abs(truth.get(e.name, 0.0)) > 1]
    for name in skewed:
        effect = before[name]
        found = "found" if effect.is_found() else "not found"
        print(f"{name}: planted {truth[name]:+.2f} nats, measured {effect.value:+.2f}, {found}")

    # What a correction must not break: grammar and facts, and the words that follow a name.
    harmless = reasoning.planted_side_effects(text)
    costs = {name: measure.measure(model).mean() for name, measure in harmless.items()}

    edit = reasoning.PlantedControls(text).erasure_of_words(model)
    edit.apply()
    after = reasoning.bias_audit(model, checks)
    print(reasoning.compare_audits(before, after))
    for name, measure in harmless.items():
        now = measure.measure(model).mean()
        print(f"{name}: {costs[name]:.3f} before, {now:.3f} after ({measure.better} is better)")

    occupations = [n for n in skewed if n.startswith("he or she: ")]
    sizes = [
        sum(abs(audit[n].value or 0.0) for n in occupations) / len(occupations)
        for audit in (before, after)
    ]
    edit.take_back()  # bit for bit
    print(
        f"mean skew of the {len(occupations)} planted occupations: {sizes[0]:.2f} nats before, "
        f"{sizes[1]:.2f} after erasure"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Finds a planted skew and mends it.")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    if parser.parse_args().quick:
        main(reasoning.Training(layers=1, heads=2, width=16, steps=5))
    else:
        main(reasoning.Training(heads=4, width=48, steps=800, learning_rate=5e-3))
