/* One control tick in one call. Each returns 0, or 1 if memory ran out. */
#ifndef LIQUIDSPIKE_TICK_H
#define LIQUIDSPIKE_TICK_H

#include "exports.h"
#include "stages.h"

/* As in structures.py, field by field. */

typedef struct {
    Encoders encoders;
    Core core;  /* no layers in its projection: none, and no levels either */
    Head votes; /* no layers: none */
    const Attention *levels;
    count level_count;
} Tick;

typedef struct {
    Adapters adapters;
    Encoders shared;
    Head head;
} EarlyTick;

/* Late, hybrid and hierarchical fusion. given: M features, M potentials [N], M hidden states [H] and
 * that of the joint memory, if there is one. state gets all of these but the features, one after the
 * other; rates [M, N]; tokens [M, E], the encoded features, and attention [heads, M, M] of the last
 * level, or NULL if they are not wanted; output [A]. */
EXPORTED(int, tick)(const Tick *w, const float *const *given, const uint8_t *present,
                    const float *shares, float dt, count threads, float *state, float *rates,
                    float *tokens, float *attention, float *output);

/* Early fusion. given: M features, potential [N] and hidden state [H]; state gets the latter two;
 * rates [N]; adapted [M, E], the features as the encoder sees them; output [A]. */
EXPORTED(int, early_tick)(const EarlyTick *w, const float *const *given, const uint8_t *present,
                          const float *factors, float dt, count threads, float *state,
                          float *rates, float *adapted, float *output);

#endif
