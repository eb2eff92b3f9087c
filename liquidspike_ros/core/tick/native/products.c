#include "products.h"

#ifdef _OPENMP
#include <omp.h>
#endif

enum {
    BLOCK = 64,      /* outputs that one thread works on at least */
    SHARE = 1 << 15, /* weights that it reads at least: with fewer, meeting takes as long */
};

/* In what follows w is [inputs, stride] and n of its columns count. Its rows are taken a few at a
 * time, so that y is loaded and stored less often. */

static void add_one_row(const float *restrict x, const float *restrict w, count inputs,
                        count stride, count n, float *restrict y)
{
    count i = 0;
    for (; i + 8 <= inputs; i += 8, w += 8 * stride) {
        const float x0 = x[i], x1 = x[i + 1], x2 = x[i + 2], x3 = x[i + 3];
        const float x4 = x[i + 4], x5 = x[i + 5], x6 = x[i + 6], x7 = x[i + 7];
        for (count o = 0; o < n; o++) {
            float a = FMA(x0, w[o], y[o]), b = x4 * w[4 * stride + o];
            a = FMA(x1, w[stride + o], a);
            b = FMA(x5, w[5 * stride + o], b);
            a = FMA(x2, w[2 * stride + o], a);
            b = FMA(x6, w[6 * stride + o], b);
            a = FMA(x3, w[3 * stride + o], a);
            b = FMA(x7, w[7 * stride + o], b);
            y[o] = a + b;
        }
    }
    for (; i < inputs; i++, w += stride) {
        const float x0 = x[i];
        for (count o = 0; o < n; o++) y[o] = FMA(x0, w[o], y[o]);
    }
}

/* Rows of x are inputs apart, those of y stride. */
static void add_four_rows(const float *restrict x, const float *restrict w, count inputs,
                          count stride, count n, float *restrict y)
{
    float *restrict y0 = y, *restrict y1 = y + stride;
    float *restrict y2 = y + 2 * stride, *restrict y3 = y + 3 * stride;
    const float *x1 = x + inputs, *x2 = x + 2 * inputs, *x3 = x + 3 * inputs;
    count i = 0;
    for (; i + 4 <= inputs; i += 4, w += 4 * stride) {
        float f[4][4];
        for (int k = 0; k < 4; k++) {
            f[0][k] = x[i + k];
            f[1][k] = x1[i + k];
            f[2][k] = x2[i + k];
            f[3][k] = x3[i + k];
        }
        for (count o = 0; o < n; o++) {
            float a = w[o], b = w[stride + o], c = w[2 * stride + o], d = w[3 * stride + o];
            y0[o] = FMA(f[0][3], d, FMA(f[0][2], c, FMA(f[0][1], b, FMA(f[0][0], a, y0[o]))));
            y1[o] = FMA(f[1][3], d, FMA(f[1][2], c, FMA(f[1][1], b, FMA(f[1][0], a, y1[o]))));
            y2[o] = FMA(f[2][3], d, FMA(f[2][2], c, FMA(f[2][1], b, FMA(f[2][0], a, y2[o]))));
            y3[o] = FMA(f[3][3], d, FMA(f[3][2], c, FMA(f[3][1], b, FMA(f[3][0], a, y3[o]))));
        }
    }
    for (; i < inputs; i++, w += stride)
        for (count o = 0; o < n; o++) {
            y0[o] = FMA(x[i], w[o], y0[o]);
            y1[o] = FMA(x1[i], w[o], y1[o]);
            y2[o] = FMA(x2[i], w[o], y2[o]);
            y3[o] = FMA(x3[i], w[o], y3[o]);
        }
}

/* Outputs from first to last of one layer. */
static void apply_columns(const Affine *w, count layer, const float *x, count rows, count first,
                          count last, float *y)
{
    const count inputs = w->inputs, stride = w->outputs, n = last - first;
    const float *weight = w->weight + layer * inputs * stride + first;
    const float *bias = w->bias + layer * stride + first;
    y += first;
    for (count r = 0; r < rows; r++) memcpy(y + r * stride, bias, n * sizeof *y);
    count r = 0;
    for (; r + 4 <= rows; r += 4)
        add_four_rows(x + r * inputs, weight, inputs, stride, n, y + r * stride);
    for (; r < rows; r++) add_one_row(x + r * inputs, weight, inputs, stride, n, y + r * stride);
}

/* Blocks of outputs from begin to end, counted through all layers. */
static void apply_blocks(const Affine *w, const float *x, count step, count rows, count begin,
                         count end, float *y)
{
    const count blocks = (w->outputs + BLOCK - 1) / BLOCK;
    while (begin < end) {
        const count layer = begin / blocks, from = begin % blocks;
        const count to = end - begin < blocks - from ? from + end - begin : blocks;
        const count last = to * BLOCK < w->outputs ? to * BLOCK : w->outputs;
        apply_columns(w, layer, x + layer * step, rows, from * BLOCK, last,
                      y + layer * rows * w->outputs);
        begin += to - from;
    }
}

static void apply_by_output(const Affine *w, const float *x, count step, count rows, float *y)
{
    for (count m = 0; m < w->layers; m++)
        for (count r = 0; r < rows; r++, y += w->outputs)
            for (count o = 0; o < w->outputs; o++) {
                const count row = m * w->outputs + o;
                y[o] = w->bias[row]
                       + dot(x + m * step + r * w->inputs, w->weight + row * w->inputs, w->inputs);
            }
}

void apply(const Affine *w, const float *x, count step, count rows, count threads, float *y)
{
    if (w->by_output) {
        apply_by_output(w, x, step, rows, y);
        return;
    }
    const count total = w->layers * ((w->outputs + BLOCK - 1) / BLOCK);
#ifdef _OPENMP
    const count useful = w->layers * w->inputs * w->outputs / SHARE;
    threads = useful < threads ? useful : threads;
    if (threads > 1) {
#pragma omp parallel num_threads((int)threads)
        {
            const count me = omp_get_thread_num(), all = omp_get_num_threads();
            apply_blocks(w, x, step, rows, total * me / all, total * (me + 1) / all, y);
        }
        return;
    }
#else
    (void)threads;
#endif
    apply_blocks(w, x, step, rows, 0, total, y);
}
