/* Convolutions over maps that lie channels-last and carry their own padding. */
#ifndef LIQUIDSPIKE_CONVOLUTIONS_H
#define LIQUIDSPIKE_CONVOLUTIONS_H

#include "vectors.h"

enum { WIDE = 8 }; /* outputs, and places, that are worked on together */

/* weight [ceil(outputs / WIDE), rows * columns * inputs, WIDE], bias [ceil(outputs / WIDE), WIDE]:
 * what is left of the last block is 0. rows is 1 for convolutions along one axis. */
typedef struct {
    const float *weight, *bias;
    count inputs, outputs, rows, columns, stride;
} Convolution;

/* SiLU of the convolution at places [height, width]. x [.., x_width, inputs] is the padded input, y
 * the first place of the output, whose rows are y_width places apart. work has convolve_room floats
 * for that many threads; their number changes no bit. */
void convolve(const Convolution *w, const float *x, count x_width, count height, count width,
              count threads, float *work, float *y, count y_width);
count convolve_room(const Convolution *w, count threads);

/* Places of the output along an axis of this many, padding included. */
static inline count places(const Convolution *w, count padded, count taps)
{
    return (padded - taps) / w->stride + 1;
}

/* Mean over each cell of a grid, as torch's adaptive_avg_pool2d has it: x [height, x_width,
 * channels], of which width places count -> y [rows, columns, channels]. */
void pool(const float *x, count height, count width, count x_width, count channels, count rows,
          count columns, float *y);

#endif
