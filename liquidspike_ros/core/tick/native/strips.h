/* Maps whose channels are worked on a strip at a time: as many as one vector register holds.
 *
 * What is done to a strip is written once for any width and compiled for each: loops of a fixed
 * length over small arrays are what compilers keep in registers. A channel's arithmetic is the same
 * whichever strip it falls into.
 */
#ifndef LIQUIDSPIKE_STRIPS_H
#define LIQUIDSPIKE_STRIPS_H

#include "vectors.h"

enum {
    NARROW = 8, /* channels come in multiples of this */
#ifdef __AVX512F__
    STRIP = 16,
#else
    STRIP = 8,
#endif
};

/* Before a loop that only copies: else compilers call it a memcpy, and copy in small pieces. */
#ifdef _OPENMP
#define AS_VECTOR _Pragma("omp simd")
#else
#define AS_VECTOR
#endif

#define FOR_ANY_WIDTH static inline __attribute__((always_inline))

/* do_strip(first channel, width) for all strips; the last one may be narrow. */
#define FOR_STRIPS(channels, do_strip)                         \
    for (count strip_ = 0; strip_ < (channels); strip_ += STRIP) { \
        if ((channels) - strip_ >= STRIP) {                    \
            do_strip(strip_, STRIP);                           \
        } else {                                               \
            do_strip(strip_, NARROW);                          \
        }                                                      \
    }

#endif
