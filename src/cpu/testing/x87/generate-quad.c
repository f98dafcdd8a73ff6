/*
 * Transcendental functions in 113-bit arithmetic (libquadmath), rounded to the nearest 80-bit number: an authority
 * that knows nothing of any x87, with the full pi. 64-bit program:
 *   gcc -O1 generate-quad.c -lquadmath -o quad && ./quad | gzip -9n > x87-quad.bin.gz
 * Records of 32 bytes: u16 function (order of NAMES), x, y, result (10 bytes each).
 */
#include <quadmath.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t s = 0x2545f491;
static uint32_t next(void) { s ^= s << 13; s ^= s >> 17; s ^= s << 5; return s; }
/* A number whose leading bit is between 2^low and 2^high. */
static long double pick(int low, int high) {
  uint32_t r = next(), hi = next() | 0x80000000, lo = next();
  if ((r & 7) == 0) lo = 0;
  if ((r & 15) == 1) lo = 0, hi &= 0xfff00000;
  uint16_t se = (uint16_t)(0x3fff + low + (int)((r >> 8) % (uint32_t)(high - low + 1))) | (r >> 31) << 15;
  long double v;
  memset(&v, 0, sizeof v);
  memcpy(&v, &lo, 4); memcpy((char *)&v + 4, &hi, 4); memcpy((char *)&v + 8, &se, 2);
  return v;
}
static __float128 value(int f, __float128 x, __float128 y) {
  switch (f) {
    case 0: return expm1q(x * M_LN2q);
    case 1: return y * log2q(x);
    case 2: return y * log1pq(x) / M_LN2q;
    case 3: return atan2q(y, x);
    case 4: return sinq(x);
    case 5: return cosq(x);
    default: return tanq(x);
  }
}
int main(void) {
  for (int f = 0; f < 7; f++) {
    for (int n = 0; n < 300; n++) {
      long double x, y = pick(-3, 3);
      switch (f) {
        case 0: x = n & 1 ? pick(-3, -1) : pick(-90, -1); break;
        case 1: x = n & 1 ? pick(-2, 1) : pick(-16000, 16000); if (x < 0) x = -x; break;
        case 2: x = n & 1 ? pick(-5, -3) : pick(-100, -3); break;
        case 3: x = n & 1 ? pick(-3, 3) : pick(-100, 100); break;
        default: x = n % 3 == 0 ? pick(-2, 2) : n % 3 == 1 ? pick(2, 62) : pick(-60, 0);
      }
      long double r = (long double)value(f, x, y);
      uint16_t number = f;
      fwrite(&number, 1, 2, stdout);
      fwrite(&x, 1, 10, stdout); fwrite(&y, 1, 10, stdout); fwrite(&r, 1, 10, stdout);
    }
  }
  return 0;
}
