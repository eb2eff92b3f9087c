#include "convolutions.h"

#ifdef _OPENMP
#include <omp.h>
#endif

enum { SHARE = 1 << 16 }; /* products that one thread takes at least */

/* patches [WIDE, taps] times one block of outputs -> y [WIDE, WIDE]. Sums of this form stay in
 * registers; as an array of arrays compilers keep them in memory, at a quarter of the speed. */
static void multiply(const float *restrict patches, const float *restrict weight,
                     const float *restrict bias, count taps, float *restrict y)
{
    float s0[WIDE], s1[WIDE], s2[WIDE], s3[WIDE], s4[WIDE], s5[WIDE], s6[WIDE], s7[WIDE];
    for (int k = 0; k < WIDE; k++)
        s0[k] = s1[k] = s2[k] = s3[k] = s4[k] = s5[k] = s6[k] = s7[k] = bias[k];
    for (count i = 0; i < taps; i++, weight += WIDE) {
        const float x0 = patches[i], x1 = patches[taps + i], x2 = patches[2 * taps + i];
        const float x3 = patches[3 * taps + i], x4 = patches[4 * taps + i];
        const float x5 = patches[5 * taps + i], x6 = patches[6 * taps + i];
        const float x7 = patches[7 * taps + i];
        for (int k = 0; k < WIDE; k++) {
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
    for (int k = 0; k < WIDE; k++) {
        y[0 * WIDE + k] = s0[k];
        y[1 * WIDE + k] = s1[k];
        y[2 * WIDE + k] = s2[k];
        y[3 * WIDE + k] = s3[k];
        y[4 * WIDE + k] = s4[k];
        y[5 * WIDE + k] = s5[k];
        y[6 * WIDE + k] = s6[k];
        y[7 * WIDE + k] = s7[k];
    }
}

/* Places from begin to end, counted row by row, WIDE at a time. */
static void convolve_places(const Convolution *w, const float *x, count x_width, count width,
                            count begin, count end, float *work, float *y, count y_width)
{
    const count run = w->columns * w->inputs, taps = w->rows * run;
    float result[WIDE * WIDE];
    for (count first = begin; first < end; first += WIDE) {
        const count some = end - first < WIDE ? end - first : WIDE;
        for (count p = 0; p < some; p++) {
            const count row = (first + p) / width, column = (first + p) % width;
            const float *corner = x + w->stride * (row * x_width + column) * w->inputs;
            for (count r = 0; r < w->rows; r++)
                memcpy(work + p * taps + r * run, corner + r * x_width * w->inputs,
                       run * sizeof *x);
        }
        for (count block = 0; block * WIDE < w->outputs; block++) {
            const count left = w->outputs - block * WIDE;
            multiply(work, w->weight + block * taps * WIDE, w->bias + block * WIDE, taps, result);
            all_silu(result, WIDE * WIDE);
            for (count p = 0; p < some; p++) {
                const count row = (first + p) / width, column = (first + p) % width;
                memcpy(y + (row * y_width + column) * w->outputs + block * WIDE, result + p * WIDE,
                       (left < WIDE ? left : WIDE) * sizeof *y);
            }
        }
    }
}

count convolve_room(const Convolution *w, count threads)
{
    return threads * WIDE * w->rows * w->columns * w->inputs;
}

void convolve(const Convolution *w, const float *x, count x_width, count height, count width,
              count threads, float *work, float *y, count y_width)
{
    const count room = convolve_room(w, 1), total = height * width;
    memset(work, 0, convolve_room(w, threads) * sizeof *work); /* places that are not there */
#ifdef _OPENMP
    const count useful = total * (room / WIDE) * w->outputs / SHARE;
    threads = useful < threads ? useful : threads;
    if (threads > 1) {
#pragma omp parallel num_threads((int)threads)
        {
            const count me = omp_get_thread_num(), all = omp_get_num_threads();
            const count each = (total / WIDE + all) / all * WIDE;
            const count begin = me * each, end = begin + each < total ? begin + each : total;
            convolve_places(w, x, x_width, width, begin, end, work + me * room, y, y_width);
        }
        return;
    }
#endif
    convolve_places(w, x, x_width, width, 0, total, work, y, y_width);
}

void pool(const float *x, count height, count width, count x_width, count channels, count rows,
          count columns, float *y)
{
    for (count r = 0; r < rows; r++)
        for (count c = 0; c < columns; c++, y += channels) {
            const count top = r * height / rows, bottom = ((r + 1) * height + rows - 1) / rows;
            const count left = c * width / columns;
            const count right = ((c + 1) * width + columns - 1) / columns;
            memset(y, 0, channels * sizeof *y);
            for (count i = top; i < bottom; i++)
                for (count j = left; j < right; j++)
                    for (count k = 0; k < channels; k++) y[k] += x[(i * x_width + j) * channels + k];
            for (count k = 0; k < channels; k++) y[k] /= (float)((bottom - top) * (right - left));
        }
}
