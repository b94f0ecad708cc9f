// exp and its relatives, the same bits in every column: only additions, multiplications, fused multiply-adds
// and divisions that IEEE 754 defines, in one order. Included by a column's files after its simd.h. Tested by
// tests/kernels/vector_test.cpp against double precision.
#pragma once

namespace ruvllm::kernels {
namespace {

/// Below this exp() is 0: results would be denormal.
constexpr float kLeastExponent = -87.33654f;

/// e^x within 1 unit in the last place or so; 0 below kLeastExponent, for x > 88.37 what 88.37 gives, and NaN
/// for NaN.
/// x = n ln 2 + r, |r| <= ln 2 / 2 (Cody and Waite 1980); e^r by Taylor's polynomial of degree 7 (error <
/// 2^-27).
inline Floats exponential(Floats x) {
  // Both give their second operand where one is NaN.
  const Floats clamped = maximum(broadcast(kLeastExponent), minimum(broadcast(88.37f), x));
  const Floats rounded = fma(clamped, broadcast(0x1.715476p+0f), broadcast(0x1.8p23f));
  const Floats n = subtract(rounded, broadcast(0x1.8p23f));
  Floats r = fma(n, broadcast(-0x1.62e400p-1f), clamped);
  r = fma(n, broadcast(-0x1.7f7d1cp-20f), r);
  Floats p = broadcast(1.0f / 5040);
  p = fma(p, r, broadcast(1.0f / 720));
  p = fma(p, r, broadcast(1.0f / 120));
  p = fma(p, r, broadcast(1.0f / 24));
  p = fma(p, r, broadcast(1.0f / 6));
  p = fma(p, r, broadcast(0.5f));
  p = fma(p, r, broadcast(1.0f));
  p = fma(p, r, broadcast(1.0f));
  // A power added to the bits of a NaN may make a number of it; the last step does not.
  const Floats scaled = fma(clamped, broadcast(0.0f), scale_by_power(p, rounded));
  return select_less(x, broadcast(kLeastExponent), broadcast(0.0f), scaled);
}

/// e^x within a factor of 1 + 2^-17 for x <= 0; 0 below kLeastExponent, NaN for a NaN without payload. x
/// log2(e) = n + f, |f| <= 1/2; 2^f by the polynomial of degree 4 that is 1 at 0 and has the least relative
/// error (2^-18.4). Tested by tests/kernels/attention_test.cpp, as weights that become integers: no other
/// kernel computes it.
inline Floats rough_exponential(Floats x) {
  const Floats log2_e = broadcast(0x1.715476p+0f), shift = broadcast(0x1.8p23f);
  const Floats rounded = fma(x, log2_e, shift);
  const Floats f = fma(x, log2_e, subtract(shift, rounded));
  Floats p = broadcast(0x1.3a02ccp-7f);
  p = fma(p, f, broadcast(0x1.c9fc46p-5f));
  p = fma(p, f, broadcast(0x1.ec0378p-3f));
  p = fma(p, f, broadcast(0x1.62e12cp-1f));
  p = fma(p, f, broadcast(1.0f));
  return select_less(x, broadcast(kLeastExponent), broadcast(0.0f), scale_by_power(p, rounded));
}

/// x / (1 + e^-x)
inline Floats silu(Floats x) {
  const Floats e = exponential(subtract(broadcast(0.0f), x));
  return divide(x, add(broadcast(1.0f), e));
}

/// tanh: an odd polynomial below 0.625 (coefficients from Moshier's Cephes library), 1 - 2 / (e^2|x| + 1)
/// above.
inline Floats hyperbolic_tangent(Floats x) {
  const Floats a = absolute(x);
  const Floats z = multiply(a, a);
  Floats p = broadcast(-5.70498872745e-3f);
  p = fma(p, z, broadcast(2.06390887954e-2f));
  p = fma(p, z, broadcast(-5.37397155531e-2f));
  p = fma(p, z, broadcast(1.33314422036e-1f));
  p = fma(p, z, broadcast(-3.33332819422e-1f));
  const Floats low = fma(multiply(p, z), a, a);
  const Floats e = exponential(add(a, a));
  const Floats high = subtract(broadcast(1.0f), divide(broadcast(2.0f), add(e, broadcast(1.0f))));
  return with_sign_of(select_less(a, broadcast(0.625f), low, high), x);
}

/// erf within 2e-7 (Abramowitz and Stegun 1964, 7.1.26).
inline Floats error_function(Floats x) {
  const Floats a = absolute(x);
  const Floats t = divide(broadcast(1.0f), fma(broadcast(0.3275911f), a, broadcast(1.0f)));
  Floats p = broadcast(1.061405429f);
  p = fma(p, t, broadcast(-1.453152027f));
  p = fma(p, t, broadcast(1.421413741f));
  p = fma(p, t, broadcast(-0.284496736f));
  p = fma(p, t, broadcast(0.254829592f));
  const Floats e = exponential(multiply(subtract(broadcast(0.0f), a), a));
  return with_sign_of(subtract(broadcast(1.0f), multiply(multiply(p, t), e)), x);
}

/// x * Phi(x): by tanh as Hendrycks and Gimpel (2016) approximate it (0.5 (1 + tanh u) = 1 / (1 + e^-2u)), or
/// by erf.
inline Floats gelu_of(Floats x, bool tanh_form) {
  if (tanh_form) {
    const Floats cube = multiply(multiply(x, x), x);
    const Floats u = fma(broadcast(0.044715f), cube, x);
    const Floats e = exponential(multiply(broadcast(-2 * 0.7978845608f), u));
    return divide(x, add(broadcast(1.0f), e));
  }
  const Floats half = multiply(broadcast(0.5f), x);
  return fma(half, error_function(multiply(x, broadcast(0.7071067812f))), half);
}

}  // namespace
}  // namespace ruvllm::kernels
