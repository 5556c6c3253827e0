"""The list of what array_api.py leaves out of the consortium's suite says why, here and in docs."""

from __future__ import annotations

import runpy
from pathlib import Path

import tinygrad_tx as tx

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "tests" / "interop" / "array_api.py"))
PAGE = (ROOT / "docs" / "array-api.md").read_text(encoding="utf-8")


def test_every_reason_stands_in_the_documents() -> None:
    reasons = {why for _, why in SCRIPT["skips"]()}
    assert len(reasons) == 5
    assert [why for why in reasons if why not in PAGE] == []


def test_patterns_match_whole_names() -> None:
    patterns = [pattern for pattern, _ in SCRIPT["skips"]()]
    left_out = "array_api_tests/test_array_object.py::test_setitem"
    assert any(p.fullmatch(left_out) for p in patterns)
    assert not any(
        p.fullmatch("array_api_tests/test_array_object.py::test_getitem") for p in patterns
    )


def test_what_is_counted() -> None:
    tests = [
        {"nodeid": "a", "outcome": "passed"},
        {"nodeid": "b", "outcome": "skipped"},
        {"nodeid": "c", "outcome": "failed"},
    ]
    assert SCRIPT["summed_up"](tests, {"b": "why"}) == 1
    assert SCRIPT["summed_up"](tests[:2], {"b": "why"}) == 0


STANDARD = """
abs acos acosh add all any arange argmax argmin argsort asarray asin asinh astype atan atan2 atanh
bitwise_and bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor
broadcast_arrays broadcast_shapes broadcast_to can_cast ceil clip concat conj copysign cos cosh
count_nonzero cumulative_prod cumulative_sum diff divide empty empty_like equal exp expand_dims
expm1 eye finfo flip floor floor_divide from_dlpack full full_like greater greater_equal hypot
iinfo imag isdtype isfinite isin isinf isnan less less_equal linspace log log10 log1p log2
logaddexp logical_and logical_not logical_or logical_xor matmul matrix_transpose max maximum mean
meshgrid min minimum moveaxis multiply negative nextafter nonzero not_equal ones ones_like
permute_dims positive pow prod real reciprocal remainder repeat reshape result_type roll round
searchsorted sign signbit sin sinh sort sqrt square squeeze stack std subtract sum take
take_along_axis tan tanh tensordot tile tril triu trunc unique_all unique_counts unique_inverse
unique_values unstack var vecdot where zeros zeros_like bool int32 int64 float32 float64 e inf nan
newaxis pi
"""


def test_every_name_of_the_standard_is_there() -> None:
    assert [n for n in STANDARD.split() if not hasattr(tx, n)] == []
