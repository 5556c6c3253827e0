"""Elementary functions that LLVM can vectorise: no library calls, branches as selects.

llvmlite has no SVML, so `math.exp` in a float32 loop is a slow scalar call. These are polynomials
on float32 with an error of a few units in the last place; NaN and infinity come through. The
float64 forms call libm: float64 serves checks, not speed. Names end in the width they work on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from tinygrad_tx.ops.kernels.kernel import EXACT

f32 = np.float32


def _exact(function: Callable[..., Any]) -> Any:
    """`njit` without reassociation: split constants and error-free steps stay as written."""
    return njit(
        error_model="numpy",
        fastmath=EXACT,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        forceinline=True,  # a call inside a loop keeps LLVM from vectorising it
    )(function)


@intrinsic
def float_of_bits(typingctx: Any, bits: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen


@intrinsic
def _bits_of_float(typingctx: Any, x: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), codegen


@intrinsic
def _nearest(typingctx: Any, x: Any) -> Any:
    """The nearest whole number, still a float32 (one instruction once vectorised)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = builder.module.declare_intrinsic("llvm.rint", [ir.FloatType()])
        return builder.call(function, [args[0]])

    return types.float32(types.float32), codegen


# exp: x = n ln 2 + r with ln 2 in two parts, e^r by a polynomial, 2^n by the exponent bits.
_LOG2_E = f32(1.44269504088896341)
_LN2_HIGH, _LN2_LOW = f32(0.693359375), f32(-2.12194440e-4)
_E0, _E1, _E2 = f32(1.9875691500e-4), f32(1.3981999507e-3), f32(8.3334519073e-3)
_E3, _E4, _E5 = f32(4.1665795894e-2), f32(1.6666665459e-1), f32(5.0000001201e-1)
_EXP_HIGH, _EXP_LOW = f32(88.72284), f32(-103.97208)
_INF, _NAN, _ZERO, _HALF, _ONE, _TWO = map(f32, (np.inf, np.nan, 0, 0.5, 1, 2))
_ONE_BITS = np.int32(127)


@_exact
def exp32(x: Any) -> Any:
    """e^x. Source of the polynomial: Moshier's Cephes, expf. Denormal results are kept."""
    z = _EXP_HIGH if x > _EXP_HIGH else x  # in this order NaN stays
    z = _EXP_LOW if z < _EXP_LOW else z
    n = _nearest(z * _LOG2_E)
    r = z - n * _LN2_HIGH
    r = r - n * _LN2_LOW
    p = _E0
    p = p * r + _E1
    p = p * r + _E2
    p = p * r + _E3
    p = p * r + _E4
    p = p * r + _E5
    p = p * (r * r) + r + _ONE
    # 2^n in two factors: n runs from -150 to 128, each half has a normal exponent.
    whole = np.int32(n)
    half = whole >> np.int32(1)
    first = float_of_bits((half + _ONE_BITS) << np.int32(23))
    second = float_of_bits((whole - half + _ONE_BITS) << np.int32(23))
    y = p * first * second
    y = _INF if x > _EXP_HIGH else y
    return _ZERO if x < _EXP_LOW else y


@_exact
def expm132(x: Any) -> Any:
    """e^x - 1: a Taylor polynomial of degree 8 near 0."""
    p = f32(1 / 40320)
    p = p * x + f32(1 / 5040)
    p = p * x + f32(1 / 720)
    p = p * x + f32(1 / 120)
    p = p * x + f32(1 / 24)
    p = p * x + f32(1 / 6)
    p = p * x + _HALF
    near = p * (x * x) + x
    return near if abs(x) < _HALF else exp32(x) - _ONE


_ROOT_HALF = f32(0.70710678118654752440)
_L0, _L1, _L2 = f32(7.0376836292e-2), f32(-1.1514610310e-1), f32(1.1676998740e-1)
_L3, _L4, _L5 = f32(-1.2420140846e-1), f32(1.4249322787e-1), f32(-1.6668057665e-1)
_L6, _L7, _L8 = f32(2.0000714765e-1), f32(-2.4999993993e-1), f32(3.3333331174e-1)
_SMALLEST_NORMAL, _TWO_23 = f32(1.17549435e-38), f32(8388608)


@_exact
def log32(x: Any) -> Any:
    """ln x; denormals are scaled up first. Source of the polynomial: Cephes, logf."""
    tiny = x < _SMALLEST_NORMAL
    scaled = x * _TWO_23 if tiny else x
    bits = _bits_of_float(scaled)
    exponent = f32(((bits >> np.int32(23)) & np.int32(255)) - np.int32(126))
    exponent = exponent - f32(23) if tiny else exponent
    m = float_of_bits((bits & np.int32(0x007FFFFF)) | np.int32(0x3F000000))  # in [1/2, 1)
    low = m < _ROOT_HALF
    exponent = exponent - _ONE if low else exponent
    r = m + m - _ONE if low else m - _ONE
    p = _L0
    p = p * r + _L1
    p = p * r + _L2
    p = p * r + _L3
    p = p * r + _L4
    p = p * r + _L5
    p = p * r + _L6
    p = p * r + _L7
    p = p * r + _L8
    square = r * r
    y = p * r * square + exponent * _LN2_LOW - _HALF * square
    y = r + y + exponent * _LN2_HIGH
    y = _INF if x == _INF else y
    y = -_INF if x == _ZERO else y
    return y if x >= _ZERO else _NAN


@_exact
def log1p32(x: Any) -> Any:
    """ln(1 + x): the rounding of 1 + x is made good by the factor x / ((1 + x) - 1)."""
    u = _ONE + x
    d = u - _ONE
    y = x if d == _ZERO else log32(u) * (x / (_ONE if d == _ZERO else d))
    return u if u == _INF else y


_T1, _T3, _T5 = f32(4.89352455891786e-03), f32(6.37261928875436e-04), f32(1.48572235717979e-05)
_T7, _T9, _T11 = f32(5.12229709037114e-08), f32(-8.60467152213735e-11), f32(2.00018790482477e-13)
_T13 = f32(-2.76076847742355e-16)
_U0, _U2 = f32(4.89352518554385e-03), f32(2.26843463243900e-03)
_U4, _U6 = f32(1.18534705686654e-04), f32(1.19825839466702e-06)
_TANH_ONE = f32(7.90531110763549805)


@_exact
def tanh32(x: Any) -> Any:
    """tanh x as a rational function x P(x^2) / Q(x^2); coefficients as in Eigen's ptanh."""
    z = _TANH_ONE if x > _TANH_ONE else x
    z = -_TANH_ONE if z < -_TANH_ONE else z
    s = z * z
    p = _T13
    p = p * s + _T11
    p = p * s + _T9
    p = p * s + _T7
    p = p * s + _T5
    p = p * s + _T3
    p = p * s + _T1
    q = ((_U6 * s + _U4) * s + _U2) * s + _U0
    y = z * p / q
    return x if abs(x) < f32(4e-4) else y


_F0, _F2, _F4 = f32(-1.60960333262415e-02), f32(-2.95459980854025e-03), f32(-7.34990630326855e-04)
_F6, _F8 = f32(-5.69250639462346e-05), f32(-2.10102402082508e-06)
_F10, _F12 = f32(2.77068142495902e-08), f32(-2.72614225801306e-10)
_G0, _G2, _G4 = f32(-1.42647390514189e-02), f32(-7.37332916720468e-03), f32(-1.68282697438203e-03)
_G6, _G8 = f32(-2.13374055278905e-04), f32(-1.45660718464996e-05)
_ERF_ONE = f32(4)


@_exact
def erf32(x: Any) -> Any:
    """erf x as a rational function x P(x^2) / Q(x^2); coefficients as in Eigen's perf."""
    z = _ERF_ONE if x > _ERF_ONE else x
    z = -_ERF_ONE if z < -_ERF_ONE else z
    s = z * z
    p = _F12
    p = p * s + _F10
    p = p * s + _F8
    p = p * s + _F6
    p = p * s + _F4
    p = p * s + _F2
    p = p * s + _F0
    q = (((_G8 * s + _G6) * s + _G4) * s + _G2) * s + _G0
    return z * (p / q)  # not (z p) / q: for tiny z the product would be denormal


@_exact
def sigmoid32(x: Any) -> Any:
    """1 / (1 + e^-x), from e^-|x|, which does not overflow."""
    e = exp32(-x if x > _ZERO else x)
    return (_ONE if x > _ZERO else e) / (_ONE + e)


@_exact
def silu32(x: Any) -> Any:
    return x / (_ONE + exp32(-x)) if x > -_INF else (-_ZERO if x == -_INF else x)


_ROOT_TWO_OVER_PI, _CUBIC = f32(0.7978845608028654), f32(0.044715)
_DENSITY = f32(0.3989422804014327)


@_exact
def gelu32(x: Any) -> Any:
    """x Phi(x)."""
    return _HALF * x * (_ONE + erf32(x * _ROOT_HALF))


@_exact
def gelu_gradient32(x: Any) -> Any:
    """Phi(x) + x phi(x)."""
    return _HALF * (_ONE + erf32(x * _ROOT_HALF)) + x * _DENSITY * exp32(-_HALF * x * x)


@_exact
def gelu_tanh32(x: Any) -> Any:
    return _HALF * x * (_ONE + tanh32(_ROOT_TWO_OVER_PI * (x + _CUBIC * x * x * x)))


@_exact
def gelu_tanh_gradient32(x: Any) -> Any:
    t = tanh32(_ROOT_TWO_OVER_PI * (x + _CUBIC * x * x * x))
    slope = _ROOT_TWO_OVER_PI * (_ONE + f32(3) * _CUBIC * x * x)
    return _HALF * (_ONE + t + x * (_ONE - t * t) * slope)


@_exact
def rsqrt32(x: Any) -> Any:
    return _ONE / np.sqrt(x)


@_exact
def sign32(x: Any) -> Any:
    return _ONE if x > _ZERO else (-_ONE if x < _ZERO else x)


@_exact
def sin32(x: Any) -> Any:
    return f32(math.sin(x))


@_exact
def cos32(x: Any) -> Any:
    return f32(math.cos(x))


@_exact
def power32(x: Any, y: Any) -> Any:
    return f32(np.float64(x) ** np.float64(y))


def _larger(x: Any, y: Any) -> Any:
    return x if x > y or x != x else y


def _smaller(x: Any, y: Any) -> Any:
    return x if x < y or x != x else y


maximum32 = maximum64 = _exact(_larger)
minimum32 = minimum64 = _exact(_smaller)
exp64 = _exact(lambda x: math.exp(x))
expm164 = _exact(lambda x: math.expm1(x))
log64 = _exact(lambda x: np.log(x))
log1p64 = _exact(lambda x: np.log1p(x))
tanh64 = _exact(lambda x: math.tanh(x))
erf64 = _exact(lambda x: math.erf(x))
sin64 = _exact(lambda x: math.sin(x))
cos64 = _exact(lambda x: math.cos(x))
sigmoid64 = _exact(lambda x: 1.0 / (1.0 + math.exp(-x)))
silu64 = _exact(lambda x: x / (1.0 + math.exp(-x)))
rsqrt64 = _exact(lambda x: 1.0 / np.sqrt(x))
sign64 = _exact(lambda x: np.sign(x))
power64 = _exact(lambda x, y: x**y)
gelu64 = _exact(lambda x: 0.5 * x * (1.0 + math.erf(x * 0.7071067811865476)))
gelu_gradient64 = _exact(
    lambda x: (
        0.5 * (1.0 + math.erf(x * 0.7071067811865476))
        + x * 0.3989422804014327 * math.exp(-0.5 * x * x)
    )
)
gelu_tanh64 = _exact(
    lambda x: 0.5 * x * (1.0 + math.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
)


@_exact
def gelu_tanh_gradient64(x: Any) -> Any:
    t = math.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))
    slope = 0.7978845608028654 * (1.0 + 0.134145 * x * x)
    return 0.5 * (1.0 + t + x * (1.0 - t * t) * slope)


__all__ = sorted(n for n in globals() if n[-2:] in ("32", "64") and n[0] not in "_f")
