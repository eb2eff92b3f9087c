/* The stages of one control tick, batch of one; side_by_side.py and strategies.py say it in torch.
 *
 * M modalities come first in every shape. present [M] is NULL where everything is there. work is
 * room for as many floats as the function named alike with _room says.
 */
#ifndef LIQUIDSPIKE_STAGES_H
#define LIQUIDSPIKE_STAGES_H

#include "products.h"

/* As in structures.py, field by field; what is unused fills up to the size of a pointer. */

typedef struct {
    Affine first, heads;
    float dt_scale;
    int32_t gated;
} Liquid;

typedef struct {
    Affine current, readout;
    Liquid liquid;
    const float *silent, *beta, *threshold; /* [M, N]; threshold NULL where it is 1 throughout */
    count steps;
    float norm_eps; /* negative: no norm */
    int32_t unused;
} Encoders;

typedef struct {
    Affine projection, output;
    const float *gain, *shift; /* [E] */
    const uint8_t *groups;     /* [M, M] who may attend to whom; NULL if everybody */
    count heads;
    float norm_eps;
    int32_t unused;
} Attention;

typedef struct {
    Affine first, last;
} Head;

typedef struct {
    Affine projection;
    Liquid memory; /* no layers: none */
    Head head;
} Core;

typedef struct {
    Affine layers;
    const float *absent; /* [M, E]: what stands for an absent modality */
    float norm_eps;      /* as in Encoders */
    int32_t unused;
} Adapters;

static inline count units_of(const Liquid *w) { return w->heads.outputs / 4; }

/* features, membranes, hidden: M pointers to [I], [N], [H]; of absent modalities the first is not
 * looked at. rates, membrane [M, N] and hx [M, H] are what comes out. */
void encode(const Encoders *w, const float *const *features, const uint8_t *present,
            const float *const *membranes, const float *const *hidden, float dt, count threads,
            float *work, float *rates, float *membrane, float *hx);
count encode_room(const Encoders *w);

/* tokens [M, E] -> after [M, E], attention [heads, M, M]. */
void attend(const Attention *w, const float *tokens, count cells, const uint8_t *present,
            count threads, float *work, float *after, float *attention);
count attend_room(const Attention *w, count cells);

/* tokens [M, E], shares [M] and hx [H] -> output [A] and memory [H]. */
void fusion_core(const Core *w, const float *tokens, const float *shares, count cells, float dt,
              const float *hx, count threads, float *work, float *output, float *memory);
count fusion_core_room(const Core *w);

/* hidden [M, H] and shares [M]: adds the weighted sum of the modalities' outputs to output [A]. */
void vote(const Head *w, const float *hidden, const float *shares, count threads, float *work,
          float *output);
count vote_room(const Head *w);

/* features as above -> adapted [M, E], of those there times their factors [M]. */
void adapt(const Adapters *w, const float *const *features, const uint8_t *present,
           const float *factors, count threads, float *work, float *adapted);
count adapt_room(const Adapters *w);

/* x [I] -> output [A]. */
void decide(const Head *w, const float *x, count threads, float *work, float *output);
count decide_room(const Head *w);

#endif
