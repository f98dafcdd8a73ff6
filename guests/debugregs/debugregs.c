/*
 * debugregs.c: hardware breakpoints and watchpoints, set through the hypervisor, that really fire.
 *
 * Watches a word for writes and for reads, stops at an instruction, steps through a loop with the trap flag, and asks
 * for what no guest may have: a breakpoint in the hypervisor, general detect.
 */
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "trap.h"

#define HYPERCALL_set_debugreg 8
#define HYPERCALL_get_debugreg 9
static long set_debugreg(u32 reg, u32 value) { return hypercall2(HYPERCALL_set_debugreg, reg, value); }
static u32 get_debugreg(u32 reg) { return hypercall1(HYPERCALL_get_debugreg, reg); }

/* DR7: enable breakpoint n, its kind and its length. */
#define ENABLE(n) (2u << (n) * 2)
#define KIND(n, k) ((u32)(k) << (16 + (n) * 4))
#define EXECUTE 0u
#define WRITE4 (1u | 3u << 2)
#define ACCESS4 (3u | 3u << 2)

static volatile u32 watched, steps, hits, hit_eip, hit_dr6;
static u32 wrong;

static void debug_trap(struct regs *regs) {
	hits++;
	hit_eip = regs->eip;
	hit_dr6 = get_debugreg(6);
	set_debugreg(6, 0);
	if (hit_dr6 & 0x4000)
		steps++;
	regs->eflags |= 0x10000; /* RF: go on over an execution breakpoint */
}

static void check(int right, const char *what) {
	printf("%s  %s\n", right ? "ok   " : "WRONG", what);
	wrong += !right;
}

static void __attribute__((noinline)) landmark(void) { __asm__ volatile("nop" ::: "memory"); }

void guest_main(void) {
	trap_set_handler(1, debug_trap);

	must(set_debugreg(0, (u32)&watched), "DR0");
	must(set_debugreg(7, ENABLE(0) | KIND(0, WRITE4)), "DR7");
	watched = 1;
	check(hits == 1 && (hit_dr6 & 15) == 1, "a store to the watched word: one #DB, DR6 names breakpoint 0");
	u32 value = watched;
	check(hits == 1 && value == 1, "a load of it: none");

	must(set_debugreg(1, (u32)&watched), "DR1");
	must(set_debugreg(7, ENABLE(1) | KIND(1, ACCESS4)), "DR7");
	hits = 0;
	value = watched;
	check(hits == 1 && (hit_dr6 & 15) == 2, "watched for access, the load traps too, as breakpoint 1");

	must(set_debugreg(2, (u32)landmark), "DR2");
	must(set_debugreg(7, ENABLE(2) | KIND(2, EXECUTE)), "DR7");
	hits = 0;
	landmark();
	check(hits == 1 && hit_eip == (u32)landmark && (hit_dr6 & 15) == 4, "an instruction: the trap comes before it runs");
	landmark();
	check(hits == 2, "and again at the next call");
	must(set_debugreg(7, 0), "DR7");
	landmark();
	watched = 2;
	check(hits == 2, "switched off, nothing traps");

	/* The trap flag: each of the eight instructions between setting and clearing it traps once behind itself. */
	steps = 0;
	__asm__ volatile("pushf\n\torl $0x100, (%%esp)\n\tpopf\n\t"
			 "nop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\t"
			 "pushf\n\tandl $~0x100, (%%esp)\n\tpopf"
			 ::: "memory", "cc");
	printf("single steps: %d\n", steps);
	check(steps == 9, "the trap flag: one #DB behind each instruction");

	check(set_debugreg(0, HYPERVISOR_VIRT_START) == -EPERM, "a breakpoint in the hypervisor is refused");
	check(set_debugreg(7, 0x2000) == -EPERM, "general detect is refused");
	printf("debugregs: %s\n", wrong ? "something is WRONG" : "all as expected");
}
