/* What the blocks of the 'efficient' trunk are made of: from one map to the next, as one of several
 * threads that each write a share of it. Between two such steps all of them must have met.
 *
 * A step writes what its convolution gives and takes the moments; the group norm, and SiLU, are
 * applied by the step that reads the map.
 */
#ifndef LIQUIDSPIKE_INVERTED_RESIDUAL_H
#define LIQUIDSPIKE_INVERTED_RESIDUAL_H

#include "group_norm.h"
#include "pictures.h"
#include "rows.h"

/* As in structures.py, field by field. Matrices are packed as pointwise.h has them. */
typedef struct {
    const float *expand;    /* [inputs, hidden] */
    const float *depthwise; /* [TAPS, TAPS, hidden], not packed */
    const float *project;   /* [hidden, outputs] */
    GroupNorm expanded, filtered, projected;
    count stride, residual; /* residual: what comes in is added to what goes out */
} InvertedBlock;

/* One of the threads, with memory of its own. */
typedef struct {
    count me, all;
    double *work;            /* [2, channels] */
    float *factor, *summand; /* of the map before [channels] */
    float *rows;             /* rows_room of the widest map */
} Worker;

/* How the map before is read. */
typedef enum { ACTIVATED, NORMALISED, ADDED } Reading;

/* A map to be written by multiply_map, or by one of the others. */
Map map_of_places(float *values, float *moments, const GroupNorm *norm, count places);
Map map_of_rows(float *values, float *moments, const GroupNorm *norm, count height, count width);

/* The map before, read in that way, to x, which may be its own values; then x times the matrix. */
void multiply_map(const Worker *self, const Map *before, Reading reading, float *x,
                  const float *weight, const Map *after);

/* The map before, of rows this wide, activated, through a depthwise convolution. */
void filter_map(const Worker *self, const Map *before, count width, const float *weight,
                count stride, const Map *after);

/* A picture through a 3x3 convolution. */
void filter_picture(const Worker *self, const Picture *picture, const float *weight, count stride,
                    const Map *after);

/* All of the last map, read in that way, to x. */
void finish_map(const Worker *self, const Map *map, Reading reading, float *x);

#endif
