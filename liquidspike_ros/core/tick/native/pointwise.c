#include "pointwise.h"

enum { TOGETHER = 8 }; /* places that share a load of the weights */

/* Single arrays of sums stay in registers; as one array of arrays compilers keep them in memory. */
FOR_ANY_WIDTH void multiply_eight(const Patches *x, count offset, const float *restrict weight,
                                  count pitch, float *restrict y, count outputs, const int width)
{
    float s0[STRIP], s1[STRIP], s2[STRIP], s3[STRIP], s4[STRIP], s5[STRIP], s6[STRIP], s7[STRIP];
    for (int k = 0; k < width; k++)
        s0[k] = s1[k] = s2[k] = s3[k] = s4[k] = s5[k] = s6[k] = s7[k] = 0.0f;
    const count step = x->step;
    for (count r = 0; r < x->run_count; r++) {
        const float *restrict from = x->runs[r] + offset, *const end = from + x->length;
        for (; from < end; from++, weight += pitch) {
            const float x0 = from[0], x1 = from[step], x2 = from[2 * step], x3 = from[3 * step];
            const float x4 = from[4 * step], x5 = from[5 * step], x6 = from[6 * step];
            const float x7 = from[7 * step];
            for (int k = 0; k < width; k++) {
                s0[k] = FMA(x0, weight[k], s0[k]);
                s1[k] = FMA(x1, weight[k], s1[k]);
                s2[k] = FMA(x2, weight[k], s2[k]);
                s3[k] = FMA(x3, weight[k], s3[k]);
                s4[k] = FMA(x4, weight[k], s4[k]);
                s5[k] = FMA(x5, weight[k], s5[k]);
                s6[k] = FMA(x6, weight[k], s6[k]);
                s7[k] = FMA(x7, weight[k], s7[k]);
            }
        }
    }
/* In one loop for all, compilers would look whether these rows overlap, each time. */
#define STORE(place, sums) \
    AS_VECTOR              \
    for (int k = 0; k < width; k++) y[place * outputs + k] = sums[k];
    STORE(0, s0)
    STORE(1, s1)
    STORE(2, s2)
    STORE(3, s3)
    STORE(4, s4)
    STORE(5, s5)
    STORE(6, s6)
    STORE(7, s7)
#undef STORE
}

FOR_ANY_WIDTH void multiply_one(const Patches *x, count offset, const float *restrict weight,
                                count pitch, float *restrict y, const int width)
{
    float sum[STRIP];
    for (int k = 0; k < width; k++) sum[k] = 0.0f;
    for (count r = 0; r < x->run_count; r++)
        for (count i = 0; i < x->length; i++, weight += pitch) {
            const float value = x->runs[r][offset + i];
            for (int k = 0; k < width; k++) sum[k] = FMA(value, weight[k], sum[k]);
        }
    for (int k = 0; k < width; k++) y[k] = sum[k];
}

FOR_ANY_WIDTH void multiply_strip(const Patches *x, count first, count last, const float *weight,
                                  count outputs, count strip, float *y, const int width)
{
    const count block = strip / PACKED * PACKED, left = outputs - block;
    const count pitch = left < PACKED ? left : PACKED;
    weight += block * x->run_count * x->length + strip - block;
    count p = first;
    for (; p + TOGETHER <= last; p += TOGETHER)
        multiply_eight(x, p * x->step, weight, pitch, y + p * outputs + strip, outputs, width);
    for (; p < last; p++)
        multiply_one(x, p * x->step, weight, pitch, y + p * outputs + strip, width);
}

void multiply_places(const Patches *x, count first, count last, const float *weight, count outputs,
                     float *y)
{
#define MULTIPLY(strip, width) \
    multiply_strip(x, first, last, weight, outputs, strip, y, width)
    FOR_STRIPS(outputs, MULTIPLY)
#undef MULTIPLY
}
