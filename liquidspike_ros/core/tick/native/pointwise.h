/* Products of many places with one matrix: 1x1 convolutions, and dense ones by their patches. */
#ifndef LIQUIDSPIKE_POINTWISE_H
#define LIQUIDSPIKE_POINTWISE_H

#include "strips.h"

enum { PACKED = 16 }; /* columns of a matrix that lie together */

/* The inputs of a place: from each of so many runs, `length` floats. Those of the next place are
 * `step` floats on. */
typedef struct {
    const float *const *runs;
    count run_count, length, step;
} Patches;

/* y [places, outputs], places from first to last. weight: [inputs, outputs] in blocks of PACKED
 * columns, one block [inputs, PACKED] after the other; the last one may have NARROW. */
void multiply_places(const Patches *x, count first, count last, const float *weight, count outputs,
                     float *y);

#endif
