#include "policy.h"

#include <stdlib.h>

/* For the other side to check that it lays them out alike. */
EXPORTED(count, sizes)(void)
{
    return sizeof(Affine) + 10 * sizeof(Liquid) + 100 * sizeof(Encoders) + 1000 * sizeof(Attention)
           + 10000 * sizeof(Head) + 100000 * sizeof(Core) + 1000000 * sizeof(Adapters)
           + 10000000 * sizeof(Tick) + 100000000 * sizeof(EarlyTick)
           + 1000000000 * (sizeof(Convolution) + 10 * sizeof(SimpleImage) + 100 * sizeof(Window)
                           + 1000 * sizeof(Sound) + 10000 * sizeof(Sense)
                           + 100000 * sizeof(Policy) + 1000000 * sizeof(InvertedBlock)
                           + 10000000 * sizeof(EfficientImage));
}

/* And that it was built of the sources as they are, of which setup.py gives the checksum. */
#ifndef LIQUIDSPIKE_SOURCES
#define LIQUIDSPIKE_SOURCES 0
#endif
EXPORTED(uint32_t, sources)(void) { return LIQUIDSPIKE_SOURCES; }

static int perceive(const Sense *sense, const void *given, count threads, float *features)
{
    switch (sense->kind) {
    case IMAGE:
        return image_of_bytes(sense->weights, given, sense->height, sense->width, threads,
                              features);
    case EFFICIENT_IMAGE:
        return efficient_image_of_bytes(sense->weights, given, sense->height, sense->width, threads,
                                        features);
    case WINDOW:
        return liquidspike_window(sense->weights, given, sense->width, threads, features);
    default:
        return liquidspike_sound(sense->weights, given, sense->width, threads, features);
    }
}

/* Softmax over those present, times how many they are for early fusion; 0 for the others. */
static void share(const Policy *w, const uint8_t *present, float *shares)
{
    float highest = 0.0f, sum = 0.0f;
    count present_count = 0;
    for (count m = 0; m < w->cells; m++)
        if (present[m]) {
            highest = present_count && highest > w->logits[m] ? highest : w->logits[m];
            present_count++;
        }
    for (count m = 0; m < w->cells; m++) {
        shares[m] = present[m] ? exponential(w->logits[m] - highest) : 0.0f;
        sum += shares[m];
    }
    for (count m = 0; m < w->cells && present_count; m++)
        shares[m] = shares[m] / sum * (w->early ? (float)present_count : 1.0f);
}

static int all_finite(const float *x, count n)
{
    uint32_t found = 0;
    for (count k = 0; k < n; k++) {
        uint32_t bits;
        memcpy(&bits, x + k, sizeof bits);
        found |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !found;
}

EXPORTED(int, policy)(const Policy *w, const void *const *given, const uint8_t *present, float dt,
                      count threads, float *state, float *row)
{
    const count p = w->populations, size = p * (w->neurons + w->units) + w->memory;
    const count pointers = w->cells + 2 * p + 1;
    float *work = malloc((size_t)(w->cells * (w->features + 1) + size + p * w->neurons
                                  + w->cells * w->adapted) * sizeof *work);
    const float **before = malloc((size_t)pointers * sizeof *before);
    int failed = !work || !before;
    if (!failed) {
        float *features = work, *shares = features + w->cells * w->features;
        float *after = shares + w->cells, *rates = after + size, *adapted = rates + p * w->neurons;
        for (count m = 0; m < w->cells && !failed; m++) {
            before[m] = features + m * w->features;
            if (!present || present[m])
                failed = perceive(w->senses + m, given[m], threads, features + m * w->features);
        }
        for (count m = 0; m < p; m++) {
            before[w->cells + m] = state + m * w->neurons;
            before[w->cells + p + m] = state + p * w->neurons + m * w->units;
        }
        before[w->cells + 2 * p] = state + p * (w->neurons + w->units);
        if (present) share(w, present, shares);
        const float *weights = present ? shares : w->usual;
        if (!failed)
            failed = w->early ? liquidspike_early_tick(w->tick, before, present, weights, dt,
                                                       threads, after, rates, adapted, row)
                              : liquidspike_tick(w->tick, before, present, weights, dt, threads,
                                                 after, rates, NULL, NULL, row);
        if (!failed) {
            memcpy(state, after, size * sizeof *state);
            row[w->actions] = all_finite(row, w->actions) && all_finite(state, size);
        }
    }
    free(before);
    free(work);
    return failed;
}
