"""Optimisers: plain tensor code, so that a whole step is one captured graph.

Read optimizer.py, then sgd.py or adam.py; schedules.py, rates.py and average.py stand beside
them.
"""

from tinygrad_tx.missing import of_package
from tinygrad_tx.optim.adam import Adam, AdamW
from tinygrad_tx.optim.average import Average
from tinygrad_tx.optim.clip import clip_grad_norm, grad_norm
from tinygrad_tx.optim.optimizer import Optimizer
from tinygrad_tx.optim.rates import Rates, frozen, layer_wise, same
from tinygrad_tx.optim.schedules import Schedule, constant, cosine, linear
from tinygrad_tx.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Average",
    "Optimizer",
    "Rates",
    "Schedule",
    "clip_grad_norm",
    "constant",
    "cosine",
    "frozen",
    "grad_norm",
    "layer_wise",
    "linear",
    "same",
]

__getattr__ = of_package(__name__, __all__)
