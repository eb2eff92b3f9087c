#include "rows.h"

void begin_rows(Rows *rows, count first)
{
    memset(rows->room, 0, rows_room(rows->width, rows->channels) * sizeof *rows->room);
    rows->next = first > 0 ? first - 1 : 0;
}

void three_rows(Rows *rows, count middle, const float *found[TAPS])
{
    const count size = (rows->width + 2) * rows->channels;
    const count end = middle + 2 < rows->height ? middle + 2 : rows->height;
    for (; rows->next < end; rows->next++)
        rows->make(rows->of, rows->next, rows->room + rows->next % TAPS * size + rows->channels);
    for (count k = 0; k < TAPS; k++) {
        const count row = middle - 1 + k;
        const int inside = row >= 0 && row < rows->height;
        found[k] = rows->room + (inside ? row % TAPS : TAPS) * size; /* the last one stays zero */
    }
}
