/*
 * Runs single instructions on this machine's processor and writes down what they did.
 *
 *   gcc -m32 -O1 -static -no-pie -fno-stack-protector -o harness harness.c
 *   harness IMAGE CASES OUTCOMES SHIFT
 *
 * IMAGE: the initial contents of the data pages and of the stack page. CASES and OUTCOMES: arrays of the structs
 * below, as make.ts writes and reads them. Every case is entered by returning from a signal handler with the case's
 * registers in the frame, and left by the next signal: the trap of TF=1 behind the instruction, the INT3 behind a
 * REP string or x87 case, or the fault that the instruction raises. The x87 state goes in by FRSTOR in front of the
 * instruction and out by FNSAVE behind it.
 *
 * The layout of memory and of the LDT is that of state.ts. This program's own memory is not part of it: SHIFT (MiB)
 * and the linker move it elsewhere for a second run, and a case that sees the difference is not used.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE 0x14680000u
#define CODE_SIZE 0x10000u
#define DATA 0x20000000u
#define DATA_SIZE 0x3000u /* two pages for reading and writing, one for reading */
#define STACK 0x30000000u
#define STACK_SIZE 0x1000u
#define STACK_LIMIT 0x40000u /* of this program */
#define SLOT 32u /* bytes */

enum { STEP, TO_INT3, X87 };

struct poke {
  uint32_t address;
  uint8_t length;
  uint8_t bytes[11];
};

struct case_in {
  uint32_t gpr[8]; /* eax ecx edx ebx esp ebp esi edi */
  uint32_t eip, eflags;
  uint16_t segment[6]; /* es cs ss ds fs gs */
  uint8_t mode, code_length, poke_count, reserved;
  uint32_t slot; /* address of the code */
  uint8_t code[28];
  struct poke poke[2];
  uint8_t x87[108];
};

#define DIFF_MAX 160
struct case_out {
  uint32_t gpr[8];
  uint32_t eip, eflags;
  uint16_t segment[6];
  uint32_t vector, error, cr2;
  uint32_t diff_count;
  struct {
    uint32_t address;
    uint32_t value;
  } diff[DIFF_MAX]; /* bytes that changed */
  uint8_t x87[108];
};

static struct case_in *cases;
static struct case_out *outcomes;
static uint32_t case_count, current;
static const char *outcome_file;
static unsigned host_gs;
static uint8_t before_data[DATA_SIZE], before_stack[STACK_SIZE];
static uint8_t image[DATA_SIZE + STACK_SIZE];
static uint8_t x87_in[108] __attribute__((aligned(16))), x87_out[108] __attribute__((aligned(16)));

static void set_read_only(int on) {
  mprotect((void *)(DATA + 0x2000), 0x1000, on ? PROT_READ : PROT_READ | PROT_WRITE);
}

static void poke(const struct poke *p) {
  for (int i = 0; i < p->length; i++) {
    uint32_t at = p->address + i;
    if (at >= DATA && at < DATA + 0x2000) before_data[at - DATA] = *(uint8_t *)at = p->bytes[i];
    if (at >= STACK && at < STACK + STACK_SIZE) before_stack[at - STACK] = *(uint8_t *)at = p->bytes[i];
  }
}

static void prepare(const struct case_in *c, greg_t *g) {
  for (int i = 0; i < c->poke_count; i++) poke(&c->poke[i]);
  uint8_t *code = (uint8_t *)c->slot;
  memset(code, 0x90, SLOT);
  if (c->mode == X87) {
    *code++ = 0xdd, *code++ = 0x25; /* frstor [x87_in] */
    *(uint32_t *)code = (uint32_t)x87_in, code += 4;
    memcpy(x87_in, c->x87, 108);
  }
  memcpy(code, c->code, c->code_length);
  code += c->code_length;
  if (c->mode == X87) {
    *code++ = 0xdd, *code++ = 0x35; /* fnsave [x87_out] */
    *(uint32_t *)code = (uint32_t)x87_out, code += 4;
  }
  if (c->mode != STEP) *code = 0xcc;
  g[REG_EAX] = c->gpr[0], g[REG_ECX] = c->gpr[1], g[REG_EDX] = c->gpr[2], g[REG_EBX] = c->gpr[3];
  g[REG_ESP] = c->gpr[4], g[REG_EBP] = c->gpr[5], g[REG_ESI] = c->gpr[6], g[REG_EDI] = c->gpr[7];
  g[REG_EIP] = c->eip, g[REG_EFL] = c->eflags | 0x200 | (c->mode == STEP ? 0x100 : 0);
  g[REG_ES] = c->segment[0], g[REG_CS] = c->segment[1], g[REG_SS] = c->segment[2];
  g[REG_DS] = c->segment[3], g[REG_FS] = c->segment[4], g[REG_GS] = c->segment[5];
}

static uint32_t diff(struct case_out *o, uint32_t n, uint32_t base, uint8_t *before, uint32_t size) {
  uint8_t *now = (uint8_t *)base;
  if (memcmp(now, before, size) == 0) return n;
  for (uint32_t i = 0; i < size; i++) {
    if (now[i] == before[i]) continue;
    if (n < DIFF_MAX) o->diff[n].address = base + i, o->diff[n].value = now[i];
    n++;
    now[i] = before[i];
  }
  return n;
}

static void unpoke(const struct poke *p) {
  for (int i = 0; i < p->length; i++) {
    uint32_t at = p->address + i;
    if (at >= DATA && at < DATA + 0x2000) before_data[at - DATA] = *(uint8_t *)at = image[at - DATA];
    if (at >= STACK && at < STACK + STACK_SIZE) {
      before_stack[at - STACK] = *(uint8_t *)at = image[DATA_SIZE + at - STACK];
    }
  }
}

static void record(const struct case_in *c, struct case_out *o, greg_t *g, uint32_t cr2) {
  o->gpr[0] = g[REG_EAX], o->gpr[1] = g[REG_ECX], o->gpr[2] = g[REG_EDX], o->gpr[3] = g[REG_EBX];
  o->gpr[4] = g[REG_ESP], o->gpr[5] = g[REG_EBP], o->gpr[6] = g[REG_ESI], o->gpr[7] = g[REG_EDI];
  o->eip = g[REG_EIP], o->eflags = g[REG_EFL];
  o->segment[0] = g[REG_ES], o->segment[1] = g[REG_CS], o->segment[2] = g[REG_SS];
  o->segment[3] = g[REG_DS], o->segment[4] = g[REG_FS], o->segment[5] = g[REG_GS];
  o->vector = g[REG_TRAPNO], o->error = g[REG_ERR], o->cr2 = cr2;
  memcpy(o->x87, x87_out, 108);
  o->diff_count = diff(o, 0, DATA, before_data, 0x2000);
  o->diff_count = diff(o, o->diff_count, STACK, before_stack, STACK_SIZE);
  for (int i = 0; i < c->poke_count; i++) unpoke(&c->poke[i]);
}

static void finish(void) {
  int fd = open(outcome_file, O_CREAT | O_TRUNC | O_WRONLY, 0644);
  const char *at = (const char *)outcomes;
  size_t left = sizeof *outcomes * case_count;
  while (left > 0) {
    ssize_t wrote = write(fd, at, left);
    if (wrote <= 0) _exit(3);
    at += wrote, left -= wrote;
  }
  _exit(0);
}

static void on_signal(int number, siginfo_t *info, void *context) {
  (void)number, (void)info;
  ucontext_t *u = context;
  /* The kernel hands on AC, NT and ID as the case left them. */
  __asm__ volatile("pushf; andl $~0x244000, (%%esp); popf; mov %0, %%gs" ::"r"(host_gs) : "memory", "cc");
  static int started;
  if (started) {
    record(&cases[current], &outcomes[current], u->uc_mcontext.gregs, u->uc_mcontext.cr2);
    if (++current == case_count) finish();
  }
  started = 1;
  /* No saved x87 state: the kernel then starts the case with a clean one, without pending exceptions. */
  u->uc_mcontext.fpregs = NULL;
  prepare(&cases[current], u->uc_mcontext.gregs);
}

static void *map(uint32_t at, uint32_t size, int protection) {
  void *got = mmap((void *)at, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (got != (void *)at) exit(2);
  return got;
}

static void segment(unsigned entry, uint32_t base, uint32_t limit, int big, int contents, int read_only, int pages,
                    int not_present) {
  struct user_desc d = {.entry_number = entry, .base_addr = base, .limit = limit, .seg_32bit = big,
                        .contents = contents, .read_exec_only = read_only, .limit_in_pages = pages,
                        .seg_not_present = not_present, .useable = 0};
  if (syscall(SYS_modify_ldt, 0x11, &d, sizeof d) != 0) {
    fprintf(stderr, "modify_ldt %u refused\n", entry);
    exit(2);
  }
}

static void make_ldt(void) {
  segment(1, CODE, 0xffff, 0, 2, 0, 0, 0);  /* 16-bit code */
  segment(2, DATA, 0x2fff, 1, 0, 0, 0, 0);  /* data */
  segment(3, STACK, 0x0fff, 0, 0, 0, 0, 0); /* 16-bit stack */
  segment(4, DATA, 0x07ff, 0, 1, 0, 0, 0);  /* expand-down, to ffff */
  segment(5, DATA, 0x07ff, 1, 1, 0, 0, 0);  /* expand-down, to ffffffff */
  segment(6, DATA, 0x0fff, 1, 0, 1, 0, 0);  /* read-only data */
  segment(7, CODE, 0xffff, 1, 2, 1, 0, 0);  /* execute-only code */
  segment(8, CODE, 0xffff, 1, 2, 0, 0, 0);  /* readable code */
  segment(9, DATA, 2, 1, 0, 0, 1, 0);       /* data, limit in pages */
  segment(10, DATA, 0x0fff, 1, 0, 0, 0, 1); /* data, not present */
  segment(11, CODE, 0xffff, 1, 2, 0, 0, 1); /* code, not present */
  segment(12, CODE, 0xffff, 1, 3, 0, 0, 1); /* conforming code, not present */
  segment(13, DATA, 0, 1, 0, 0, 0, 0);      /* one byte of data */
  segment(14, STACK, 0x0fff, 1, 0, 0, 0, 0); /* 32-bit stack */
  segment(15, DATA, 0x0fff, 0, 1, 1, 0, 0); /* read-only, expand-down */
}

static void *load(const char *name, size_t *size) {
  struct stat s;
  int fd = open(name, O_RDONLY);
  if (fd < 0 || fstat(fd, &s) != 0) exit(2);
  *size = s.st_size;
  void *at = mmap(0, s.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  close(fd);
  return at;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  size_t shift = (size_t)atoi(argv[4]) << 20;
  /* A small stack, since the kernel maps all that it may grow into; at a fixed place in the first run only. */
  struct rlimit stack;
  getrlimit(RLIMIT_STACK, &stack);
  if (stack.rlim_cur > STACK_LIMIT) {
    stack.rlim_cur = STACK_LIMIT;
    setrlimit(RLIMIT_STACK, &stack);
    if (shift == 0) personality(personality(0xffffffff) | ADDR_NO_RANDOMIZE);
    execv(argv[0], argv);
    return 2;
  }
  if (shift != 0) mmap(0, shift, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  map(CODE, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
  map(DATA, DATA_SIZE, PROT_READ | PROT_WRITE);
  map(STACK, STACK_SIZE, PROT_READ | PROT_WRITE);
  size_t size;
  void *given = load(argv[1], &size);
  if (size != sizeof image) return 2;
  memcpy(image, given, sizeof image);
  memcpy((void *)DATA, image, DATA_SIZE), memcpy(before_data, image, DATA_SIZE);
  memcpy((void *)STACK, image + DATA_SIZE, STACK_SIZE), memcpy(before_stack, image + DATA_SIZE, STACK_SIZE);
  set_read_only(1);
  memset((void *)CODE, 0x90, CODE_SIZE);
  cases = load(argv[2], &size);
  case_count = size / sizeof *cases;
  outcomes = mmap(0, sizeof *outcomes * case_count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  outcome_file = argv[3];
  if (case_count == 0 || outcomes == MAP_FAILED) return 2;
  make_ldt();
  __asm__("mov %%gs, %0" : "=r"(host_gs));
  static uint8_t alternate[65536];
  stack_t ss = {.ss_sp = alternate, .ss_size = sizeof alternate};
  sigaltstack(&ss, 0);
  struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  int signals[] = {SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS};
  for (int i = 0; i < 5; i++) sigaction(signals[i], &sa, 0);
  __asm__ volatile("ud2");
  return 4;
}
