/* Arithmetic on rows of floats, in loops that compilers turn into vector instructions.
 *
 * Sums are taken in a fixed order and fused only where fmaf says so: every processor gives the same
 * bits. NaN goes through everything.
 */
#ifndef LIQUIDSPIKE_VECTORS_H
#define LIQUIDSPIKE_VECTORS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FMA __builtin_fmaf
#define SQRT __builtin_sqrtf

typedef ptrdiff_t count;

enum { LANES = 16 }; /* partial sums of a reduction */

/* exp(x): x = n ln 2 + r, |r| <= ln 2 / 2; a polynomial for exp(r) (Cephes), 2^n by its bits, which
 * are those of 0 for n = -127 and of infinity for n = 128. */
static inline float exponential(float x)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
    x = x < -88.0f ? -88.0f : x;
    x = x > 89.0f ? 89.0f : x;
    float shifted = FMA(x, 1.44269504f, shift);
    float n = shifted - shift;
    float r = FMA(n, -0.693359375f, x);
    r = FMA(n, 2.12194440e-4f, r);
    float p = FMA(1.9875691500e-4f, r, 1.3981999507e-3f);
    p = FMA(p, r, 8.3334519073e-3f);
    p = FMA(p, r, 4.1665795894e-2f);
    p = FMA(p, r, 1.6666665459e-1f);
    p = FMA(p, r, 5.0000001201e-1f);
    p = FMA(p, r * r, r) + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127u) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

static inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

static inline float silu(float x) { return x / (1.0f + exponential(-x)); }

/* Near zero a polynomial (Cephes), since 1 - 2 / (exp(2x) + 1) loses digits there. */
static inline float hyperbolic_tangent(float x)
{
    float square = x * x;
    float p = FMA(-5.70498872745e-3f, square, 2.06390887954e-2f);
    p = FMA(p, square, -5.37397155531e-2f);
    p = FMA(p, square, 1.33314422036e-1f);
    p = FMA(p, square, -3.33332819422e-1f);
    float near = FMA(p * square, x, x);
    float far = 1.0f - 2.0f / (exponential(2.0f * x) + 1.0f);
    return square < 0.390625f ? near : far;
}

/* log(x) of a positive number that is not subnormal: x = 2^n m, sqrt(1/2) <= m < sqrt(2), and a
 * polynomial for log(m) (Cephes). NaN of infinity, which no spectrum of finite sound has. */
static inline float logarithm(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t above = bits - 0x3f3504f3u; /* sqrt(1/2) */
    const float n = (float)((int32_t)above >> 23);
    bits = (above & 0x007fffffu) + 0x3f3504f3u;
    float m;
    memcpy(&m, &bits, sizeof m);
    m -= 1.0f;
    const float square = m * m;
    float p = FMA(7.0376836292e-2f, m, -1.1514610310e-1f);
    p = FMA(p, m, 1.1676998740e-1f);
    p = FMA(p, m, -1.2420140846e-1f);
    p = FMA(p, m, 1.4249322787e-1f);
    p = FMA(p, m, -1.6668057665e-1f);
    p = FMA(p, m, 2.0000714765e-1f);
    p = FMA(p, m, -2.4999993993e-1f);
    p = FMA(p, m, 3.3333331174e-1f);
    p = FMA(p * m, square, FMA(n, -2.12194440e-4f, -0.5f * square));
    return FMA(n, 0.693359375f, m + p) + (x - x);
}

static inline void all_sigmoid(float *x, count n)
{
    for (count k = 0; k < n; k++) x[k] = sigmoid(x[k]);
}

static inline void all_silu(float *x, count n)
{
    for (count k = 0; k < n; k++) x[k] = silu(x[k]);
}

static inline void all_tanh(float *x, count n)
{
    for (count k = 0; k < n; k++) x[k] = hyperbolic_tangent(x[k]);
}

static inline float sum_of_lanes(const float *lanes)
{
    float sum = 0.0f;
    for (int k = 0; k < LANES; k++) sum += lanes[k];
    return sum;
}

static inline float dot(const float *a, const float *b, count n)
{
    float lanes[LANES] = {0.0f};
    count i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) lanes[k] = FMA(a[i + k], b[i + k], lanes[k]);
    for (; i < n; i++) lanes[i % LANES] = FMA(a[i], b[i], lanes[i % LANES]);
    return sum_of_lanes(lanes);
}

/* y = (x - mean) / sqrt(variance + eps), in place if y is x. Counted from x[0], so that equal values
 * have no variance however large they are. NaN where that overflows, for all to see; torch gives NaN
 * or 0 by how many values there are. */
static inline void normalised(const float *x, count n, float eps, float *y)
{
    float sums[LANES] = {0.0f}, squares[LANES] = {0.0f};
    const float first = x[0];
    count i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) sums[k] += x[i + k] - first;
    for (; i < n; i++) sums[i % LANES] += x[i] - first;
    const float mean = first + sum_of_lanes(sums) / (float)n;
    for (i = 0; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) {
            float away = x[i + k] - mean;
            squares[k] = FMA(away, away, squares[k]);
        }
    for (; i < n; i++) {
        float away = x[i] - mean;
        squares[i % LANES] = FMA(away, away, squares[i % LANES]);
    }
    float scale = 1.0f / SQRT(sum_of_lanes(squares) / (float)n + eps);
    scale = scale > 0.0f ? scale : __builtin_nanf("");
    for (count k = 0; k < n; k++) y[k] = (x[k] - mean) * scale;
}

#endif
