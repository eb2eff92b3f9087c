/* Three rows of a padded map at a time, made when they are first asked for: what a 3x3 convolution
 * reads while it goes down the map. */
#ifndef LIQUIDSPIKE_ROWS_H
#define LIQUIDSPIKE_ROWS_H

#include "strips.h"

enum { TAPS = 3 }; /* rows, and columns, of these convolutions; one place of padding all around */

typedef struct {
    void (*make)(const void *of, count row, float *y); /* writes [width, channels] */
    const void *of;
    count height, width, channels;
    float *room; /* rows_room floats */
    count next;  /* the row to make next */
} Rows;

static inline count rows_room(count width, count channels)
{
    return (TAPS + 1) * (width + 2) * channels;
}

/* To start with the rows around `first`. */
void begin_rows(Rows *rows, count first);

/* Where the row above `middle`, itself and the one below it stand, [1 + width + 1, channels] with
 * zeros around the map. middle must not go back. */
void three_rows(Rows *rows, count middle, const float *found[TAPS]);

/* Places along an axis of the output. */
static inline count strided(count places, count stride) { return (places - 1) / stride + 1; }

#endif
