#include "efficient.h"

#include <stdlib.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "senses.h"

enum {
    STEM_STRIDE = 2,
    SHARE = 1 << 11, /* pixels that one thread takes at least: with fewer, meeting takes as long */
    LINE = 16,       /* floats of a cache line, on which every buffer begins */
};

/* Floats of the memory of one call, and the size of the last map. */
typedef struct {
    count x, expanded, filtered, projected, moments, cells, rows, widest;
    count height, width;
} Sizes;

static void at_least(count *size, count wanted)
{
    const count lines = (wanted + LINE - 1) / LINE * LINE;
    *size = *size > lines ? *size : lines;
}

static void make_room(Sizes *s, count *size, Map map)
{
    at_least(size, map.places * map.channels);
    at_least(&s->moments, tiles_of(&map) * 2 * map.channels);
    at_least(&s->widest, map.channels);
}

static Sizes sizes_for(const EfficientImage *w, const Picture *picture)
{
    Sizes s = {0};
    count height = strided(picture->height, STEM_STRIDE);
    count width = strided(picture->width, STEM_STRIDE);
    at_least(&s.rows, rows_room(picture->width, picture->channels));
    make_room(&s, &s.x, map_of_rows(NULL, NULL, &w->norm, height, width));
    for (count b = 0; b < w->block_count; b++) {
        const InvertedBlock *block = w->blocks + b;
        make_room(&s, &s.expanded, map_of_places(NULL, NULL, &block->expanded, height * width));
        at_least(&s.rows, rows_room(width, block->expanded.channels));
        height = strided(height, block->stride);
        width = strided(width, block->stride);
        make_room(&s, &s.filtered, map_of_rows(NULL, NULL, &block->filtered, height, width));
        make_room(&s, &s.projected, map_of_places(NULL, NULL, &block->projected, height * width));
        at_least(&s.x, height * width * block->projected.channels);
    }
    at_least(&s.cells, w->head.inputs);
    s.height = height;
    s.width = width;
    return s;
}

/* Maps [places, channels]; moments of the map before are read while those of the next are taken. */
typedef struct {
    float *x, *expanded, *filtered, *projected, *moments[2], *cells, *workers;
} Rooms;

static count worker_room(const Sizes *s) { return s->rows + 6 * s->widest; }

static float *room_for(const Sizes *s, count threads, Rooms *rooms)
{
    const count total = s->x + s->expanded + s->filtered + s->projected + 2 * s->moments + s->cells
                        + threads * worker_room(s);
    float *all = aligned_alloc(LINE * sizeof *all, (size_t)total * sizeof *all);
    if (!all) return NULL;
    rooms->workers = all;
    rooms->x = all + threads * worker_room(s);
    rooms->expanded = rooms->x + s->x;
    rooms->filtered = rooms->expanded + s->expanded;
    rooms->projected = rooms->filtered + s->filtered;
    rooms->moments[0] = rooms->projected + s->projected;
    rooms->moments[1] = rooms->moments[0] + s->moments;
    rooms->cells = rooms->moments[1] + s->moments;
    return all;
}

static Worker worker_for(const Sizes *s, const Rooms *rooms, count me, count all)
{
    float *own = rooms->workers + me * worker_room(s);
    const Worker self = {me, all, (double *)own, own + 4 * s->widest, own + 5 * s->widest,
                         own + 6 * s->widest};
    return self;
}

/* Until all threads have written their share of a map. */
static void meet(void)
{
#ifdef _OPENMP
#pragma omp barrier
#endif
}

/* One thread's way through the trunk, and with that of all others: to its last map, which stays in
 * rooms->x. */
static void run_trunk(const EfficientImage *w, const Picture *picture, const Rooms *rooms,
                       const Worker *self)
{
    count height = strided(picture->height, STEM_STRIDE);
    count width = strided(picture->width, STEM_STRIDE);
    Reading reading = ACTIVATED;
    int turn = 0;
    Map map = map_of_rows(rooms->x, rooms->moments[turn], &w->norm, height, width);
    filter_picture(self, picture, w->stem, STEM_STRIDE, &map);
    for (const InvertedBlock *b = w->blocks; b < w->blocks + w->block_count; b++) {
        meet();
        const Map expanded = map_of_places(rooms->expanded, rooms->moments[turn ^= 1],
                                           &b->expanded, height * width);
        multiply_map(self, &map, reading, rooms->x, b->expand, &expanded);
        meet();
        const count width_before = width;
        height = strided(height, b->stride);
        width = strided(width, b->stride);
        const Map filtered = map_of_rows(rooms->filtered, rooms->moments[turn ^= 1], &b->filtered,
                                         height, width);
        filter_map(self, &expanded, width_before, b->depthwise, b->stride, &filtered);
        meet();
        map = map_of_places(rooms->projected, rooms->moments[turn ^= 1], &b->projected,
                            height * width);
        multiply_map(self, &filtered, ACTIVATED, rooms->filtered, b->project, &map);
        reading = b->residual ? ADDED : NORMALISED;
    }
    meet();
    if (self->me == 0) finish_map(self, &map, reading, rooms->x);
}

static int see(const EfficientImage *w, const Picture *picture, count threads, float *features)
{
    const Sizes sizes = sizes_for(w, picture);
    const count useful = picture->height * picture->width / SHARE;
    Rooms rooms;
    count workers = useful < threads ? useful : threads;
    if (workers < 1) workers = 1;
    float *all = room_for(&sizes, workers, &rooms);
    if (!all) return 1;
#ifdef _OPENMP
    if (workers > 1) {
#pragma omp parallel num_threads((int)workers)
        {
            const Worker self = worker_for(&sizes, &rooms, omp_get_thread_num(),
                                           omp_get_num_threads());
            run_trunk(w, picture, &rooms, &self);
        }
    } else
#endif
    {
        const Worker self = worker_for(&sizes, &rooms, 0, 1);
        run_trunk(w, picture, &rooms, &self);
    }
    pool(rooms.x, sizes.height, sizes.width, sizes.width,
         w->blocks[w->block_count - 1].projected.channels, w->rows, w->columns, rooms.cells);
    finish_features(&w->head, rooms.cells, threads, features);
    free(all);
    return 0;
}

EXPORTED(int, efficient_image)(const EfficientImage *w, const float *x, count height, count width,
                               count channel_step, count row_step, count column_step,
                               count threads, float *features)
{
    const Picture picture = {x, NULL, w->scale, w->shift, w->channels, height, width,
                             channel_step, row_step, column_step};
    return see(w, &picture, threads, features);
}

int efficient_image_of_bytes(const EfficientImage *w, const uint8_t *x, count height, count width,
                             count threads, float *features)
{
    const Picture picture = picture_of_bytes(x, w->channels, height, width, w->scale, w->shift);
    return see(w, &picture, threads, features);
}
