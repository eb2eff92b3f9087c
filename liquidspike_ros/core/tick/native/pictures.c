#include "pictures.h"

/* Written once, compiled for each of the usual kinds of pictures: with distances that are known,
 * loads and stores become those of vectors. */
static inline __attribute__((always_inline)) void load(const Picture *picture, count row,
                                                       const uint8_t *bytes, const float *floats,
                                                       const count channels,
                                                       const count channel_step,
                                                       const count column_step, float *restrict y)
{
    const count start = row * picture->row_step;
    for (count j = 0; j < picture->width; j++)
        for (count c = 0; c < channels; c++) {
            const count place = start + c * channel_step + j * column_step;
            const float value = bytes ? bytes[place] / 255.0f : floats[place];
            y[j * channels + c] = FMA(value, picture->scale[c], picture->shift[c]);
        }
}

void load_row(const Picture *picture, count row, float *y)
{
    const uint8_t *bytes = picture->bytes;
    const float *floats = picture->floats;
    const count apart = picture->channel_step, step = picture->column_step;
    if (picture->channels == 3 && apart == 1 && step == 3 && bytes)
        load(picture, row, bytes, NULL, 3, 1, 3, y);
    else if (picture->channels == 3 && apart == 1 && step == 3)
        load(picture, row, NULL, floats, 3, 1, 3, y);
    else if (picture->channels == 3 && step == 1 && !bytes)
        load(picture, row, NULL, floats, 3, apart, 1, y);
    else
        load(picture, row, bytes, floats, picture->channels, apart, step, y);
}
