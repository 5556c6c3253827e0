"""The Tensor and the functions on it, named as in the Python array API standard.

Read tensor.py; the functions are in files by theme (elementwise.py, shape.py, reductions.py,
linalg.py, neural.py, ...), methods.py puts them on the class, protocols.py and sharing.py meet
other libraries.
"""

# ruff: noqa: F403  # the lists of names stand in each file's __all__
from tinygrad_tx.tensor.tensor import *  # isort: skip
from tinygrad_tx.missing import knowing_arguments as _knowing_arguments
from tinygrad_tx.tensor.bits import *
from tinygrad_tx.tensor.creation import *
from tinygrad_tx.tensor.einsum import *
from tinygrad_tx.tensor.elementary import *
from tinygrad_tx.tensor.elementwise import *
from tinygrad_tx.tensor.indexing import *
from tinygrad_tx.tensor.linalg import *
from tinygrad_tx.tensor.namespace import *
from tinygrad_tx.tensor.neural import *
from tinygrad_tx.tensor.random import *
from tinygrad_tx.tensor.reductions import *
from tinygrad_tx.tensor.selection import *
from tinygrad_tx.tensor.shape import *
from tinygrad_tx.tensor.sharing import *

from tinygrad_tx.tensor import numpy_calls as numpy_calls  # isort: skip

globals().update(_knowing_arguments(globals()))
