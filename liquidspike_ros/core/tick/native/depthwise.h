/* Depthwise 3x3 convolutions: every channel with taps of its own. */
#ifndef LIQUIDSPIKE_DEPTHWISE_H
#define LIQUIDSPIKE_DEPTHWISE_H

#include "rows.h"

/* One row of the output, y [width, channels], from three padded rows. weight [TAPS, TAPS,
 * channels]. */
void filter_row(const float *const rows[TAPS], const float *weight, count width, count channels,
                count stride, float *y);

#endif
