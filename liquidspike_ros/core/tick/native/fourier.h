/* Short-time Fourier transform of real signals. */
#ifndef LIQUIDSPIKE_FOURIER_H
#define LIQUIDSPIKE_FOURIER_H

#include "vectors.h"

enum { FRAMES = 8 }; /* that are transformed together */

/* frames, FRAMES pointers to [size], a power of two and at least 4, each times window [size], to
 * their spectra at frequencies 0 to size / 2: real and imaginary [size / 2 + 1, pitch], of which
 * the first FRAMES columns. turns: cos and -sin of 2 pi k / size, k = 0 to size / 2, one after the
 * other. work has fourier_room floats. */
void transform(const float *const *frames, const float *window, const float *turns, count size,
               float *work, float *real, float *imaginary, count pitch);
static inline count fourier_room(count size) { return size * FRAMES; }

#endif
