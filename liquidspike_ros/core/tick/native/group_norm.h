/* Group normalisation of maps [places, channels] in three parts: moments are taken of a map while
 * it is written, become one factor and one summand per channel, and those are applied by who reads
 * the map. The maps themselves stay as the convolutions wrote them.
 */
#ifndef LIQUIDSPIKE_GROUP_NORM_H
#define LIQUIDSPIKE_GROUP_NORM_H

#include "strips.h"

/* As in structures.py, field by field. */
typedef struct {
    const float *gain, *bias; /* [channels] */
    count channels, groups;
    float eps;
    int32_t unused;
} GroupNorm;

/* A map as a convolution wrote it. Its moments [tiles, 2, channels] are the mean of each tile's
 * places and the sum of their squared distances from it: nothing cancels, however large the mean,
 * and threads that share the tiles change no bit. */
typedef struct {
    float *values, *moments;
    const GroupNorm *norm; /* that stands behind the convolution */
    count places, channels;
    count tile; /* places in each tile; the last one may have fewer */
} Map;

static inline count tiles_of(const Map *map) { return (map->places + map->tile - 1) / map->tile; }

/* Moments of one tile, whose places are written. */
void take_moments(const Map *map, count tile);

/* The normalisation of a map whose moments are taken, as y = factor x + summand [channels]; work
 * has 2 * channels doubles. Both are NaN where the variance overflows. */
void affine_of_norm(const Map *map, double *work, float *factor, float *summand);

/* SiLU of the normalised n places, in place if y is x. */
void activate(const float *x, count n, count channels, const float *factor, const float *summand,
              float *y);

/* The normalised n places, to what stands in y if `add`. */
void normalise(const float *x, count n, count channels, const float *factor, const float *summand,
               int add, float *y);

#endif
