#include "inverted_residual.h"

#include "depthwise.h"
#include "pointwise.h"

enum { LOT = 64 }; /* places that stay in the nearest cache from one pass over them to the next */

/* Small maps are to be shared by threads as well; a power of two, so that lots hold whole tiles. */
Map map_of_places(float *values, float *moments, const GroupNorm *norm, count places)
{
    count tile = 8;
    while (tile < LOT && 48 * tile <= places) tile *= 2;
    const Map map = {values, moments, norm, places, norm->channels, tile};
    return map;
}

Map map_of_rows(float *values, float *moments, const GroupNorm *norm, count height, count width)
{
    const Map map = {values, moments, norm, height * width, norm->channels, width};
    return map;
}

/* The worker's share of the tiles. */
static count first_tile(const Worker *self, const Map *map)
{
    return tiles_of(map) * self->me / self->all;
}

static count end_tile(const Worker *self, const Map *map)
{
    return tiles_of(map) * (self->me + 1) / self->all;
}

static count least(count a, count b) { return a < b ? a : b; }

/* Places from first to last of a map of which the worker has factor and summand. */
static void read_map(const Worker *self, const Map *map, Reading reading, count first, count last,
                     float *x)
{
    const count channels = map->channels;
    const float *from = map->values + first * channels;
    if (reading == ACTIVATED)
        activate(from, last - first, channels, self->factor, self->summand, x + first * channels);
    else
        normalise(from, last - first, channels, self->factor, self->summand, reading == ADDED,
                  x + first * channels);
}

void multiply_map(const Worker *self, const Map *before, Reading reading, float *x,
                  const float *weight, const Map *after)
{
    const float *const run = x;
    const Patches patches = {&run, 1, before->channels, before->channels};
    const count end = least(end_tile(self, after) * after->tile, after->places);
    affine_of_norm(before, self->work, self->factor, self->summand);
    for (count p = first_tile(self, after) * after->tile; p < end; p += LOT) {
        const count until = least(p + LOT, end);
        read_map(self, before, reading, p, until, x);
        multiply_places(&patches, p, until, weight, after->channels, after->values);
        for (count t = p / after->tile; t * after->tile < until; t++) take_moments(after, t);
    }
}

void finish_map(const Worker *self, const Map *map, Reading reading, float *x)
{
    affine_of_norm(map, self->work, self->factor, self->summand);
    read_map(self, map, reading, 0, map->places, x);
}

typedef struct {
    const Worker *self;
    const Map *map;
    count width;
} Activated;

static void make_activated_row(const void *of, count row, float *y)
{
    const Activated *from = of;
    const count channels = from->map->channels;
    activate(from->map->values + row * from->width * channels, from->width, channels,
             from->self->factor, from->self->summand, y);
}

void filter_map(const Worker *self, const Map *before, count width, const float *weight,
                count stride, const Map *after)
{
    const Activated from = {self, before, width};
    Rows rows = {make_activated_row, &from, before->places / width, width, before->channels,
                 self->rows, 0};
    const count end = end_tile(self, after);
    affine_of_norm(before, self->work, self->factor, self->summand);
    begin_rows(&rows, stride * first_tile(self, after));
    for (count row = first_tile(self, after); row < end; row++) {
        const float *found[TAPS];
        three_rows(&rows, stride * row, found);
        filter_row(found, weight, after->tile, after->channels, stride,
                   after->values + row * after->tile * after->channels);
        take_moments(after, row);
    }
}

static void make_row_of_picture(const void *of, count row, float *y) { load_row(of, row, y); }

void filter_picture(const Worker *self, const Picture *picture, const float *weight, count stride,
                    const Map *after)
{
    const count channels = picture->channels, end = end_tile(self, after);
    Rows rows = {make_row_of_picture, picture, picture->height, picture->width, channels,
                 self->rows, 0};
    begin_rows(&rows, stride * first_tile(self, after));
    for (count row = first_tile(self, after); row < end; row++) {
        const float *found[TAPS];
        three_rows(&rows, stride * row, found);
        const Patches patches = {found, TAPS, TAPS * channels, stride * channels};
        multiply_places(&patches, 0, after->tile, weight, after->channels,
                        after->values + row * after->tile * after->channels);
        take_moments(after, row);
    }
}
