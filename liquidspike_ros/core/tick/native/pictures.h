/* Pictures as they come: floats at some distances, or bytes one after the other. */
#ifndef LIQUIDSPIKE_PICTURES_H
#define LIQUIDSPIKE_PICTURES_H

#include "vectors.h"

typedef struct {
    const float *floats;
    const uint8_t *bytes;       /* [height, width, channels], of which 255 is 1; else NULL */
    const float *scale, *shift; /* of the normalisation [channels] */
    count channels, height, width;
    count channel_step, row_step, column_step;
} Picture;

static inline Picture picture_of_bytes(const uint8_t *bytes, count channels, count height,
                                       count width, const float *scale, const float *shift)
{
    const Picture found = {NULL, bytes, scale, shift, channels, height, width,
                           1, width * channels, channels};
    return found;
}

/* A row of the picture, normalised, [width, channels]. */
void load_row(const Picture *picture, count row, float *y);

#endif
