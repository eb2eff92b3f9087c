#include "fourier.h"

/* a + b turned by w and a - b turned by w, in place of a and b. */
static inline void butterfly(float cosine, float sine, float *restrict ar, float *restrict ai,
                             float *restrict br, float *restrict bi)
{
    for (int k = 0; k < FRAMES; k++) {
        const float r = FMA(cosine, br[k], -(sine * bi[k]));
        const float i = FMA(cosine, bi[k], sine * br[k]);
        br[k] = ar[k] - r;
        bi[k] = ai[k] - i;
        ar[k] += r;
        ai[k] += i;
    }
}

/* Even samples as real and odd ones as imaginary parts of half as many complex samples, in the order
 * in which the butterflies want them: of reversed bits. */
static void load(const float *const *frames, const float *window, count half, float *real,
                 float *imaginary)
{
    for (count j = 0, reversed = 0; j < half; j++) {
        for (int k = 0; k < FRAMES; k++) {
            real[reversed * FRAMES + k] = frames[k][2 * j] * window[2 * j];
            imaginary[reversed * FRAMES + k] = frames[k][2 * j + 1] * window[2 * j + 1];
        }
        count bit = half / 2;
        for (; bit && reversed & bit; bit /= 2) reversed ^= bit;
        reversed |= bit;
    }
}

void transform(const float *const *frames, const float *window, const float *turns, count size,
               float *work, float *real, float *imaginary, count pitch)
{
    const count half = size / 2;
    const float *cosines = turns, *sines = turns + half + 1;
    float *zr = work, *zi = work + half * FRAMES;
    load(frames, window, half, zr, zi);
    for (count apart = 1; apart < half; apart *= 2)
        for (count j = 0; j < apart; j++) {
            const float c = cosines[j * (half / apart)], s = sines[j * (half / apart)];
            for (count a = j; a < half; a += 2 * apart) {
                const count b = a + apart;
                butterfly(c, s, zr + a * FRAMES, zi + a * FRAMES, zr + b * FRAMES, zi + b * FRAMES);
            }
        }
    for (count f = 0; f <= half; f++) {
        const float *ar = zr + f % half * FRAMES, *ai = zi + f % half * FRAMES;
        const float *br = zr + (half - f) % half * FRAMES, *bi = zi + (half - f) % half * FRAMES;
        const float c = cosines[f], s = sines[f];
        float *xr = real + f * pitch, *xi = imaginary + f * pitch;
        for (int k = 0; k < FRAMES; k++) {
            const float even_r = ar[k] + br[k], even_i = ai[k] - bi[k];
            const float odd_r = ai[k] + bi[k], odd_i = br[k] - ar[k];
            xr[k] = 0.5f * (even_r + FMA(c, odd_r, -(s * odd_i)));
            xi[k] = 0.5f * (even_i + FMA(c, odd_i, s * odd_r));
        }
    }
}
