/*
 * Runs x87 instructions on the processor at hand and writes what they gave: the authority for x87 arithmetic.
 * Build and run:  gcc -m32 -O1 generate.c -o generate && ./generate | gzip -9n > x87-vectors.bin.gz
 *
 * Output: one text line per instruction ("name memory result cases"), an empty line, then per case the status
 * word, the tag word and the result bytes. Operands are not stored: cases.ts makes the same ones from the same
 * pseudo-random sequence. Keep the two in step.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct state { uint32_t cw, sw, tw, fip, fcs, fdp, fds; uint8_t st[8][10]; } __attribute__((packed));
static struct state in, out;
static uint8_t mem[16];
static uint32_t eflags;

static uint32_t x;
static uint32_t next(void) { x ^= x << 13; x ^= x >> 17; x ^= x << 5; return x; }

struct f80 { uint32_t lo, hi; uint16_t se; };
static const struct f80 EDGES[] = {
  {0, 0, 0}, {1, 0, 0}, {0xffffffff, 0x7fffffff, 0}, {0, 0x80000000, 0}, {0xffffffff, 0xffffffff, 0},
  {0, 0x40000000, 0}, {0, 0x80000000, 1}, {1, 0x80000000, 1}, {0xffffffff, 0xffffffff, 1},
  {0, 0x80000000, 0x3fff}, {1, 0x80000000, 0x3fff}, {0xffffffff, 0xffffffff, 0x3ffe}, {0, 0x80000000, 0x4000},
  {0, 0x80000000, 0x3ffe}, {0, 0xc0000000, 0x3fff}, {0, 0xc0000000, 0x4000}, {0, 0xa0000000, 0x4000},
  {0, 0x80000000, 0x403e}, {0xffffffff, 0xffffffff, 0x403d}, {0, 0x80000000, 0x403d}, {0, 0x80000000, 0x401e},
  {0, 0x80000000, 0x7ffe}, {0xffffffff, 0xffffffff, 0x7ffe}, {0, 0x80000000, 0x7fff}, {1, 0x80000000, 0x7fff},
  {0, 0xc0000000, 0x7fff}, {1, 0xc0000000, 0x7fff}, {0xffffffff, 0xbfffffff, 0x7fff},
  {0xffffffff, 0xffffffff, 0x7fff}, {0, 0, 0x7fff}, {1, 0, 0x7fff}, {0, 0x40000000, 0x7fff},
  {0, 0x40000000, 0x3fff}, {0, 0, 0x3fff}, {1, 0, 0x3fff}, {0, 0x7fffffff, 1}, {0, 0x40000000, 0x7ffe},
  {0x4a53a800, 0xde0b6b3a, 0x403a}, {0x2168c235, 0xc90fdaa2, 0x3fff}, {0x2168c235, 0xc90fdaa2, 0x4000},
};
#define COUNT(a) (sizeof(a) / sizeof *(a))
static const uint16_t CENTERS[] = {
  0x3fff, 0x3fff, 0x3fff, 0x3fff, 0x3fff - 126, 0x3fff - 149, 0x3fff + 127, 0x3fff - 1022, 0x3fff - 1074,
  0x3fff + 1023, 0x3fff + 15, 0x3fff + 31, 0x3fff + 63, 1, 40, 0x7ffe, 0x7ffe - 40, 0x2000, 0x5fff, 0x3fff - 32,
};

static struct f80 pick(void) {
  uint32_t r = next(), k = r & 15;
  struct f80 v;
  if (k < 5) {
    v = EDGES[(r >> 8) % COUNT(EDGES)];
    v.se |= (r >> 4 & 1) << 15;
    return v;
  }
  v.hi = next() | 0x80000000;
  v.lo = next();
  switch (r >> 5 & 7) {
    case 0: v.lo = 0; break;
    case 1: v.lo = 0; v.hi &= 0xffffff00; break;
    case 2: v.lo &= 0xfffff800; break;
    case 3: v.hi = 0xffffffff; v.lo = ~(v.lo & 15); break;
    case 4: v.hi = 0x80000000; v.lo &= 15; break;
  }
  int32_t width = k < 9 ? 2 : 66;
  int32_t e = (int32_t)CENTERS[(r >> 12) % COUNT(CENTERS)] + (int32_t)((r >> 17 & 0x3fff) % (2 * width + 1)) - width;
  if (k == 15) e = r >> 12 & 0x7fff;
  if (k == 14 && (r & 0x100)) v.hi &= 0x7fffffff;
  if (e < 0) e = 0;
  if (e > 0x7fff) e = 0x7fff;
  v.se = e | (r >> 31) << 15;
  return v;
}

static struct f80 pickNear(struct f80 a) {
  static const int8_t D[] = {0, 0, 0, 0, 1, -1, 2, -2, 63, -63, 64, -64, 65, -65, 66, 24};
  uint32_t r = next();
  if (r & 3) return pick();
  struct f80 v = a;
  int32_t e = (a.se & 0x7fff) + D[r >> 2 & 15];
  if (e < 0) e = 0;
  if (e > 0x7fff) e = 0x7fff;
  v.se = e | (r >> 31) << 15;
  switch (r >> 8 & 3) {
    case 1: v.lo ^= r >> 12 & 7; break;
    case 2: v.hi ^= r >> 12 & 0xff; break;
    case 3: v.lo = next(); break;
  }
  return v;
}

static void put(uint8_t *at, struct f80 v) {
  memcpy(at, &v.lo, 4); memcpy(at + 4, &v.hi, 4); memcpy(at + 8, &v.se, 2);
}

/* Memory operands by kind: s f32, d f64, x f80, w int16, l int32, q int64, b packed BCD, - none. */
static void pickMemory(char kind) {
  uint32_t r = next(), hi = next(), lo = next();
  memset(mem, 0x5a, sizeof mem);
  switch (kind) {
    case 's': {
      static const uint8_t E[] = {0, 0, 1, 2, 255, 255, 254, 253, 127, 127, 128, 126, 100, 150, 130, 120};
      if (r & 3) lo = (lo & 0x807fffff) | (uint32_t)E[r >> 2 & 15] << 23;
      if ((r >> 8 & 3) == 0) lo &= 0xffc00000;
      if ((r >> 8 & 31) == 1) lo &= 0xff800000;
      if ((r >> 8 & 31) == 2) lo |= 0x7fffff;
      memcpy(mem, &lo, 4);
      break;
    }
    case 'd': {
      static const uint16_t E[] = {0, 0, 1, 2, 2047, 2047, 2046, 2045, 1023, 1023, 1024, 1022, 900, 1100, 1030, 1000};
      if (r & 3) hi = (hi & 0x800fffff) | (uint32_t)E[r >> 2 & 15] << 20;
      if ((r >> 8 & 3) == 0) lo = 0, hi &= 0xfff80000;
      if ((r >> 8 & 31) == 1) lo = 0, hi &= 0xfff00000;
      if ((r >> 8 & 31) == 2) lo = ~0u, hi |= 0xfffff;
      memcpy(mem, &lo, 4); memcpy(mem + 4, &hi, 4);
      break;
    }
    case 'x': put(mem, pick()); break;
    case 'w': case 'l': case 'q': {
      uint32_t s = r >> 4 & 31;
      if (r & 1) { int32_t t = (int32_t)hi >> s; lo = t ^ (lo & (r & 2 ? 3 : 0)); hi = t >> 31; }
      if ((r & 0x3c) == 4) lo = 0, hi = 0x80000000;
      if ((r & 0x3c) == 8) lo = 0x80000000, hi = 0;
      if ((r & 0x3c) == 12) lo = 0x8000, hi = 0;
      if ((r & 0x3c) == 16) lo = 0, hi = 0;
      memcpy(mem, &lo, 4); memcpy(mem + 4, &hi, 4);
      break;
    }
    case 'b': {
      uint32_t digits = (r >> 4) % 20;
      for (uint32_t i = 0; i < 9; i++) {
        uint32_t t = next();
        uint8_t l = t % 10, h = (t >> 8) % 10;
        if (2 * i >= digits) l = 0;
        if (2 * i + 1 >= digits) h = 0;
        mem[i] = l | h << 4;
      }
      mem[9] = r & 1 ? 0x80 : 0;
      break;
    }
  }
}

#define OP(name, insn)                                                                                     \
  static void run_##name(void) {                                                                           \
    __asm__ volatile("frstor %1\n\t" insn "\n\tfnsave %0"                                                  \
                     : "=m"(out), "+m"(in), "+m"(mem)                                                      \
                     :: "memory", "cc", "eax");                                                            \
  }
#define OPF(name, insn)                                                                                    \
  static void run_##name(void) {                                                                           \
    __asm__ volatile("frstor %1\n\tpushl $0x8d7\n\tpopfl\n\t" insn "\n\tpushfl\n\tpopl %2\n\tfnsave %0"    \
                     : "=m"(out), "+m"(in), "=&r"(eflags)                                                  \
                     :: "memory", "cc");                                                                   \
  }
/* name, instruction, memory operand kind, result: s ST(0), d ST(0) and ST(1), f EFLAGS, 2 4 8 a memory bytes, 0 */
#define OPS                                                                                                \
  X(fadd, "fadd %%st(1), %%st", '-', 's', 4000) X(fmul, "fmul %%st(1), %%st", '-', 's', 4000)              \
  X(fsub, ".byte 0xd8, 0xe1", '-', 's', 3000) X(fsubr, ".byte 0xd8, 0xe9", '-', 's', 3000)                 \
  X(fdiv, ".byte 0xd8, 0xf1", '-', 's', 3000) X(fdivr, ".byte 0xd8, 0xf9", '-', 's', 3000)                 \
  X(faddp, ".byte 0xde, 0xc1", '-', 's', 1000) X(fmulp, ".byte 0xde, 0xc9", '-', 's', 1000)                \
  X(fsubrp, ".byte 0xde, 0xe1", '-', 's', 1000) X(fsubp, ".byte 0xde, 0xe9", '-', 's', 1000)               \
  X(fdivrp, ".byte 0xde, 0xf1", '-', 's', 1000) X(fdivp, ".byte 0xde, 0xf9", '-', 's', 1000)               \
  X(fsqrt, "fsqrt", '-', 's', 4000) X(frndint, "frndint", '-', 's', 4000)                                  \
  X(fprem, "fprem", '-', 's', 4000) X(fprem1, "fprem1", '-', 's', 4000)                                    \
  X(fscale, "fscale", '-', 's', 4000) X(fxtract, "fxtract", '-', 'd', 1500)                                \
  X(fcom, "fcom %%st(1)", '-', '0', 2000) X(fucom, "fucom %%st(1)", '-', '0', 2000)                        \
  X(fcompp, "fcompp", '-', '0', 1000) X(fucompp, "fucompp", '-', '0', 1000)                                \
  X(ftst, "ftst", '-', '0', 1000) X(fxam, "fxam", '-', '0', 1000)                                          \
  X(fchs, "fchs", '-', 's', 500) X(fabs, "fabs", '-', 's', 500)                                            \
  X(fld_st1, "fld %%st(1)", '-', 's', 500) X(fxch, "fxch", '-', 'd', 500)                                  \
  X(fstp_st1, "fstp %%st(1)", '-', 's', 500)                                                               \
  X(flds, "flds %2", 's', 's', 1500) X(fldl, "fldl %2", 'd', 's', 1500) X(fldt, "fldt %2", 'x', 's', 500)  \
  X(filds, "filds %2", 'w', 's', 700) X(fildl, "fildl %2", 'l', 's', 700) X(fildq, "fildll %2", 'q', 's', 1000) \
  X(fbld, "fbld %2", 'b', 's', 700)                                                                        \
  X(fsts, "fsts %2", '-', '4', 3000) X(fstl, "fstl %2", '-', '8', 3000)                                    \
  X(fstps, "fstps %2", '-', '4', 1500) X(fstpl, "fstpl %2", '-', '8', 1500) X(fstpt, "fstpt %2", '-', 'a', 500) \
  X(fists, "fists %2", '-', '2', 1500) X(fistl, "fistl %2", '-', '4', 1500) X(fistpq, "fistpll %2", '-', '8', 1500) \
  X(fbstp, "fbstp %2", '-', 'a', 1500)                                                                     \
  X(fadds, "fadds %2", 's', 's', 1500) X(faddl, "faddl %2", 'd', 's', 1500)                                \
  X(fiadds, "fiadds %2", 'w', 's', 700) X(fiaddl, "fiaddl %2", 'l', 's', 700)                              \
  X(fsubrs, "fsubrs %2", 's', 's', 700) X(fsubl, "fsubl %2", 'd', 's', 700)                                \
  X(fmuls, "fmuls %2", 's', 's', 700) X(fmull, "fmull %2", 'd', 's', 700)                                  \
  X(fdivl, "fdivl %2", 'd', 's', 1000) X(fdivrs, "fdivrs %2", 's', 's', 1000)                              \
  X(fidivl, "fidivl %2", 'l', 's', 700) X(fidivrs, "fidivrs %2", 'w', 's', 700)                            \
  X(fcoms, "fcoms %2", 's', '0', 1000) X(fcompl, "fcompl %2", 'd', '0', 1000) X(ficoml, "ficoml %2", 'l', '0', 700) \
  X(fld1, "fld1", '-', 's', 150) X(fldl2t, "fldl2t", '-', 's', 150) X(fldl2e, "fldl2e", '-', 's', 150)     \
  X(fldpi, "fldpi", '-', 's', 150) X(fldlg2, "fldlg2", '-', 's', 150) X(fldln2, "fldln2", '-', 's', 150)   \
  X(fldz, "fldz", '-', 's', 100) X(fincstp, "fincstp", '-', 's', 100) X(fdecstp, "fdecstp", '-', 's', 100) \
  X(ffree_st1, "ffree %%st(1)", '-', 's', 100)                                                             \
  X(f2xm1, "f2xm1", '-', 's', 1500) X(fyl2x, "fyl2x", '-', 's', 2000) X(fyl2xp1, "fyl2xp1", '-', 's', 1500) \
  X(fsin, "fsin", '-', 's', 1500) X(fcos, "fcos", '-', 's', 1500) X(fsincos, "fsincos", '-', 'd', 1000)    \
  X(fptan, "fptan", '-', 'd', 1500) X(fpatan, "fpatan", '-', 's', 2000)
#define OPSF X(fcomi, "fcomi %%st(1), %%st", '-', 'f', 1500) X(fucomi, "fucomi %%st(1), %%st", '-', 'f', 1500)
#define X(name, insn, memory, result, cases) OP(name, insn)
OPS
#undef X
#define X(name, insn, memory, result, cases) OPF(name, insn)
OPSF
#undef X
#define X(name, insn, memory, result, cases) {#name, run_##name, memory, result, cases},
static const struct { const char *name; void (*run)(void); char memory, result; int cases; } TABLE[] = {OPS OPSF};

int main(void) {
  static const uint8_t PC[] = {3, 3, 3, 3, 2, 2, 0, 0};
  for (uint32_t i = 0; i < COUNT(TABLE); i++)
    printf("%s %c %c %d\n", TABLE[i].name, TABLE[i].memory, TABLE[i].result, TABLE[i].cases);
  printf("\n");
  for (uint32_t i = 0; i < COUNT(TABLE); i++) {
    x = 0x9e3779b9 ^ (i + 1) * 0x85ebca6b;
    for (int n = 0; n < TABLE[i].cases; n++) {
      memset(&in, 0, sizeof in);
      uint32_t r = next();
      uint32_t masks = (r >> 5 & 3) == 0 ? r >> 7 & 0x3f : 0x3f;
      in.cw = 0xffff0040 | masks | PC[r >> 2 & 7] << 8 | (r & 3) << 10;
      r = next();
      uint32_t top = r >> 16 & 7, sticky = (r >> 20 & 3) == 0 ? r & masks & 0x3f : 0;
      in.sw = 0xffff0000 | (r & 0x4700) | top << 11 | sticky;
      uint32_t empty = 0xfc; /* by ST number */
      switch (r >> 24 & 31) {
        case 0: empty |= 1; break;
        case 1: empty |= 2; break;
        case 2: empty |= 3; break;
        case 3: empty &= 0x7f; break;
      }
      in.tw = 0xffff0000;
      for (int s = 0; s < 8; s++) if (empty >> s & 1) in.tw |= 3 << ((s + top) % 8 * 2);
      struct f80 a = pick(), b = pickNear(a);
      put(in.st[0], a);
      put(in.st[1], b);
      pickMemory(TABLE[i].memory);
      TABLE[i].run();
      fwrite(&out.sw, 1, 2, stdout);
      fwrite(&out.tw, 1, 2, stdout);
      switch (TABLE[i].result) {
        case 's': fwrite(out.st[0], 1, 10, stdout); break;
        case 'd': fwrite(out.st[0], 1, 20, stdout); break;
        case 'f': fwrite(&eflags, 1, 2, stdout); break;
        case '2': fwrite(mem, 1, 2, stdout); break;
        case '4': fwrite(mem, 1, 4, stdout); break;
        case '8': fwrite(mem, 1, 8, stdout); break;
        case 'a': fwrite(mem, 1, 10, stdout); break;
      }
    }
  }
  return 0;
}
