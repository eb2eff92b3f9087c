/* One sample of one sense to its features; the preprocessors state the same in torch. */
#ifndef LIQUIDSPIKE_SENSES_H
#define LIQUIDSPIKE_SENSES_H

#include "convolutions.h"
#include "exports.h"
#include "products.h"

/* As in structures.py, field by field. */

enum { TRUNK = 3 }; /* convolutions of the 'simple' trunk */

typedef struct {
    Convolution trunk[TRUNK];
    const float *scale, *shift; /* [channels] */
    Affine head;                /* of the cells [rows, columns, channels] */
    count rows, columns;
} SimpleImage;

typedef struct {
    Convolution first, last;
    Affine head; /* of the cells [positions, channels] */
    count positions;
    int32_t circular, scan; /* scan: ranges and validities come in, proximities are added */
} Window;

enum { SPECTRAL = 3 }; /* convolutions of the spectral trunk */

typedef struct {
    Convolution trunk[SPECTRAL]; /* over time and mel; no inputs: none */
    Convolution convolution;
    Affine input, recurrent;    /* of the GRU: reset, update, new */
    Affine scores;              /* of the moments, by query; no layers: no attention */
    Affine lags;                /* of the whitened cross-spectrum; no layers: one channel */
    Affine head;
    const float *window, *turns; /* see fourier.h */
    const float *mel;            /* [mels, size / 2 + 1] */
    const int64_t *bands;        /* first bin, and the one behind the last, of each mel [mels, 2] */
    count channels, mels, size, hop;
    float floor, norm_eps;
} Sound;

/* Each writes features [outputs of the head], and returns 0, or 1 if memory ran out. */

/* x [channels, height, width] at these distances. */
EXPORTED(int, image)(const SimpleImage *w, const float *x, count height, count width, count channel_step,
                     count row_step, count column_step, count threads, float *features);

/* Bytes [height, width, channels], of which 255 is 1. */
int image_of_bytes(const SimpleImage *w, const uint8_t *x, count height, count width, count threads,
                   float *features);

/* x [channels, n], of a scan [2, n]. */
EXPORTED(int, window)(const Window *w, const float *x, count n, count threads, float *features);

/* x [channels, n]. */
EXPORTED(int, sound)(const Sound *w, const float *x, count n, count threads, float *features);

/* What each of them ends with: a linear layer and SiLU. */
void finish_features(const Affine *head, const float *x, count threads, float *features);

#endif
