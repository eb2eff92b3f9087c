#include "depthwise.h"

FOR_ANY_WIDTH void filter_strip(const float *restrict above, const float *restrict middle,
                                const float *restrict below, const float *restrict weight,
                                count places, count channels, count stride, float *restrict y,
                                const int width)
{
    const count step = stride * channels;
    for (count p = 0; p < places; p++, above += step, middle += step, below += step, y += channels)
        for (int k = 0; k < width; k++) {
            const float *w = weight + k, *a = above + k, *m = middle + k, *b = below + k;
            float sum = a[0] * w[0];
            sum = FMA(a[channels], w[channels], sum);
            sum = FMA(a[2 * channels], w[2 * channels], sum);
            sum = FMA(m[0], w[3 * channels], sum);
            sum = FMA(m[channels], w[4 * channels], sum);
            sum = FMA(m[2 * channels], w[5 * channels], sum);
            sum = FMA(b[0], w[6 * channels], sum);
            sum = FMA(b[channels], w[7 * channels], sum);
            sum = FMA(b[2 * channels], w[8 * channels], sum);
            y[k] = sum;
        }
}

void filter_row(const float *const rows[TAPS], const float *weight, count width, count channels,
                count stride, float *y)
{
#define FILTER(strip, wide)                                                                  \
    filter_strip(rows[0] + strip, rows[1] + strip, rows[2] + strip, weight + strip, width,    \
                 channels, stride, y + strip, wide)
    FOR_STRIPS(channels, FILTER)
#undef FILTER
}
