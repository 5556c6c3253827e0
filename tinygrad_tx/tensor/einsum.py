"""einsum: sums of products named by letters, as products of matrices two operands at a time."""

from __future__ import annotations

from collections import Counter

from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.shapes import size_of
from tinygrad_tx.tensor.linalg import matmul
from tinygrad_tx.tensor.reductions import sum as total_of
from tinygrad_tx.tensor.shape import permute_dims, reshape
from tinygrad_tx.tensor.tensor import Tensor, TensorLike, as_tensor

__all__ = ["einsum"]

_SPARE = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def einsum(subscripts: str, *operands: TensorLike) -> Tensor:
    """The sum of products that `subscripts` describe, as in `numpy.einsum`: "bqd,bkd->bqk".

    Operands are joined from left to right. "..." stands for leading axes that all share. A letter
    may stand once in each operand. Errors: ShapeError.
    """
    tensors = [as_tensor(o) for o in operands]
    names, result = _parsed(subscripts, tensors)
    sizes: dict[str, int] = {}
    for letters, tensor in zip(names, tensors, strict=True):
        for letter, size in zip(letters, tensor.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                what = f"{letter!r} is {sizes[letter]} and {size} in {subscripts!r}"
                raise ShapeError(explain("einsum", what, made=[("it", tensor.node.where)]))
    joined, total = names[0], tensors[0]
    for i in range(1, len(tensors)):
        later = set(result).union(*names[i + 1 :])
        total, joined = _joined(total, joined, tensors[i], names[i], later)
    total, joined = _summed(total, joined, set(result))
    return permute_dims(total, [joined.index(letter) for letter in result])


def _parsed(subscripts: str, tensors: list[Tensor]) -> tuple[list[str], str]:
    """Letters for the axes of each operand and of the result."""
    text = subscripts.replace(" ", "")
    left, arrow, result = text.partition("->")
    given = left.split(",")
    if len(given) != len(tensors):
        what = f"{subscripts!r} names {len(given)} operands, got {len(tensors)}"
        raise ShapeError(explain("einsum", what))
    counts = [t.ndim - len(n.replace("...", "")) for n, t in zip(given, tensors, strict=True)]
    leading = {c for n, c in zip(given, counts, strict=True) if "..." in n}
    wrong = any(c != 0 for n, c in zip(given, counts, strict=True) if "..." not in n)
    if wrong or len(leading) > 1 or min(leading, default=0) < 0:
        shapes = ", ".join(str(t.shape) for t in tensors)
        raise ShapeError(explain("einsum", f"{subscripts!r} does not fit the shapes {shapes}"))
    free = [c for c in _SPARE if c not in text]
    dots = "".join(free[: max(leading, default=0)])
    names = [n.replace("...", dots) for n in given]
    if not arrow:
        counted = Counter("".join(names))
        result = "..." + "".join(sorted(c for c, n in counted.items() if n == 1 and c not in dots))
    result = result.replace("...", dots)
    repeated = [n for n in (*names, result) if len(set(n)) < len(n)]
    letters = set("".join(names))
    if repeated or not set(result) <= letters or not all(c.isalpha() for c in letters):
        remedy = "use each letter once an operand, and only letters of operands in the result"
        raise ShapeError(explain("einsum", f"cannot compute {subscripts!r}", remedy=remedy))
    return names, result


def _summed(x: Tensor, letters: str, kept: set[str]) -> tuple[Tensor, str]:
    """Sums over the axes that nobody needs any more."""
    gone = tuple(i for i, letter in enumerate(letters) if letter not in kept)
    left = "".join(letter for letter in letters if letter in kept)
    return (total_of(x, gone) if gone else x), left


def _joined(x: Tensor, left: str, y: Tensor, right: str, later: set[str]) -> tuple[Tensor, str]:
    """The product over the letters of both that are needed by neither result nor other operands."""
    x, left = _summed(x, left, later | set(right))
    y, right = _summed(y, right, later | set(left))
    batch = [c for c in left if c in right and c in later]
    inner = [c for c in left if c in right and c not in later]
    rows = [c for c in left if c not in right]
    columns = [c for c in right if c not in left]
    size = dict(zip(left, x.shape, strict=True)) | dict(zip(right, y.shape, strict=True))

    def arranged(t: Tensor, letters: str, *groups: list[str]) -> Tensor:
        order = [letters.index(c) for group in groups for c in group]
        shape = [size_of(tuple(size[c] for c in group)) for group in groups]
        return reshape(permute_dims(t, order), shape)

    product = matmul(
        arranged(x, left, batch, rows, inner), arranged(y, right, batch, inner, columns)
    )
    letters = "".join((*batch, *rows, *columns))
    return reshape(product, tuple(size[c] for c in letters)), letters
