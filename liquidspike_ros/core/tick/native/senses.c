#include "senses.h"

#include <stdlib.h>

#include "pictures.h"

static count most(count a, count b) { return a > b ? a : b; }

void finish_features(const Affine *head, const float *x, count threads, float *features)
{
    apply(head, x, 0, 1, threads, features);
    all_silu(features, head->outputs);
}

static int see(const SimpleImage *w, const Picture *picture, count threads, float *features)
{
    static const count padding[TRUNK + 1] = {2, 1, 1, 0};
    const count height = picture->height, width = picture->width;
    count heights[TRUNK + 1] = {height}, widths[TRUNK + 1] = {width}, starts[TRUNK + 2] = {0};
    count room = 0;
    for (int k = 0; k <= TRUNK; k++) {
        const count inputs = k < TRUNK ? w->trunk[k].inputs : w->trunk[k - 1].outputs;
        const count high = heights[k] + 2 * padding[k], wide = widths[k] + 2 * padding[k];
        starts[k + 1] = starts[k] + high * wide * inputs;
        if (k == TRUNK) break;
        heights[k + 1] = places(w->trunk + k, high, w->trunk[k].rows);
        widths[k + 1] = places(w->trunk + k, wide, w->trunk[k].columns);
        room = most(room, convolve_room(w->trunk + k, threads));
    }
    room = most(room, w->head.inputs);
    float *maps = calloc((size_t)(starts[TRUNK + 1] + room), sizeof *maps);
    if (!maps) return 1;
    float *work = maps + starts[TRUNK + 1];
    const count channels = w->trunk[0].inputs, pitch = width + 2 * padding[0];
    for (count i = 0; i < height; i++)
        load_row(picture, i, maps + ((i + padding[0]) * pitch + padding[0]) * channels);
    for (int k = 0; k < TRUNK; k++) {
        const count next = padding[k + 1], wide = widths[k + 1] + 2 * next;
        convolve(w->trunk + k, maps + starts[k], widths[k] + 2 * padding[k], heights[k + 1],
                 widths[k + 1], threads, work,
                 maps + starts[k + 1] + (next * wide + next) * w->trunk[k].outputs, wide);
    }
    pool(maps + starts[TRUNK], heights[TRUNK], widths[TRUNK], widths[TRUNK],
         w->trunk[TRUNK - 1].outputs, w->rows, w->columns, work);
    finish_features(&w->head, work, threads, features);
    free(maps);
    return 0;
}

EXPORTED(int, image)(const SimpleImage *w, const float *x, count height, count width, count channel_step,
                     count row_step, count column_step, count threads, float *features)
{
    const Picture picture = {x, NULL, w->scale, w->shift, w->trunk[0].inputs, height, width,
                             channel_step, row_step, column_step};
    return see(w, &picture, threads, features);
}

int image_of_bytes(const SimpleImage *w, const uint8_t *x, count height, count width, count threads,
                   float *features)
{
    const Picture picture = picture_of_bytes(x, w->trunk[0].inputs, height, width, w->scale,
                                             w->shift);
    return see(w, &picture, threads, features);
}

enum { SIDE = 2 }; /* padding of a window on each side */

/* Fill the places around x [SIDE + n + SIDE, channels]. */
static void surround(float *x, count n, count channels, int circular)
{
    const size_t bytes = channels * sizeof *x;
    for (count k = 0; k < SIDE; k++) {
        const count before = circular && n >= SIDE ? n - SIDE + k : 0;
        const count behind = circular && n >= SIDE ? k : n - 1;
        memcpy(x + k * channels, x + (SIDE + before) * channels, bytes);
        memcpy(x + (SIDE + n + k) * channels, x + (SIDE + behind) * channels, bytes);
    }
}

EXPORTED(int, window)(const Window *w, const float *x, count n, count threads, float *features)
{
    const count channels = w->first.inputs, hidden = w->first.outputs;
    const count between = places(&w->first, n + 2 * SIDE, w->first.columns);
    const count after = places(&w->last, between + 2 * SIDE, w->last.columns);
    const count room = most(w->head.inputs, most(convolve_room(&w->first, threads),
                                                 convolve_room(&w->last, threads)));
    const count sizes[3] = {(n + 2 * SIDE) * channels, (between + 2 * SIDE) * hidden,
                            after * hidden};
    float *given = malloc((size_t)(sizes[0] + sizes[1] + sizes[2] + room) * sizeof *given);
    if (!given) return 1;
    float *middle = given + sizes[0], *last = middle + sizes[1], *work = last + sizes[2];
    for (count i = 0; i < n; i++) {
        float *place = given + (SIDE + i) * channels;
        if (w->scan) {
            const float valid = x[n + i];
            place[0] = valid > 0.5f ? x[i] : 1.0f;
            place[1] = exponential(-8.0f * place[0]);
            place[2] = valid;
        } else
            for (count c = 0; c < channels; c++) place[c] = x[c * n + i];
    }
    surround(given, n, channels, w->circular);
    convolve(&w->first, given, 0, 1, between, threads, work, middle + SIDE * hidden, 0);
    surround(middle, between, hidden, w->circular);
    convolve(&w->last, middle, 0, 1, after, threads, work, last, 0);
    pool(last, 1, after, after, hidden, 1, w->positions, work);
    finish_features(&w->head, work, threads, features);
    free(given);
    return 0;
}
