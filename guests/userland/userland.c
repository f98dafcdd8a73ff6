/*
 * userland.c: a small kernel with processes in ring 3.
 *
 * Page faults bring in pages or copy them, `int $0x80` is a system call, the timer takes the processor away, and the
 * console's event wakes who waits for a key. The first process is a shell; when it ends, the domain powers off.
 */
#include "events.h"
#include "guest.h"
#include "mm.h"
#include "proc.h"

const struct program *find_program(const char *name) {
	for (const struct program *p = programs; p->name; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

static void page_fault(struct regs *regs) {
	u32 va = shared_info()->vcpu_info[0].cr2;
	if (!current)
		trap_report(regs);
	if (from_user(regs))
		current->regs = regs;
	if (vm_fault(va, regs->error) == 0)
		return;
	if (!from_user(regs) && va >= VIRT_BASE)
		trap_report(regs);
	printf("pid %d: no access to %08x (error code %x) at %08x\n", current->pid, va, regs->error & 0xffff, regs->eip);
	proc_exit(139);
}

/* Any other exception of ring 3 ends the process, not the kernel. */
static void bad_instruction(struct regs *regs) {
	if (!from_user(regs))
		trap_report(regs);
	events_disable();
	printf("pid %d: exception %d at %08x\n", current->pid, regs->vector, regs->eip);
	proc_exit(132);
}

/* The timer or a key interrupted somebody. Ring 3 gives way here; the kernel never does. */
static void after_event(struct regs *regs) {
	input_arrived();
	if (current && from_user(regs)) {
		current->regs = regs;
		proc_yield();
	}
}

void guest_main(void) {
	u32 count = 0;
	for (const struct program *p = programs; p->name; p++)
		count++;
	printf("userland: %d pages, %d programs\n", start->nr_pages, count);
	vm_start();
	trap_set_handler(128, syscall);
	trap_set_handler(14, page_fault);
	for (u32 vector = 0; vector < 20; vector++)
		if (vector != 14)
			trap_set_handler(vector, bad_instruction);
	after_upcall = after_event;
	proc_first(find_program("sh"));
	scheduler();
	events_enable();
	printf("userland: the last process has ended\n");
}
