"""Ways of training a model to answer in a template: soft prompt, prefix, LoRA, all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_tx.data import Examples
from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.nn import LoRA
from tinygrad_tx.prompt.reviews import END, Reviews
from tinygrad_tx.prompt.score import score
from tinygrad_tx.prompt.search import Candidate, Grammar
from tinygrad_tx.prompt.tuned import Answering, PrefixTuning, SoftPrompt
from tinygrad_tx.tasks.predict import predict
from tinygrad_tx.tasks.stage import train_stage
from tinygrad_tx.tasks.task import Row, TaskConfig, bootstrap
from tinygrad_tx.tensor import Tensor, cross_entropy
from tinygrad_tx.train import TrainConfig

__all__ = ["WAYS", "Parts", "Plan", "Way", "trained"]

Array = np.ndarray[Any, Any]
BATCH = 16


@dataclass(frozen=True)
class Plan:
    """How much of everything. lengths: of soft prompts and prefixes; labels: that are learnt."""

    shape: GPTConfig
    pretraining: int
    labels: int
    steps: int
    test: int
    validation: int
    grammar: Grammar
    draws: int
    """How many times demonstrations are drawn."""
    shots: int = 2
    """Demonstrations of each label."""
    length: int = 10
    read: int = 64
    """Tokens of a prompt without demonstrations; those of one are cut to a third."""
    batch: int = 6
    most: int | None = None


@dataclass(frozen=True)
class Way:
    """A way of training. prepare: gives the model that is asked, with what is trained in it."""

    name: str
    learning_rate: float
    prepare: Callable[[GPT, Plan, list[int]], Any]


def _lora(model: GPT, plan: Plan, start: list[int]) -> GPT:
    LoRA(model, "blocks.*.attention.*", "blocks.*.feed_forward.*", rank=8, alpha=16)
    return model


# The fewer parameters, the larger steps they take (Lester et al. 2021, section 2). Of the few rates
# that were tried, these did best on the validation reviews after half the steps.
WAYS = (
    Way("soft prompt", 1e-1, lambda model, plan, start: SoftPrompt(model, plan.length, start)),
    Way("prefix", 1e-2, lambda model, plan, start: PrefixTuning(model, plan.length, start)),
    Way("LoRA, rank 8", 3e-3, _lora),
    Way("full fine-tuning", 5e-4, lambda model, plan, start: model),
)


@dataclass(frozen=True)
class Parts:
    """What every way shares: the data, the examples of each part, and the model to start from."""

    config: TaskConfig
    plan: Plan
    data: Reviews
    learnt: Sequence[int]
    """Training reviews whose labels are learnt; the validation ones come before them."""
    start: GPT

    def judged(self, part: str) -> tuple[list[str], list[str]]:
        """Texts as far as they are read, and labels, of the part "test" or "validation"."""
        side, most = (1, self.plan.test) if part == "test" else (0, self.plan.validation)
        texts, labels = self.data.texts[side], self.data.labels[side]
        chosen = range(len(texts))[:most] if side else self.learnt[:most]
        return [texts[i][: self.plan.read] for i in chosen], [labels[i] for i in chosen]

    def right(self, model: Any, candidate: Candidate, part: str = "test", **options: Any) -> Array:
        """1 for each review of a part whose label is said: (reviews,)."""
        texts, labels = self.judged(part)
        examples = [{"text": text} for text in texts]
        chances = score(
            model, self.data.tokenizer, candidate.template, candidate.verbalizer, examples,
            separator=END, batch=32, **options,
        )  # fmt: skip
        right: Array = np.array(candidate.verbalizer.labels)[chances.argmax(1)] == np.array(labels)
        return right

    def text_losses(self, model: Any) -> Array:
        """Mean loss of each window of held-out reviews, as the model is then used: (windows,)."""
        time_ = self.plan.shape.context - self.plan.length - 1
        stream = self.data.streams[1]
        rows = stream[: len(stream) // (time_ + 1) * (time_ + 1)].reshape(-1, time_ + 1)

        def losses(tokens: Tensor, targets: Tensor) -> Tensor:
            return cross_entropy(model.logits(model.hidden(tokens)), targets, reduction="none")

        found: Array = predict(model, losses, (rows[:, :-1], rows[:, 1:]), batch=16).mean(1)
        return found

    def copy(self) -> GPT:
        """The pretrained model anew."""
        model = GPT(self.start.config, self.config.seed)
        model.load_state_dict(self.start.state_dict())
        return model.eval()


def trained(parts: Parts, way: Way, best: Candidate, before: Array) -> tuple[Row, list[str]]:
    """Accuracy after training on the labels, and what became of the loss on texts."""
    plan, data, seed = parts.plan, parts.data, parts.config.seed
    model = parts.copy()
    frozen = dict(model.named_parameters())
    state = model.state_dict()
    # Of a label with several words the first is learnt, and asked for.
    one = replace(best, verbalizer=best.verbalizer.first())
    said = "".join(one.verbalizer.flat)
    literal = "".join(text for text, _ in best.template.parts)
    start = data.tokenizer.encode(literal or said).tolist()
    asked = way.prepare(model, plan, start)
    learnt = answers(parts, best, parts.learnt[plan.validation :])
    held = answers(parts, best, parts.learnt[: plan.validation])
    training = TrainConfig(
        plan.steps, BATCH, way.learning_rate, plan.steps // 10, 0.01, 1.0, plan.steps, 8, seed
    )
    trainable = Answering(asked, data.tokenizer.encode(said).tolist())
    done = train_stage(
        parts.config,
        way.name.replace(", ", "-").replace(" ", "-"),
        trainable,
        Examples(learnt, BATCH, seed),
        Examples(held, BATCH, seed),
        training,
    )
    if isinstance(asked, SoftPrompt | PrefixTuning):  # for `generate --tuned` and `prompt --tuned`
        asked.save(parts.config.out / f"{way.name.replace(' ', '-')}.safetensors")
    right, after = parts.right(asked, one), parts.text_losses(asked)
    change = bootstrap(after - before)
    validation = parts.right(asked, one, "validation").mean()
    more = (("validation", f"{validation:.1%}"), ("text loss rises by", f"{change.value:+.3f}"))
    row = Row(way.name, bootstrap(right), trainable.num_parameters(), done.seconds, more)
    same = all(frozen[n].numpy().tobytes() == state[n].tobytes() for n in state)
    kept = [f"{way.name}: taken away, the model is the pretrained one bit for bit."] if same else []
    return row, kept


def answers(parts: Parts, best: Candidate, chosen: Sequence[int]) -> list[Array]:
    """Tokens padded on the right, the last place before the answer, and the label's number."""
    data, plan = parts.data, parts.plan
    longest = plan.read + len(best.template.text)
    tokens, last, labels = np.zeros((len(chosen), longest), np.int64), [], []
    for row, i in zip(tokens, chosen, strict=True):
        text = data.texts[0][i][: plan.read]
        prompt = best.template.prompt(data.tokenizer, {"text": text}, [0], longest)
        lead = prompt.tokens[: prompt.answer[0]]
        row[: len(lead)] = lead
        last.append(len(lead) - 1)
        labels.append(best.verbalizer.labels.index(data.labels[0][i]))
    return [tokens, np.array(last), np.array(labels)]
