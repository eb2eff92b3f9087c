/* Leaky integrate-and-fire populations over the spike steps of one tick. */
#ifndef LIQUIDSPIKE_SPIKES_H
#define LIQUIDSPIKE_SPIKES_H

#include "vectors.h"

/* Neurons under a held drive, see spike_rates.py; potentials in units of the threshold.
 * drive, beta [n]; potential [n] is moved on; rates [n] become the share of steps with a spike. */
void hold(const float *drive, const float *beta, count n, count steps, float *potential,
          float *rates);

#endif
