"""Prompts: templates and verbalizers, zero- and few-shot scoring, soft prompts and prefixes.

Read template.py, verbalizer.py and score.py, then tuned.py; ways.py, search.py and compare.py are
the experiments on them.
"""

from tinygrad_tx.missing import of_package
from tinygrad_tx.nn import LoRA
from tinygrad_tx.prompt.complete import complete
from tinygrad_tx.prompt.score import Demonstration, calibrate, score, word_scores
from tinygrad_tx.prompt.template import CLASSIFICATION, QUESTION, Prompt, Slot, Template
from tinygrad_tx.prompt.tuned import Answering, PrefixTuning, SoftPrompt, load_tuned
from tinygrad_tx.prompt.verbalizer import Verbalizer

__all__ = [
    "CLASSIFICATION",
    "QUESTION",
    "Answering",
    "Demonstration",
    "LoRA",
    "PrefixTuning",
    "Prompt",
    "Slot",
    "SoftPrompt",
    "Template",
    "Verbalizer",
    "calibrate",
    "complete",
    "load_tuned",
    "score",
    "word_scores",
]


__getattr__ = of_package(__name__, __all__)
