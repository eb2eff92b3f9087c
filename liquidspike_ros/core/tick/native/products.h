/* Linear layers on few rows, bound by streaming the weights from memory once. */
#ifndef LIQUIDSPIKE_PRODUCTS_H
#define LIQUIDSPIKE_PRODUCTS_H

#include "vectors.h"

/* Layers side by side: weight [layers, inputs, outputs], or [layers, outputs, inputs] if by_output,
 * which suits a handful of outputs; bias [layers, outputs]. */
typedef struct {
    const float *weight, *bias;
    count layers, inputs, outputs, by_output;
} Affine;

/* x [layers, rows, inputs] -> y [layers, rows, outputs], by at most so many threads; the layers are
 * step floats apart in x, 0 if all of them see the same. The threads share the outputs, so that
 * their number changes no bit. */
void apply(const Affine *w, const float *x, count step, count rows, count threads, float *y);

#endif
