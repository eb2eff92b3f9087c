/* SiLU by the pair, for maps so large that it is what takes longest: the two share one division. */
#ifndef LIQUIDSPIKE_SILUS_H
#define LIQUIDSPIKE_SILUS_H

#include "vectors.h"

/* exp(-x) of x between -40 and 40, and of everything beyond as if it were there, NaN too. As
 * exponential in vectors.h, but by a polynomial of degree 5 (minimax, 1e-7) and 2^n is added to the
 * bits of the result: it is never so large or small that they would overflow. */
static inline float exponential_of_minus(float x)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
    const uint32_t forty = 0x42200000u;
    uint32_t bits, power;
    memcpy(&bits, &x, sizeof bits);
    const int32_t size = (int32_t)(bits & 0x7fffffffu); /* bits of |x|, ordered as it is */
    bits = (bits & 0x80000000u) | (uint32_t)(size < (int32_t)forty ? size : (int32_t)forty);
    memcpy(&x, &bits, sizeof x);
    const float shifted = FMA(x, -1.44269504f, shift);
    const float r = FMA(shifted - shift, -0.693147181f, -x);
    float p = FMA(8.29022937e-3f, r, 4.18983921e-2f);
    p = FMA(p, r, 0.166676402f);
    p = FMA(p, r, 0.499991447f);
    p = FMA(p, r, 0.999999702f);
    p = FMA(p, r, 1.0f);
    memcpy(&bits, &p, sizeof bits);
    memcpy(&power, &shifted, sizeof power);
    bits += power << 23;
    memcpy(&p, &bits, sizeof p);
    return p;
}

/* Of a and b. Beyond -40 it is x exp(-40), which is nothing beside what else is in a map. */
static inline void silu_of_pair(float a, float b, float *of_a, float *of_b)
{
    const float c = 1.0f + exponential_of_minus(a), d = 1.0f + exponential_of_minus(b);
    const float share = 1.0f / (c * d);
    *of_a = a * (d * share);
    *of_b = b * (c * share);
}

#endif
