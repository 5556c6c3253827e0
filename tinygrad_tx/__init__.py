"""tinygrad_tx: one graph that is trained, drawn, checked and looked into."""

__version__ = "0.1.0"

import importlib
from typing import TYPE_CHECKING, Any

import tinygrad_tx.ops  # noqa: F401  # registers the operators
from tinygrad_tx import (
    data as data,
    errors as errors,
    models as models,
    nn as nn,
    optim as optim,
    train as train,
)
from tinygrad_tx.config import config as config
from tinygrad_tx.custom import checkpoint as checkpoint, custom_op as custom_op
from tinygrad_tx.dtypes import (
    bool_ as bool_,
    float16 as float16,
    float32 as float32,
    float64 as float64,
    int8 as int8,
    int16 as int16,
    int32 as int32,
    int64 as int64,
    uint8 as uint8,
)
from tinygrad_tx.functional import (
    grad as grad,
    hessian as hessian,
    jacobian as jacobian,
    jvp as jvp,
    value_and_grad as value_and_grad,
    vjp as vjp,
)
from tinygrad_tx.jit import jit as jit
from tinygrad_tx.missing import of_package
from tinygrad_tx.profile import Profile as Profile, profile as profile
from tinygrad_tx.runtime.kernels import cache_info as cache_info, clear_cache as clear_cache
from tinygrad_tx.tensor import *  # noqa: F403  # the names stand in each file's __all__
from tinygrad_tx.tensor.einops_backend import register_when_imported
from tinygrad_tx.tensor.namespace import (
    __array_api_version__ as __array_api_version__,
    __array_namespace_info__ as __array_namespace_info__,
)
from tinygrad_tx.viz import Drawing as Drawing, Plot as Plot, draw as draw

if TYPE_CHECKING:
    from tinygrad_tx import (
        interop as interop,
        prompt as prompt,
        reasoning as reasoning,
        tasks as tasks,
    )

_LATER = ("interop", "prompt", "reasoning", "tasks")

bool = bool_  # the name in the array API standard
register_when_imported()


_missing = of_package(__name__, [*globals(), *_LATER])

if not TYPE_CHECKING:  # else a type checker would take every name for there

    def __getattr__(name: str) -> Any:
        """Parts that are loaded where they are first used: what trains does not wait for them."""
        if name in _LATER:
            return importlib.import_module(f"tinygrad_tx.{name}")
        return _missing(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
