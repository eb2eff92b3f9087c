/* A picture to features by the 'efficient' trunk. */
#ifndef LIQUIDSPIKE_EFFICIENT_H
#define LIQUIDSPIKE_EFFICIENT_H

#include "exports.h"
#include "inverted_residual.h"
#include "products.h"

/* As in structures.py, field by field. */
typedef struct {
    const float *stem; /* [TAPS * TAPS * channels, outputs], packed as pointwise.h has it */
    GroupNorm norm;    /* of the stem */
    const InvertedBlock *blocks;
    count block_count, channels;
    const float *scale, *shift; /* [channels] */
    Affine head;                /* of the cells [rows, columns, outputs of the last block] */
    count rows, columns;
} EfficientImage;

/* As liquidspike_image and image_of_bytes in senses.h. */
EXPORTED(int, efficient_image)(const EfficientImage *w, const float *x, count height, count width,
                               count channel_step, count row_step, count column_step,
                               count threads, float *features);
int efficient_image_of_bytes(const EfficientImage *w, const uint8_t *x, count height, count width,
                             count threads, float *features);

#endif
