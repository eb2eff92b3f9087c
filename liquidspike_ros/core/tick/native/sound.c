/* A window of sound to features: spectra, memory and delays. */
#include "senses.h"

#include <stdlib.h>

#include "fourier.h"

static count most(count a, count b) { return a > b ? a : b; }

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
    apply(&w->head, joined, 0, 1, threads, features);
    all_silu(features, w->head.outputs);
    free(work);
    return 0;
}
