/* A deployed policy: what the sensors measured to an action, in one call. */
#ifndef LIQUIDSPIKE_POLICY_H
#define LIQUIDSPIKE_POLICY_H

#include "efficient.h"
#include "senses.h"
#include "tick.h"

enum { IMAGE, WINDOW, SOUND, EFFICIENT_IMAGE }; /* kinds of senses */

/* As in structures.py, field by field. */

typedef struct {
    const void *weights;       /* SimpleImage, Window, Sound or EfficientImage */
    count kind, height, width; /* of a picture; of anything else samples in width */
} Sense;

typedef struct {
    const Sense *senses;
    const void *tick;            /* EarlyTick if early, else Tick */
    const float *logits, *usual; /* [cells]; what the tick takes as shares, or factors, where
                                  * everything is there */
    count cells, features;       /* senses, and the width of what each of them gives */
    count early, populations;    /* populations of neurons with a cell each */
    count neurons, units, memory, adapted, actions;
} Policy;

/* given: by sense bytes [height, width, channels], or floats [channels, width]. present [cells] is
 * NULL where everything is there. state, as the tick has it one after the other, goes in and comes
 * out. row: action [actions], and 1 if it and the state are finite, else 0. Returns 0, or 1 if
 * memory ran out; then the state is as it was. */
EXPORTED(int, policy)(const Policy *w, const void *const *given, const uint8_t *present, float dt,
                      count threads, float *state, float *row);

#endif
