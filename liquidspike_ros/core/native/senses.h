/* One sample of one sense to its features; the preprocessors state the same in torch. */
#ifndef LIQUIDSPIKE_SENSES_H
#define LIQUIDSPIKE_SENSES_H

#include "convolutions.h"
#include "products.h"

/* As in structures.py, field by field. */

enum { TRUNK = 3 }; /* convolutions of the 'simple' trunk */

typedef struct {
    Convolution trunk[TRUNK];
    const float *scale, *shift; /* [channels] */
    Affine head;                /* of the cells [rows, columns, channels] */
    count rows, columns;
} Image;

typedef struct {
    Convolution first, last;
    Affine head; /* of the cells [positions, channels] */
    count positions;
    int32_t circular, scan; /* scan: ranges and validities come in, proximities are added */
} Window;

typedef struct {
    Convolution convolution;
    Affine input, recurrent;    /* of the GRU: reset, update, new */
    Affine lags;                /* of the whitened cross-spectrum; no layers: one channel */
    Affine head;
    const float *window, *turns; /* see fourier.h */
    const float *mel;            /* [mels, size / 2 + 1] */
    const int64_t *bands;        /* first bin, and the one behind the last, of each mel [mels, 2] */
    count channels, mels, size, hop;
    float floor;
    int32_t unused;
} Sound;

#endif
