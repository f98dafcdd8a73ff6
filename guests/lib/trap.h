/* trap.h: what an interrupted program looks like, and who handles its trap. */
#ifndef LIB_TRAP_H
#define LIB_TRAP_H
#include "types.h"

/* Built by entry.S on the kernel stack. esp and ss are there only when the trap came from ring 3. */
struct regs {
	u32 gs, fs, es, ds;
	u32 edi, esi, ebp, esp_of_pusha, ebx, edx, ecx, eax;
	u32 vector;
	u32 error;
	u32 eip;
	u32 cs; /* bits 16-23: the event mask before the trap */
	u32 eflags;
	u32 esp, ss;
};
static inline int from_user(const struct regs *regs) { return (regs->cs & 3) == 3; }

typedef void (*trap_handler)(struct regs *);

/* Installs the trap table and the event callbacks. */
void traps_start(void);
struct trap_info;
/* What was installed, for further vcpus; address 0 ends it. */
const struct trap_info *trap_table(void);
extern void event_entry(void), failsafe_entry(void);
/* Takes over one vector (0-19, 128); the handler before it is returned. NULL: a report, then a crash. */
trap_handler trap_set_handler(u32 vector, trap_handler handler);
/* Prints registers and what happened, and shuts the domain down as crashed. */
void trap_report(struct regs *regs) __attribute__((noreturn));
/* A memory access that may fault: 1 and *value, or 0 if it faulted. */
int try_read32(u32 va, u32 *value);
int try_write32(u32 va, u32 value);
/* As try_*: the fault that a probe met: vector << 16 | error code. */
extern u32 probe_fault;

#endif
