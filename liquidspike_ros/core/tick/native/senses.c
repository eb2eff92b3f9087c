#include "senses.h"

#include <stdlib.h>

#include "fourier.h"
#include "pictures.h"

static count most(count a, count b) { return a > b ? a : b; }

void conclude_sense(const Affine *head, const float *x, count threads, float *features)
{
    apply(head, x, 0, 1, threads, features);
    all_silu(features, head->outputs);
}

static int see(const Image *w, const Picture *picture, count threads, float *features)
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
    conclude_sense(&w->head, work, threads, features);
    free(maps);
    return 0;
}

EXPORTED(int, image)(const Image *w, const float *x, count height, count width, count channel_step,
                     count row_step, count column_step, count threads, float *features)
{
    const Picture picture = {x, NULL, w->scale, w->shift, w->trunk[0].inputs, height, width,
                             channel_step, row_step, column_step};
    return see(w, &picture, threads, features);
}

int image_of_bytes(const Image *w, const uint8_t *x, count height, count width, count threads,
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
    conclude_sense(&w->head, work, threads, features);
    free(given);
    return 0;
}

/* Spectra [bins, pitch] of all frames of all channels, each channel's frames side by side. */
static void spectra(const Sound *w, const float *x, count frames, count pitch, float *work,
                    float *real, float *imaginary)
{
    const count all = w->channels * frames, length = w->size + (frames - 1) * w->hop;
    for (count first = 0; first < all; first += FRAMES) {
        const float *chosen[FRAMES];
        for (count k = 0; k < FRAMES; k++) { /* the last one again where there are no more */
            const count one = first + k < all ? first + k : all - 1;
            chosen[k] = x + one / frames * length + one % frames * w->hop;
        }
        transform(chosen, w->window, w->turns, w->size, work, real + first, imaginary + first,
                  pitch);
    }
}

/* Log-mel of every channel, and differences between channels, as rows of a map with one empty place
 * on either side [1 + frames + 1, rows]. levels [pitch]. */
static void log_mel(const Sound *w, const float *power, count frames, count pitch, float *levels,
                    float *map)
{
    const count rows = w->convolution.inputs, bins = w->size / 2 + 1;
    for (count m = 0; m < w->mels; m++) {
        for (count k = 0; k < pitch; k++) levels[k] = 0.0f;
        for (count f = w->bands[2 * m]; f < w->bands[2 * m + 1]; f++) {
            const float weight = w->mel[m * bins + f];
            for (count k = 0; k < pitch; k++)
                levels[k] = FMA(weight, power[f * pitch + k], levels[k]);
        }
        for (count k = 0; k < pitch; k++) levels[k] = logarithm(levels[k] + w->floor);
        for (count t = 0; t < frames; t++) {
            float *place = map + (1 + t) * rows + m;
            for (count c = 0; c < w->channels; c++, place += w->mels)
                *place = (levels[c * frames + t] + 5.0f) / 5.0f;
            for (count a = 0; a < w->channels; a++)
                for (count b = a + 1; b < w->channels; b++, place += w->mels)
                    *place = (levels[a * frames + t] - levels[b * frames + t]) / 2.0f;
        }
    }
}

/* Whitened cross-spectrum of each pair of channels [pairs, 2, bins]. */
static void cross(const Sound *w, const float *real, const float *imaginary, count frames,
                  count pitch, float *y)
{
    const count bins = w->size / 2 + 1;
    for (count a = 0; a < w->channels; a++)
        for (count b = a + 1; b < w->channels; b++, y += 2 * bins)
            for (count f = 0; f < bins; f++) {
                const float *ar = real + f * pitch + a * frames, *br = real + f * pitch + b * frames;
                const float *ai = imaginary + f * pitch + a * frames;
                const float *bi = imaginary + f * pitch + b * frames;
                float r = 0.0f, i = 0.0f;
                for (count t = 0; t < frames; t++) {
                    r += FMA(ar[t], br[t], ai[t] * bi[t]);
                    i += FMA(ai[t], br[t], -(ar[t] * bi[t]));
                }
                const float size = SQRT(FMA(r, r, i * i) + w->floor * w->floor);
                y[f] = r / size;
                y[bins + f] = i / size;
            }
}

/* Frames [frames, units], through the gates' inputs [frames, 3 units], to the last state [units];
 * work [3 units]. */
static void remember(const Sound *w, const float *x, count frames, count threads, float *given,
                     float *work, float *state)
{
    const count units = w->recurrent.inputs;
    memset(state, 0, units * sizeof *state);
    apply(&w->input, x, 0, frames, threads, given);
    for (count t = 0; t < frames; t++) {
        const float *restrict now = given + 3 * units * t, *restrict back = work;
        apply(&w->recurrent, state, 0, 1, threads, work);
        for (count k = 0; k < units; k++) {
            const float reset = sigmoid(now[k] + back[k]);
            const float update = sigmoid(now[units + k] + back[units + k]);
            const float fresh = hyperbolic_tangent(
                FMA(reset, back[2 * units + k], now[2 * units + k]));
            state[k] = FMA(update, state[k] - fresh, fresh);
        }
    }
}

EXPORTED(int, sound)(const Sound *w, const float *x, count n, count threads, float *features)
{
    const count short_of = w->size - n, beyond = n > w->size ? (n - w->size) % w->hop : 0;
    const count rest = short_of > 0 ? short_of : beyond ? w->hop - beyond : 0, length = n + rest;
    const count frames = (length - w->size) / w->hop + 1, bins = w->size / 2 + 1;
    const count pitch = (w->channels * frames + FRAMES - 1) / FRAMES * FRAMES;
    const count rows = w->convolution.inputs, units = w->recurrent.inputs;
    const count pairs = w->lags.layers ? w->channels * (w->channels - 1) / 2 : 0;
    const count room = most(fourier_room(w->size),
                            most(convolve_room(&w->convolution, threads), most(pitch, 3 * units)));
    const count sizes[8] = {w->channels * length, bins * pitch, bins * pitch, bins * pitch,
                            (frames + 2) * rows, frames * units, frames * 3 * units,
                            pairs * 2 * bins};
    count total = room + w->head.inputs;
    for (int k = 0; k < 8; k++) total += sizes[k];
    float *work = calloc((size_t)total, sizeof *work);
    if (!work) return 1;
    float *padded = work + room, *real = padded + sizes[0], *imaginary = real + sizes[1];
    float *power = imaginary + sizes[2], *map = power + sizes[3], *heard = map + sizes[4];
    float *given = heard + sizes[5], *whitened = given + sizes[6], *joined = whitened + sizes[7];
    for (count c = 0; c < w->channels; c++) /* in front: the newest samples must not be lost */
        memcpy(padded + c * length + rest, x + c * n, n * sizeof *x);
    spectra(w, padded, frames, pitch, work, real, imaginary);
    for (count k = 0; k < bins * pitch; k++)
        power[k] = FMA(real[k], real[k], imaginary[k] * imaginary[k]);
    log_mel(w, power, frames, pitch, work, map);
    convolve(&w->convolution, map, 0, 1, frames, threads, work, heard, 0);
    remember(w, heard, frames, threads, given, work, joined);
    if (pairs) {
        cross(w, real, imaginary, frames, pitch, whitened);
        apply(&w->lags, whitened, 0, pairs, threads, joined + units);
    }
    conclude_sense(&w->head, joined, threads, features);
    free(work);
    return 0;
}
