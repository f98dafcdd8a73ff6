/*
 * proc.c: making, switching and ending processes.
 *
 * A switch to a process is three hypercalls' worth of work: NEW_BASEPTR for its tables, stack_switch so that its next
 * entry from ring 3 lands on its own kernel stack, and swtch, which is ours alone.
 */
#include "proc.h"
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "time.h"

struct proc processes[PROCESSES];
struct proc *current;
static struct context *scheduler_context;
static u32 last_pid, kernel_root;

void swtch(struct context **old, struct context *new);
extern void return_from_trap(void);

/* Where a new process starts in the kernel: its context's eip. The stack holds its regs. */
static void first_run(void) __attribute__((naked));
static void first_run(void) {
	__asm__ volatile("jmp return_from_trap");
}

static struct proc *new_process(const struct program *program) {
	for (u32 i = 0; i < PROCESSES; i++) {
		struct proc *p = &processes[i];
		if (p->state != UNUSED)
			continue;
		*p = (struct proc){ .state = READY, .pid = ++last_pid, .parent = current, .program = program };
		p->stack = page_alloc();
		u8 *top = p->stack + PAGE_SIZE;
		top -= sizeof(struct regs);
		p->regs = (struct regs *)top;
		top -= sizeof(struct context);
		p->context = (struct context *)top;
		p->context->eip = (u32)first_run;
		return p;
	}
	return NULL;
}

static void reset_regs(struct regs *regs) {
	*regs = (struct regs){ .ds = FLAT_USER_DS, .es = FLAT_USER_DS, .eip = USER_BASE, .cs = FLAT_USER_CS,
			       .eflags = 0x202, .esp = STACK_TOP - 16, .ss = FLAT_USER_DS };
}

void proc_first(const struct program *program) {
	kernel_root = root_mfn();
	struct proc *p = new_process(program);
	p->root = space_new();
	reset_regs(p->regs);
}

int proc_fork(void) {
	struct proc *child = new_process(current->program);
	if (!child)
		return -1;
	child->root = vm_fork();
	*child->regs = *current->regs;
	child->regs->eax = 0;
	return child->pid;
}

int proc_exec(const char *name) {
	const struct program *program = find_program(name);
	u32 old = current->root;
	if (!program)
		return -1;
	current->program = program;
	current->root = space_new();
	space_switch(current->root);
	vm_free(old);
	reset_regs(current->regs);
	return 0;
}

static void sched(void) { swtch(&current->context, scheduler_context); }

void proc_exit(u32 code) {
	current->exit_code = code;
	current->state = ZOMBIE;
	for (u32 i = 0; i < PROCESSES; i++)
		if (processes[i].parent == current)
			processes[i].parent = &processes[0];
	if (current->parent)
		proc_wake(current->parent);
	sched();
	__builtin_unreachable();
}

int proc_wait(u32 *code) {
	for (;;) {
		int children = 0;
		for (u32 i = 0; i < PROCESSES; i++) {
			struct proc *p = &processes[i];
			if (p->state == UNUSED || p->parent != current)
				continue;
			children = 1;
			if (p->state == ZOMBIE) {
				int pid = p->pid;
				*code = p->exit_code;
				vm_free(p->root);
				page_free(p->stack);
				p->state = UNUSED;
				return pid;
			}
		}
		if (!children)
			return -1;
		proc_sleep_on(current);
	}
}

void proc_sleep_on(const void *what) {
	current->waits_for = what;
	current->state = SLEEPING;
	sched();
}

void proc_wake(const void *what) {
	for (u32 i = 0; i < PROCESSES; i++)
		if (processes[i].state == SLEEPING && processes[i].waits_for == what)
			processes[i].state = READY;
}

void proc_yield(void) {
	current->state = READY;
	sched();
}

/* Wakes sleepers whose time has come; the earliest that is left, or 0. */
static u64 wake_sleepers(void) {
	u64 now = system_time(), next = 0;
	for (u32 i = 0; i < PROCESSES; i++) {
		struct proc *p = &processes[i];
		if (p->state != SLEEPING || !p->wake_at)
			continue;
		if (p->wake_at <= now) {
			p->wake_at = 0;
			p->state = READY;
		} else if (!next || p->wake_at < next) {
			next = p->wake_at;
		}
	}
	return next;
}

static void run(struct proc *p) {
	current = p;
	p->state = RUNNING;
	space_switch(p->root);
	must(HYPERVISOR_stack_switch(FLAT_KERNEL_DS, (u32)p->stack + PAGE_SIZE), "stack_switch");
	/* The time slice: without it a process that never enters the kernel would run for ever. */
	must(HYPERVISOR_set_timer_op(system_time() + MILLISECONDS(10)), "set_timer_op");
	swtch(&scheduler_context, p->context);
	space_switch(kernel_root);
	current = NULL;
}

/* Runs with events masked; they are taken only while it blocks, or while a process is in ring 3. */
void scheduler(void) {
	timer_port();
	for (;;) {
		int alive = 0, ran = 0;
		events_disable();
		u64 next = wake_sleepers();
		for (u32 i = 0; i < PROCESSES; i++) {
			alive |= processes[i].state != UNUSED && processes[i].state != ZOMBIE;
			if (processes[i].state == READY) {
				run(&processes[i]);
				ran = 1;
				events_disable();
			}
		}
		if (!alive)
			return;
		if (!ran) {
			must(HYPERVISOR_set_timer_op(next), "set_timer_op");
			sched_block();
		}
	}
}
