/* A window of sound to features: spectra, their patterns, memory and attention, and delays. */
#include "senses.h"

#include <stdlib.h>

#include "fourier.h"

static count most(count a, count b) { return a > b ? a : b; }

static int has_trunk(const Sound *w) { return w->trunk[0].inputs > 0; }

/* Channels, and pairs of them. */
static count maps_of(const Sound *w) { return w->channels * (w->channels + 1) / 2; }

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

/* Log-mel of every channel, and differences between channels, in a map with one empty place on
 * every side: for the trunk [1 + frames + 1, 1 + mels + 1, maps], without one
 * [1 + frames + 1, maps, mels]. levels [pitch]. */
static void log_mel(const Sound *w, const float *power, count frames, count pitch, float *levels,
                    float *map)
{
    const count bins = w->size / 2 + 1, maps = maps_of(w), shared = has_trunk(w);
    const count row = shared ? (w->mels + 2) * maps : maps * w->mels;
    const count next_mel = shared ? maps : 1, next_map = shared ? 1 : w->mels;
    for (count m = 0; m < w->mels; m++) {
        for (count k = 0; k < pitch; k++) levels[k] = 0.0f;
        for (count f = w->bands[2 * m]; f < w->bands[2 * m + 1]; f++) {
            const float weight = w->mel[m * bins + f];
            for (count k = 0; k < pitch; k++)
                levels[k] = FMA(weight, power[f * pitch + k], levels[k]);
        }
        for (count k = 0; k < pitch; k++) levels[k] = logarithm(levels[k] + w->floor);
        for (count t = 0; t < frames; t++) {
            float *place = map + (1 + t) * row + (shared + m) * next_mel;
            for (count c = 0; c < w->channels; c++, place += next_map)
                *place = (levels[c * frames + t] + 5.0f) / 5.0f;
            for (count a = 0; a < w->channels; a++)
                for (count b = a + 1; b < w->channels; b++, place += next_map)
                    *place = (levels[a * frames + t] - levels[b * frames + t]) / 2.0f;
        }
    }
}

/* The map of log_mel through the trunk to that of the convolution [1 + frames + 1, rows], in place;
 * between [frames, bands, channels] of any layer. Each frame is convolved by itself: the stride is
 * one of mels alone. */
static void find_patterns(const Sound *w, count frames, count threads, float *work, float *between,
                          float *map)
{
    count bands = w->mels;
    for (int k = 0; k < SPECTRAL; k++) {
        const Convolution *layer = w->trunk + k;
        const count padded = bands + 2, next = places(layer, padded, layer->columns);
        const count row = next * layer->outputs, edge = k + 1 < SPECTRAL ? layer->outputs : 0;
        for (count t = 0; t < frames; t++)
            convolve(layer, map + t * padded * layer->inputs, padded, 1, next, threads, work,
                     between + t * row, 0);
        normalised(between, frames * row, w->norm_eps, between);
        memset(map, 0, (frames + 2) * (row + 2 * edge) * sizeof *map);
        for (count t = 0; t < frames; t++)
            memcpy(map + (1 + t) * (row + 2 * edge) + edge, between + t * row, row * sizeof *map);
        bands = next;
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

/* Means of the frames [frames, units], weighted by the softmax over time of each query's scores:
 * y [queries, units]; scores [frames, queries]. */
static void attend_to_frames(const Affine *w, const float *x, count frames, count threads,
                             float *scores, float *y)
{
    const count queries = w->outputs, units = w->inputs;
    apply(w, x, 0, frames, threads, scores);
    memset(y, 0, queries * units * sizeof *y);
    for (count q = 0; q < queries; q++, y += units) {
        float highest = scores[q], sum = 0.0f;
        for (count t = 1; t < frames; t++)
            highest = scores[t * queries + q] > highest ? scores[t * queries + q] : highest;
        for (count t = 0; t < frames; t++) {
            const float weight = exponential(scores[t * queries + q] - highest);
            const float *restrict frame = x + t * units;
            sum += weight;
            for (count k = 0; k < units; k++) y[k] = FMA(weight, frame[k], y[k]);
        }
        for (count k = 0; k < units; k++) y[k] /= sum;
    }
}

/* Floats that the convolutions need at most: of work, and of a map. */
static void sizes_of_maps(const Sound *w, count frames, count threads, count *room, count *map)
{
    *room = convolve_room(&w->convolution, threads);
    *map = (frames + 2) * w->convolution.inputs;
    if (!has_trunk(w)) return;
    count bands = w->mels;
    for (int k = 0; k < SPECTRAL; k++) {
        *room = most(*room, convolve_room(w->trunk + k, threads));
        *map = most(*map, (frames + 2) * (bands + 2) * w->trunk[k].inputs);
        bands = places(w->trunk + k, bands + 2, w->trunk[k].columns);
    }
}

/* Samples in front of a window of n to fill the last frame: the newest must not be lost. */
static count in_front(const Sound *w, count n)
{
    const count beyond = n > w->size ? (n - w->size) % w->hop : 0;
    return n < w->size ? w->size - n : beyond ? w->hop - beyond : 0;
}

EXPORTED(int, sound)(const Sound *w, const float *x, count n, count threads, float *features)
{
    const count rest = in_front(w, n), length = n + rest;
    const count frames = (length - w->size) / w->hop + 1, bins = w->size / 2 + 1;
    const count pitch = (w->channels * frames + FRAMES - 1) / FRAMES * FRAMES;
    const count units = w->recurrent.inputs, queries = w->scores.layers ? w->scores.outputs : 0;
    const count pairs = w->lags.layers ? maps_of(w) - w->channels : 0;
    count room, map_size;
    sizes_of_maps(w, frames, threads, &room, &map_size);
    room = most(most(room, fourier_room(w->size)), most(pitch, 3 * units));
    const count sizes[10] = {w->channels * length, bins * pitch, bins * pitch, bins * pitch,
                             map_size, has_trunk(w) ? map_size : 0, frames * units,
                             frames * 3 * units, frames * queries, pairs * 2 * bins};
    count total = room + w->head.inputs;
    for (int k = 0; k < 10; k++) total += sizes[k];
    float *work = calloc((size_t)total, sizeof *work);
    if (!work) return 1;
    float *part[11] = {work + room};
    for (int k = 0; k < 10; k++) part[k + 1] = part[k] + sizes[k];
    float *padded = part[0], *real = part[1], *imaginary = part[2], *power = part[3];
    float *map = part[4], *heard = part[6], *whitened = part[9], *joined = part[10];
    for (count c = 0; c < w->channels; c++)
        memcpy(padded + c * length + rest, x + c * n, n * sizeof *x);
    spectra(w, padded, frames, pitch, work, real, imaginary);
    for (count k = 0; k < bins * pitch; k++)
        power[k] = FMA(real[k], real[k], imaginary[k] * imaginary[k]);
    log_mel(w, power, frames, pitch, work, map);
    if (has_trunk(w)) find_patterns(w, frames, threads, work, part[5], map);
    convolve(&w->convolution, map, 0, 1, frames, threads, work, heard, 0);
    remember(w, heard, frames, threads, part[7], work, joined);
    if (queries) attend_to_frames(&w->scores, heard, frames, threads, part[8], joined + units);
    if (pairs) {
        cross(w, real, imaginary, frames, pitch, whitened);
        apply(&w->lags, whitened, 0, pairs, threads, joined + (1 + queries) * units);
    }
    apply(&w->head, joined, 0, 1, threads, features);
    all_silu(features, w->head.outputs);
    free(work);
    return 0;
}
