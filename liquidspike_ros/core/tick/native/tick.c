#include "tick.h"

#include <stdlib.h>

static count most(count a, count b) { return a > b ? a : b; }

EXPORTED(int, tick)(const Tick *w, const float *const *given, const uint8_t *present,
                    const float *shares, float dt, count threads, float *state, float *rates,
                    float *tokens, float *attention, float *output)
{
    const Encoders *encoders = &w->encoders;
    const Affine *readout = &encoders->readout;
    const int fuses = w->core.projection.layers > 0, votes = w->votes.first.layers > 0;
    const count cells = readout->layers, width = cells * readout->outputs;
    const count actions = fuses ? w->core.head.last.outputs : w->votes.last.outputs;
    count work_room = encode_room(encoders), maps = 0;
    if (fuses) work_room = most(work_room, fusion_core_room(&w->core));
    if (votes) work_room = most(work_room, vote_room(&w->votes));
    for (count level = 0; level < w->level_count; level++) {
        work_room = most(work_room, attend_room(w->levels + level, cells));
        maps = most(maps, w->levels[level].heads * cells * cells);
    }
    float *work = malloc((size_t)(work_room + 3 * width + maps) * sizeof *work);
    if (!work) return 1;
    float *places[2] = {work + work_room, work + work_room + width};
    float *encoded = tokens ? tokens : places[1] + width, *seen = places[1] + 2 * width;

    float *hidden = state + cells * encoders->current.outputs;
    encode(encoders, given, present, given + cells, given + 2 * cells, dt, threads, work, rates,
           state, hidden);
    if (tokens || fuses)
        apply(readout, hidden, readout->inputs, 1, threads, encoded);
    const float *attended = encoded;
    for (count level = 0; level < w->level_count; level++) {
        float *after = places[level % 2];
        attend(w->levels + level, attended, cells, present, threads, work, after,
               attention && level + 1 == w->level_count ? attention : seen);
        attended = after;
    }
    if (fuses)
        fusion_core(&w->core, attended, shares, cells, dt, given[3 * cells], threads, work, output,
                 hidden + cells * readout->inputs);
    else
        memset(output, 0, actions * sizeof *output);
    if (votes) vote(&w->votes, hidden, shares, threads, work, output);
    free(work);
    return 0;
}

EXPORTED(int, early_tick)(const EarlyTick *w, const float *const *given, const uint8_t *present,
                          const float *factors, float dt, count threads, float *state,
                          float *rates, float *adapted, float *output)
{
    const Affine *readout = &w->shared.readout;
    const count cells = w->adapters.layers.layers;
    const count work_room = most(most(adapt_room(&w->adapters), encode_room(&w->shared)),
                                 decide_room(&w->head));
    float *work = malloc((size_t)(work_room + readout->outputs) * sizeof *work);
    if (!work) return 1;
    float *fused = work + work_room, *hidden = state + w->shared.current.outputs;
    adapt(&w->adapters, given, present, factors, threads, work, adapted);
    const float *everything = adapted;
    encode(&w->shared, &everything, NULL, given + cells, given + cells + 1, dt, threads, work,
           rates, state, hidden);
    apply(readout, hidden, 0, 1, threads, fused);
    decide(&w->head, fused, threads, work, output);
    free(work);
    return 0;
}
