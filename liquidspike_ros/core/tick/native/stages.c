#include "stages.h"

#include "spikes.h"

static count liquid_room(const Liquid *w)
{
    return w->first.layers * (w->first.inputs + w->first.outputs + w->heads.outputs);
}

/* x [M, I] and hx, M pointers to [H] -> after [M, H]; see cfc_sequence.py for the equations. */
static void flow(const Liquid *w, const float *x, const float *const *hx, float dt, count threads,
                 float *work, float *after)
{
    const count cells = w->first.layers, units = units_of(w), both = w->first.inputs;
    const count inputs = both - units;
    float *joined = work, *backbone = joined + cells * both;
    float *values = backbone + cells * w->first.outputs;
    const float span = dt * w->dt_scale;
    for (count m = 0; m < cells; m++) {
        memcpy(joined + m * both, x + m * inputs, inputs * sizeof *x);
        memcpy(joined + m * both + inputs, hx[m], units * sizeof *x);
    }
    apply(&w->first, joined, both, 1, threads, backbone);
    all_tanh(backbone, cells * w->first.outputs);
    apply(&w->heads, backbone, w->heads.inputs, 1, threads, values);
    for (count m = 0; m < cells; m++) {
        const float *restrict start = values + 4 * m * units, *restrict end = start + units;
        const float *restrict time = end + units, *restrict gate = time + units;
        float *restrict h = after + m * units;
        for (count k = 0; k < units; k++) {
            float s = hyperbolic_tangent(start[k]), e = hyperbolic_tangent(end[k]);
            float g = sigmoid(FMA(time[k], span, gate[k]));
            h[k] = w->gated ? FMA(g, e - s, s) : FMA(g, e, s);
        }
    }
}

/* Features in rows, normalised if so wanted; zeros for what is absent. */
static void gather_rows(const float *const *features, const uint8_t *present, count cells, count width,
                    float norm_eps, float *rows)
{
    for (count m = 0; m < cells; m++, rows += width) {
        if (present && !present[m])
            memset(rows, 0, width * sizeof *rows);
        else if (norm_eps < 0.0f)
            memcpy(rows, features[m], width * sizeof *rows);
        else
            normalised(features[m], width, norm_eps, rows);
    }
}

count encode_room(const Encoders *w)
{
    return w->current.layers * (w->current.inputs + w->current.outputs) + liquid_room(&w->liquid);
}

void encode(const Encoders *w, const float *const *features, const uint8_t *present,
            const float *const *membranes, const float *const *hidden, float dt, count threads,
            float *work, float *rates, float *membrane, float *hx)
{
    const count cells = w->current.layers, width = w->current.inputs, neurons = w->current.outputs;
    const count all = cells * neurons;
    float *rows = work, *drive = rows + cells * width;
    gather_rows(features, present, cells, width, w->norm_eps, rows);
    apply(&w->current, rows, width, 1, threads, drive);
    for (count m = 0; m < cells; m++) {
        const size_t bytes = neurons * sizeof *drive;
        if (present && !present[m]) memcpy(drive + m * neurons, w->silent + m * neurons, bytes);
        memcpy(membrane + m * neurons, membranes[m], bytes);
    }
    all_sigmoid(drive, all);
    if (w->threshold)
        for (count k = 0; k < all; k++) {
            drive[k] /= w->threshold[k];
            membrane[k] /= w->threshold[k];
        }
    hold(drive, w->beta, all, w->steps, membrane, rates);
    if (w->threshold)
        for (count k = 0; k < all; k++) membrane[k] *= w->threshold[k];
    flow(&w->liquid, rates, hidden, dt, threads, drive + all, hx);
}

static int is_seen(const uint8_t *groups, const uint8_t *present, count key)
{
    return (!groups || groups[key]) && (!present || present[key]);
}

/* Softmax over the keys that may be seen; zeros for the others. */
static void look(float *scores, const uint8_t *groups, const uint8_t *present, count keys)
{
    float highest = 0.0f, sum = 0.0f;
    int any = 0;
    for (count j = 0; j < keys; j++) {
        if (!is_seen(groups, present, j)) continue;
        highest = any && highest > scores[j] ? highest : scores[j];
        any = 1;
    }
    for (count j = 0; j < keys; j++) {
        scores[j] = is_seen(groups, present, j) ? exponential(scores[j] - highest) : 0.0f;
        sum += scores[j];
    }
    for (count j = 0; j < keys; j++)
        if (is_seen(groups, present, j)) scores[j] /= sum;
}

count attend_room(const Attention *w, count cells)
{
    return 4 * w->heads * cells * w->projection.outputs;
}

void attend(const Attention *w, const float *tokens, count cells, const uint8_t *present,
            count threads, float *work, float *after, float *attention)
{
    const count width = w->projection.inputs, size = w->projection.outputs, heads = w->heads;
    const count part = cells * size, joined = heads * size;
    float *attended = work + 3 * heads * part;
    apply(&w->projection, tokens, 0, cells, threads, work);
    for (count h = 0; h < heads; h++) {
        const float *query = work + h * part, *key = query + heads * part;
        const float *value = key + heads * part;
        for (count i = 0; i < cells; i++) {
            float *scores = attention + (h * cells + i) * cells;
            for (count j = 0; j < cells; j++)
                scores[j] = dot(query + i * size, key + j * size, size);
            look(scores, w->groups ? w->groups + i * cells : NULL, present, cells);
            float *restrict mixed = attended + i * joined + h * size;
            memset(mixed, 0, size * sizeof *mixed);
            for (count j = 0; j < cells; j++)
                for (count k = 0; k < size; k++)
                    mixed[k] = FMA(scores[j], value[j * size + k], mixed[k]);
        }
    }
    apply(&w->output, attended, 0, cells, threads, after);
    for (count m = 0; m < cells; m++) {
        float *restrict row = after + m * width;
        for (count k = 0; k < width; k++) row[k] += tokens[m * width + k];
        normalised(row, width, w->norm_eps, row);
        for (count k = 0; k < width; k++) row[k] = FMA(row[k], w->gain[k], w->shift[k]);
    }
}

count decide_room(const Head *w) { return w->first.outputs; }

void decide(const Head *w, const float *x, count threads, float *work, float *output)
{
    apply(&w->first, x, 0, 1, threads, work);
    all_silu(work, w->first.outputs);
    apply(&w->last, work, 0, 1, threads, output);
}

count fusion_core_room(const Core *w)
{
    const int remembers = w->memory.first.layers > 0;
    return w->projection.inputs + w->head.first.inputs + decide_room(&w->head)
           + (remembers ? liquid_room(&w->memory) : 0);
}

void fusion_core(const Core *w, const float *tokens, const float *shares, count cells, float dt,
              const float *hx, count threads, float *work, float *output, float *memory)
{
    const count width = w->projection.inputs, fused = w->projection.outputs;
    float *pooled = work, *both = pooled + width, *rest = both + w->head.first.inputs;
    memset(pooled, 0, width * sizeof *pooled);
    for (count m = 0; m < cells; m++)
        for (count k = 0; k < width; k++)
            pooled[k] = FMA(tokens[m * width + k], shares[m], pooled[k]);
    apply(&w->projection, pooled, 0, 1, threads, both);
    all_silu(both, fused);
    if (w->memory.first.layers) {
        flow(&w->memory, both, &hx, dt, threads, rest, memory);
        memcpy(both + fused, memory, units_of(&w->memory) * sizeof *memory);
    }
    decide(&w->head, both, threads, rest, output);
}

count vote_room(const Head *w)
{
    return w->first.layers * (w->first.outputs + w->last.outputs);
}

void vote(const Head *w, const float *hidden, const float *shares, count threads, float *work,
          float *output)
{
    const count voters = w->first.layers, actions = w->last.outputs;
    float *first = work, *votes = first + voters * w->first.outputs;
    apply(&w->first, hidden, w->first.inputs, 1, threads, first);
    all_silu(first, voters * w->first.outputs);
    apply(&w->last, first, w->last.inputs, 1, threads, votes);
    for (count m = 0; m < voters; m++)
        for (count k = 0; k < actions; k++)
            output[k] = FMA(votes[m * actions + k], shares[m], output[k]);
}

count adapt_room(const Adapters *w) { return w->layers.layers * w->layers.inputs; }

void adapt(const Adapters *w, const float *const *features, const uint8_t *present,
           const float *factors, count threads, float *work, float *adapted)
{
    const count cells = w->layers.layers, width = w->layers.inputs, size = w->layers.outputs;
    gather_rows(features, present, cells, width, w->norm_eps, work);
    apply(&w->layers, work, width, 1, threads, adapted);
    for (count m = 0; m < cells; m++) {
        float *row = adapted + m * size;
        if (present && !present[m])
            memcpy(row, w->absent + m * size, size * sizeof *row);
        else
            for (count k = 0; k < size; k++) row[k] *= factors[m];
    }
}
