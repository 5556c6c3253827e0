"""Catastrophic forgetting: what each way of fine-tuning leaves of the pretraining.

A BERT pretrained on masked characters learns sentiment with 1,000 labels; then its encoder goes
back below the masked-word head, and the loss on the pretraining texts is measured again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.models import BERT
from tinygrad_tx.nn import Adapters, LoRA
from tinygrad_tx.optim import Rates, frozen, layer_wise, same
from tinygrad_tx.tasks import sentiment
from tinygrad_tx.tasks.mean_classifier import MeanClassifier
from tinygrad_tx.tasks.picture import bars, panels, write_picture
from tinygrad_tx.tasks.stage import open_task, seconds_since, train_stage
from tinygrad_tx.tasks.table import write_outcome
from tinygrad_tx.tasks.task import Figure, Outcome, Row, TaskConfig, bootstrap
from tinygrad_tx.tasks.words import masked_word_losses, pretrain_on
from tinygrad_tx.train import TrainConfig

__all__ = ["METHODS", "Method", "run"]

HEADS = ("pooler.*", "classifier.*")
SUBLAYERS = ("encoder.blocks.*.attention", "encoder.blocks.*.feed_forward")
LINEAR = ("encoder.blocks.*.attention.*", "encoder.blocks.*.feed_forward.*")


def _nothing(model: MeanClassifier) -> None:
    """Full fine-tuning changes nothing of the model's form."""


def _lora(model: MeanClassifier) -> None:
    LoRA(model, *LINEAR, rank=8, alpha=16, also=HEADS)


def _adapters(model: MeanClassifier) -> None:
    norms = ("encoder.*norm.*",)
    Adapters(model, model.config.width, *SUBLAYERS, bottleneck=16, also=(*HEADS, *norms))


@dataclass(frozen=True)
class Method:
    """A way of fine-tuning. rates: from the number of layers; prepare: what is put in first."""

    name: str
    learning_rate: float
    rates: Callable[[int], Rates] = lambda layers: same
    prepare: Callable[[MeanClassifier], None] = _nothing


# The few new parameters of LoRA and adapters, and heads alone, start at 0 or at random: they take
# larger steps, as in their papers.
METHODS = (
    Method("full fine-tuning", 5e-4),
    Method("layer-wise rates", 1e-3, lambda layers: layer_wise(layers, 0.5)),
    Method("LoRA, rank 8", 2e-3, prepare=_lora),
    Method("adapters, 16 units", 2e-3, prepare=_adapters),
    Method("frozen encoder", 2e-3, lambda layers: frozen("encoder.*")),
)


def run(config: TaskConfig) -> Outcome:
    """The task. Errors: DataError without the data, those of `fit`."""
    began = time.perf_counter()
    folder, plan, say = open_task(config), sentiment.plan_of(config), config.watch.say
    data = sentiment.load_reviews(plan)
    folder.write(folder.tokenizer, data.units.to_json())
    shape = plan.sizes.model(data.units.vocab_size)
    model = BERT(shape, config.seed)
    pretraining = pretrain_on(config, model, *data.tokens, plan.pretraining)
    before = masked_word_losses(model, data.tokens[1])
    say(f"Loss on hidden characters before: {before.mean():.3f} nats")
    count, steps, _ = plan.runs[1]
    rows, accuracies = [], {}
    for method in METHODS:
        learnt, after = _fine_tuned(config, data, model, method, count, steps)
        accuracies[method.name] = learnt.score
        more = (
            ("accuracy on sentiment", learnt.score.text()),
            ("loss afterwards", f"{after.mean():.3f}"),
        )
        rise = bootstrap(after - before)
        rows.append(Row(method.name, rise, learnt.trained, learnt.seconds, more))
        say(f"{method.name}: accuracy {learnt.score.text()}, loss {rise.value:+.3f}")
    _draw(folder, rows, accuracies)
    outcome = _outcome(config, rows, accuracies, before, count, pretraining.seconds, began)
    write_outcome(folder, outcome)
    return outcome


def _fine_tuned(
    config: TaskConfig,
    data: sentiment.Reviews,
    start: BERT,
    method: Method,
    count: int,
    steps: int,
) -> tuple[Row, np.ndarray[Any, Any]]:
    """Accuracy on sentiment, and the losses on hidden characters afterwards: (reviews,)."""
    chosen = sentiment.labelled(data, count, config.seed)
    model = sentiment.classifier_from(start.config, start, config.seed)
    method.prepare(model)
    rates = method.rates(start.config.layers)
    training = TrainConfig(
        steps, sentiment.BATCH, method.learning_rate, steps // 10, 0.05, 1.0, steps, 8, config.seed
    )
    done = train_stage(
        config,
        method.name.replace(", ", "-").replace(" ", "-"),
        model,
        sentiment.fine_tuning(data.tokens[0][chosen], data.labels[0][chosen], config.seed),
        sentiment.fine_tuning(data.tokens[1], data.labels[1], config.seed),
        training,
        rates,
    )
    trained = sum(p.size for n, p in model.named_parameters() if rates(n) > 0)
    right = sentiment.accuracies(model, data.tokens[1], data.labels[1])
    row = Row(method.name, bootstrap(right), trained, done.seconds)
    probe = BERT(start.config, config.seed)
    probe.load_state_dict(start.state_dict())
    probe.encoder = model.encoder  # with what LoRA or adapters put into it
    return row, masked_word_losses(probe, data.tokens[1])


def _draw(folder: Any, rows: list[Row], accuracies: dict[str, Figure]) -> None:
    picture, (accuracy, forgotten) = panels(2)
    bars(accuracy, list(accuracies), list(accuracies.values()))
    accuracy.set(xlabel="accuracy on sentiment, held-out reviews")
    bars(forgotten, [r.method for r in rows], [r.score for r in rows])
    forgotten.set(xlabel="what the loss on hidden characters rose by (nats)")
    write_picture(folder, picture)


def _outcome(
    config: TaskConfig,
    rows: list[Row],
    accuracies: dict[str, Figure],
    before: np.ndarray[Any, Any],
    count: int,
    pretraining: float,
    began: float,
) -> Outcome:
    full = rows[0]
    least = accuracies[full.method].low
    as_good = [row for row in rows[1:] if accuracies[row.method].high >= least]
    best = min(as_good or rows[1:], key=lambda row: row.score.value)
    return Outcome(
        name="forgetting",
        what="What fine-tuning on sentiment leaves of the pretraining: the loss on hidden "
        "characters of held-out reviews, before and after each method.",
        data=f"The reviews of the task sentiment; {count:,} labels for each method.",
        command="tinygrad-tx finetune forgetting --out runs/forgetting",
        metric="rise of the loss on hidden characters, in nats",
        baseline_name=full.method,
        baseline=full.score,
        score=best.score,
        trained=best.trained,
        seconds=seconds_since(began, pretraining, *(r.seconds for r in rows)),
        rows=tuple(rows),
        notes=(
            f"Before: {bootstrap(before).text(percent=False)} nats for each hidden character.",
            f"The score above is that of {best.method}: the least forgetting among the methods "
            "whose accuracy is not clearly below that of full fine-tuning.",
            f"Pretraining took {pretraining:.0f} seconds (0: that of another run was read).",
            "One seed: accuracies whose intervals overlap are not told apart.",
        ),
        quick=config.quick,
        percent=False,
    )
