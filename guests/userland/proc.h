/*
 * proc.h: processes.
 *
 * Each has an address space of its own below VIRT_BASE and a kernel stack of one page, at whose top lies the frame of
 * its last entry from ring 3. The kernel runs with events masked and gives the processor up only in sched().
 *
 *   0804_8000  program (text and data, loaded on demand), then zeroed memory up to 0814_8000
 *   bfff_0000  stack, grows down on demand to bffe_0000
 *   c000_0000  kernel
 */
#ifndef USERLAND_PROC_H
#define USERLAND_PROC_H
#include "trap.h"
#include "types.h"

#define USER_BASE 0x08048000u
#define USER_END 0x08148000u
#define STACK_TOP 0xBFFF0000u
#define STACK_BOTTOM 0xBFFE0000u
#define PROCESSES 16

enum proc_state { UNUSED, READY, RUNNING, SLEEPING, ZOMBIE };

/* What swtch keeps: the callee-saved registers, on the kernel stack. */
struct context { u32 edi, esi, ebx, ebp, eip; };

struct program {
	const char *name;
	const u8 *start, *end;
};

struct proc {
	enum proc_state state;
	u32 pid;
	struct proc *parent;
	u32 root;                      /* mfn of its root table */
	u8 *stack;                     /* kernel stack page */
	struct context *context;       /* where it was left, when it is not running */
	struct regs *regs;             /* its ring-3 registers, on the kernel stack */
	const struct program *program; /* what its text pages are loaded from */
	const void *waits_for;         /* SLEEPING: what will wake it */
	u64 wake_at;                   /* SLEEPING in sleep: system time */
	u32 exit_code;
	u32 faults;                    /* pages brought in or copied */
};

extern struct proc processes[PROCESSES];
extern struct proc *current;

/* proc.c */
void proc_first(const struct program *program);
int proc_fork(void);
int proc_exec(const char *name);
void proc_exit(u32 code) __attribute__((noreturn));
/* Waits for a child to end; its pid, or -1 without children. */
int proc_wait(u32 *code);
void proc_sleep_on(const void *what);
void proc_wake(const void *what);
/* Lets others run. */
void proc_yield(void);
/* Runs processes for ever; returns when none is left. */
void scheduler(void);

/* vm.c */
void vm_start(void);
/* Brings in or copies the page at va. 0, or -1 if the address is not the process's to use so. */
int vm_fault(u32 va, u32 error);
/* Shares every page of the current process with a new address space, copy on write. Its root. */
u32 vm_fork(void);
void vm_free(u32 root);
/* Frames that more than one process maps. */
u32 vm_shared_frames(void);
extern u32 vm_copies, vm_loads;

/* syscall.c */
void syscall(struct regs *regs);
const struct program *find_program(const char *name);
extern const struct program programs[];
/* Called from the console's event. */
void input_arrived(void);

#endif
