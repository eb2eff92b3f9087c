#include "spikes.h"

/* So many neurons go through all steps in registers: enough to hide how long one step takes. */
enum { BLOCK = 64 };

static void hold_block(const float *restrict drive, const float *restrict beta, count steps,
                       float *restrict potential, float *restrict rates)
{
    float p[BLOCK], reset[BLOCK], spikes[BLOCK];
    for (int k = 0; k < BLOCK; k++) {
        p[k] = potential[k];
        reset[k] = p[k] > 1.0f ? 1.0f : 0.0f;
        spikes[k] = 0.0f;
    }
    for (count t = 0; t < steps; t++)
        for (int k = 0; k < BLOCK; k++) {
            p[k] = FMA(p[k], beta[k], drive[k]) - reset[k];
            reset[k] = p[k] > 1.0f ? 1.0f : 0.0f;
            spikes[k] += reset[k];
        }
    for (int k = 0; k < BLOCK; k++) {
        potential[k] = p[k];
        rates[k] = spikes[k] / (float)steps;
    }
}

void hold(const float *drive, const float *beta, count n, count steps, float *potential,
          float *rates)
{
    count i = 0;
    for (; i + BLOCK <= n; i += BLOCK)
        hold_block(drive + i, beta + i, steps, potential + i, rates + i);
    if (i == n) return;
    float rest[4][BLOCK] = {{0.0f}};
    const size_t bytes = (n - i) * sizeof *drive;
    memcpy(rest[0], drive + i, bytes);
    memcpy(rest[1], beta + i, bytes);
    memcpy(rest[2], potential + i, bytes);
    hold_block(rest[0], rest[1], steps, rest[2], rest[3]);
    memcpy(potential + i, rest[2], bytes);
    memcpy(rates + i, rest[3], bytes);
}
