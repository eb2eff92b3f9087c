#include "group_norm.h"

#include "silus.h"

/* In both of these four sums go side by side, since each waits for its last addition. */

/* Counted from the first place, so that equal values have no variance however large they are. */
FOR_ANY_WIDTH void mean_of_strip(const float *restrict x, count n, count channels,
                                 float *restrict mean, const int width)
{
    float s0[STRIP], s1[STRIP], s2[STRIP], s3[STRIP], first[STRIP];
    count p = 0;
    for (int k = 0; k < width; k++) first[k] = x[k];
    for (int k = 0; k < width; k++) s0[k] = s1[k] = s2[k] = s3[k] = 0.0f;
    for (; p + 4 <= n; p += 4)
        for (int k = 0; k < width; k++) {
            s0[k] += x[p * channels + k] - first[k];
            s1[k] += x[(p + 1) * channels + k] - first[k];
            s2[k] += x[(p + 2) * channels + k] - first[k];
            s3[k] += x[(p + 3) * channels + k] - first[k];
        }
    for (; p < n; p++)
        for (int k = 0; k < width; k++) s0[k] += x[p * channels + k] - first[k];
    for (int k = 0; k < width; k++)
        mean[k] = first[k] + ((s0[k] + s1[k]) + (s2[k] + s3[k])) / (float)n;
}

FOR_ANY_WIDTH void squares_of_strip(const float *restrict x, count n, count channels,
                                    const float *restrict mean, float *restrict squares,
                                    const int width)
{
    float s0[STRIP], s1[STRIP], s2[STRIP], s3[STRIP];
    count p = 0;
    for (int k = 0; k < width; k++) s0[k] = s1[k] = s2[k] = s3[k] = 0.0f;
    for (; p + 4 <= n; p += 4)
        for (int k = 0; k < width; k++) {
            const float a = x[p * channels + k] - mean[k];
            const float b = x[(p + 1) * channels + k] - mean[k];
            const float c = x[(p + 2) * channels + k] - mean[k];
            const float d = x[(p + 3) * channels + k] - mean[k];
            s0[k] = FMA(a, a, s0[k]);
            s1[k] = FMA(b, b, s1[k]);
            s2[k] = FMA(c, c, s2[k]);
            s3[k] = FMA(d, d, s3[k]);
        }
    for (; p < n; p++)
        for (int k = 0; k < width; k++) {
            const float away = x[p * channels + k] - mean[k];
            s0[k] = FMA(away, away, s0[k]);
        }
    for (int k = 0; k < width; k++) squares[k] = (s0[k] + s1[k]) + (s2[k] + s3[k]);
}

static count places_in(const Map *map, count tile)
{
    const count left = map->places - tile * map->tile;
    return left < map->tile ? left : map->tile;
}

void take_moments(const Map *map, count tile)
{
    const count channels = map->channels, n = places_in(map, tile);
    const float *x = map->values + tile * map->tile * channels;
    float *moments = map->moments + tile * 2 * channels;
#define MOMENTS(strip, width)                                         \
    mean_of_strip(x + strip, n, channels, moments + strip, width);    \
    squares_of_strip(x + strip, n, channels, moments + strip,         \
                     moments + channels + strip, width)
    FOR_STRIPS(channels, MOMENTS)
#undef MOMENTS
}

/* Mean and sum of squared distances from it, of NARROW channels over all tiles. */
static void channels_over_tiles(const Map *map, count first, double *restrict mean,
                                double *restrict squares)
{
    const count channels = map->channels, tiles = tiles_of(map);
    double sum[NARROW] = {0.0}, spread[NARROW] = {0.0}, centre[NARROW];
    const float *moments = map->moments + first;
    for (count t = 0; t < tiles; t++) {
        const double n = (double)places_in(map, t);
        for (int k = 0; k < NARROW; k++) sum[k] += n * moments[t * 2 * channels + k];
    }
    for (int k = 0; k < NARROW; k++) centre[k] = sum[k] / (double)map->places;
    for (count t = 0; t < tiles; t++) {
        const double n = (double)places_in(map, t);
        for (int k = 0; k < NARROW; k++) {
            const double away = moments[t * 2 * channels + k] - centre[k];
            spread[k] += moments[(t * 2 + 1) * channels + k] + n * away * away;
        }
    }
    memcpy(mean, centre, sizeof centre);
    memcpy(squares, spread, sizeof spread);
}

void affine_of_norm(const Map *map, double *work, float *factor, float *summand)
{
    const GroupNorm *norm = map->norm;
    const count each = map->channels / norm->groups;
    const double places = (double)map->places;
    double *means = work, *squares = work + map->channels;
    for (count c = 0; c < map->channels; c += NARROW)
        channels_over_tiles(map, c, means + c, squares + c);
    for (count g = 0; g < norm->groups; g++) {
        double mean = 0.0, spread = 0.0;
        for (count c = g * each; c < (g + 1) * each; c++) mean += means[c] / (double)each;
        for (count c = g * each; c < (g + 1) * each; c++)
            spread += squares[c] + places * (means[c] - mean) * (means[c] - mean);
        double scale = 1.0 / __builtin_sqrt(spread / (places * (double)each) + norm->eps);
        scale = scale > 0.0 ? scale : __builtin_nan("");
        for (count c = g * each; c < (g + 1) * each; c++) {
            factor[c] = (float)(norm->gain[c] * scale);
            summand[c] = (float)(norm->bias[c] - mean * norm->gain[c] * scale);
        }
    }
}

FOR_ANY_WIDTH void activate_strip(const float *x, count n, count channels,
                                  const float *restrict factor, const float *restrict summand,
                                  float *y, const int width)
{
    float u[STRIP], v[STRIP];
    count p = 0;
    for (; p + 2 <= n; p += 2, x += 2 * channels, y += 2 * channels) {
        for (int k = 0; k < width; k++)
            silu_of_pair(FMA(x[k], factor[k], summand[k]),
                         FMA(x[channels + k], factor[k], summand[k]), u + k, v + k);
        for (int k = 0; k < width; k++) y[k] = u[k];
        for (int k = 0; k < width; k++) y[channels + k] = v[k];
    }
    if (p < n) {
        for (int k = 0; k < width; k++) u[k] = silu(FMA(x[k], factor[k], summand[k]));
        for (int k = 0; k < width; k++) y[k] = u[k];
    }
}

void activate(const float *x, count n, count channels, const float *factor, const float *summand,
              float *y)
{
#define ACTIVATE(strip, width) \
    activate_strip(x + strip, n, channels, factor + strip, summand + strip, y + strip, width)
    FOR_STRIPS(channels, ACTIVATE)
#undef ACTIVATE
}

FOR_ANY_WIDTH void normalise_strip(const float *restrict x, count n, count channels,
                                   const float *restrict factor, const float *restrict summand,
                                   int add, float *restrict y, const int width)
{
    for (count p = 0; p < n; p++, x += channels, y += channels)
        for (int k = 0; k < width; k++)
            y[k] = (add ? y[k] : 0.0f) + FMA(x[k], factor[k], summand[k]);
}

void normalise(const float *x, count n, count channels, const float *factor, const float *summand,
               int add, float *y)
{
#define NORMALISE(strip, width) \
    normalise_strip(x + strip, n, channels, factor + strip, summand + strip, add, y + strip, width)
    FOR_STRIPS(channels, NORMALISE)
#undef NORMALISE
}
