"""tinygrad_tx: one graph that is trained, drawn, checked and looked into."""

import tinygrad_tx.ops  # noqa: F401  # registers the operators
from tinygrad_tx import data, errors, models, nn, optim, train
from tinygrad_tx.config import config
from tinygrad_tx.custom import checkpoint, custom_op
from tinygrad_tx.dtypes import bool_, float32, float64, int32, int64
from tinygrad_tx.functional import grad, hessian, jacobian, jvp, value_and_grad, vjp
from tinygrad_tx.jit import jit
from tinygrad_tx.runtime.kernels import cache_info, clear_cache
from tinygrad_tx.tensor import *  # noqa: F403  # the names stand in each file's __all__
from tinygrad_tx.viz import Drawing, draw

__version__ = "0.1.0"
