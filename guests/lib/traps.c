/*
 * traps.c: the virtual interrupt descriptor table.
 *
 * Xen keeps 256 entries per vcpu: code selector, address, who may reach it by `int n`, and whether events are masked
 * on the way in. We mask them for page faults, so that no upcall can overwrite vcpu_info.cr2 before we read it.
 */
#include "trap.h"
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "smp.h"

extern const u32 trap_stubs[][2];

static trap_handler handlers[256];

static const char *const names[20] = {
	"divide error", "debug", "nmi", "breakpoint", "overflow", "bound", "invalid opcode", "no fpu", "double fault",
	"coprocessor overrun", "invalid tss", "segment not present", "stack fault", "general protection",
	"page fault", "reserved", "x87 error", "alignment", "machine check", "simd error",
};

static struct trap_info table[32]; /* address 0 ends it */

void traps_start(void) {
	u32 n = 0;
	for (; trap_stubs[n][1]; n++) {
		u32 vector = trap_stubs[n][0];
		u32 dpl = vector == 3 || vector == 4 || vector == 128 ? 3 : 0;
		u32 mask = vector == 1 || vector == 14 ? TRAP_MASK_EVENTS : 0;
		table[n] = (struct trap_info){ vector, dpl | mask, FLAT_KERNEL_CS, trap_stubs[n][1] };
	}
	must(HYPERVISOR_set_trap_table(table), "set_trap_table");
	must(HYPERVISOR_set_callbacks(FLAT_KERNEL_CS, event_entry, FLAT_KERNEL_CS, failsafe_entry), "set_callbacks");
}

const struct trap_info *trap_table(void) { return table; }

trap_handler trap_set_handler(u32 vector, trap_handler handler) {
	trap_handler before = handlers[vector];
	handlers[vector] = handler;
	return before;
}

/* ---- probes: one load or store whose fault is caught. probe_resume is where a faulting probe goes on. */
u32 probe_fault;
static u32 probe_resume;

int try_read32(u32 va, u32 *value) {
	int ok;
	u32 result = 0;
	__asm__ volatile("movl $1f, %[resume]\n\t"
			 "movl $1, %[ok]\n\t"
			 "movl (%[va]), %[result]\n\t"
			 "jmp 2f\n"
			 "1: movl $0, %[ok]\n"
			 "2: movl $0, %[resume]"
			 : [ok] "=&r"(ok), [result] "+&r"(result), [resume] "+m"(probe_resume)
			 : [va] "r"(va)
			 : "memory");
	*value = result;
	return ok;
}

int try_write32(u32 va, u32 value) {
	int ok;
	__asm__ volatile("movl $1f, %[resume]\n\t"
			 "movl $1, %[ok]\n\t"
			 "movl %[value], (%[va])\n\t"
			 "jmp 2f\n"
			 "1: movl $0, %[ok]\n"
			 "2: movl $0, %[resume]"
			 : [ok] "=&r"(ok), [resume] "+m"(probe_resume)
			 : [va] "r"(va), [value] "r"(value)
			 : "memory");
	return ok;
}

/* Called by entry.S. */
void trap(struct regs *regs) {
	if (probe_resume && !from_user(regs)) {
		probe_fault = regs->vector << 16 | (regs->error & 0xffff);
		regs->eip = probe_resume;
		probe_resume = 0;
		return;
	}
	if (handlers[regs->vector])
		handlers[regs->vector](regs);
	else
		trap_report(regs);
}

/* Called by entry.S: a selector could not be loaded on the way back to us. */
void failsafe(struct regs *regs) {
	printf("failsafe callback at %08x\n", regs->eip);
	trap_report(regs);
}

void trap_report(struct regs *regs) {
	printf("\ntrap %d (%s), error code %x, in ring %d\n", regs->vector,
	       regs->vector < ARRAY_LENGTH(names) ? names[regs->vector] : "?", regs->error, regs->cs & 3);
	printf("eip %08x eflags %08x cs %04x", regs->eip, regs->eflags, regs->cs & 0xffff);
	if (regs->vector == 14)
		printf(" cr2 %08x", shared_info()->vcpu_info[this_vcpu()].cr2);
	printf("\neax %08x ebx %08x ecx %08x edx %08x\nesi %08x edi %08x ebp %08x esp %08x\n", regs->eax, regs->ebx,
	       regs->ecx, regs->edx, regs->esi, regs->edi, regs->ebp,
	       from_user(regs) ? regs->esp : (u32)&regs->esp);
	shutdown(SHUTDOWN_crash);
}
