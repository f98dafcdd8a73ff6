/* process.c: processes with kernel stacks of their own, copy on write, and a lazily switched FPU. */
#include "linuxlike.h"

#define MOST 8
#define STACK 8192
struct process {
	u32 pid; /* 0: free */
	int runs;
	u32 stack_pointer;
	struct space *space;
	u32 tls;
	int fpu_live;
	u32 exit_code;
	u8 fpu[512] __attribute__((aligned(16)));
};
/* Process 0 is the boot thread. */
static struct process processes[MOST];
static u8 stacks[MOST][STACK] __attribute__((aligned(4096)));
static struct process *current = processes, *fpu_owner;
static u32 next_pid, switches, fpu_traps, cow_user, cow_kernel, demand, live;
void switch_stacks(u32 *save, u32 to);
void return_from_trap(void);
void set_tls(u32 base);
extern u8 program[], program_end[];

int in_process(void) { return current != processes; }
static u32 stack_top(struct process *p) { return (u32)stacks[p - processes] + STACK; }

/* One batch: the new stack, the new TLS segment, the FPU's trap, the new root. */
static void switch_to(struct process *next) {
	struct process *last = current;
	int mask = irq_save();
	switches++;
	if (fpu_owner == last && last->fpu_live) {
		__asm__ volatile("fxsave %0; fnclex" : "=m"(last->fpu));
		fpu_owner = NULL;
		batch(HYPERCALL_fpu_taskswitch, 1, 0, 0, 0);
	}
	batch_mmuext(MMUEXT_NEW_BASEPTR, va_mfn(next->space->root), 0);
	batch(HYPERCALL_stack_switch, KERNEL_DS, stack_top(next), 0, 0);
	__asm__ volatile("mov %0, %%gs" : : "r"(0));
	set_tls(next->tls);
	batch_flush();
	current = next;
	switch_stacks(&last->stack_pointer, next->stack_pointer);
	irq_restore(mask);
}

static void schedule(void) {
	for (u32 i = 1; i <= MOST; i++) {
		struct process *p = &processes[(current - processes + i) % MOST];
		if (p != current && p->runs) {
			switch_to(p);
			return;
		}
	}
}

/* A free process, whose first return is from a trap that `regs` describe. */
static struct process *process_new(struct space *space, const struct regs *regs) {
	struct process *p = processes + 1;
	while (p->pid)
		p++;
	struct regs *frame = (struct regs *)(stack_top(p) - sizeof *frame);
	u32 *stack = (u32 *)frame;
	memset(p, 0, sizeof *p);
	*frame = *regs;
	*--stack = (u32)return_from_trap;
	stack -= 4; /* EBP EBX ESI EDI of switch_stacks */
	memset(stack, 0, 16);
	p->pid = ++next_pid;
	p->stack_pointer = (u32)stack;
	p->space = space;
	p->runs = 1;
	live++;
	return p;
}

void process_no_fpu(void) {
	fpu_traps++;
	__asm__ volatile("clts"); /* the trap cleared it already; a kernel does it all the same */
	if (current->fpu_live)
		__asm__ volatile("fxrstor %0" : : "m"(current->fpu));
	else
		__asm__ volatile("fninit");
	current->fpu_live = 1;
	fpu_owner = current;
}

/* ---- faults */
static void break_copy(volatile pte_t *at, u32 va) {
	void *page = pte_va(*at & 0xffffffffffull);
	pte_t mine;
	if (page_users(page) == 1) {
		mine = *at | PTE_W | PTE_D;
		/* set_pte of the current space in lazy mode, with the flush in the call */
		batch(HYPERCALL_update_va_mapping, va, mine, mine >> 32, UVMF_INVLPG);
		batch_flush();
		return;
	}
	void *copy = get_page();
	memcpy(copy, page, PAGE_SIZE);
	mine = pte(va_mfn(copy), PTE_P | PTE_W | PTE_U | PTE_A | PTE_D);
	/* ptep_clear_flush: two plain stores of zero, low first, into the read-only table; then set_pte. */
	__asm__ volatile("movl $0, (%0); movl $0, 4(%0)" : : "r"(at) : "memory");
	must(mmuext_one(MMUEXT_INVLPG_LOCAL, va, 0), "invlpg");
	must(mmu_update_one(at, mine), "set_pte");
	put_page(page);
}

int process_fault(struct regs *regs, u32 address) {
	u32 va = address & PAGE_MASK;
	if (!in_process() || address >= KERNEL_BASE)
		return 0;
	volatile pte_t *at = space_entry(current->space, va, 0);
	if (at && (*at & PTE_P)) {
		if (!(regs->error & 2) || (*at & PTE_W))
			return 0;
		if ((regs->error & ~4u) != 3)
			panic("error code %x for a write to a read-only page", regs->error);
		if (from_user(regs))
			cow_user++;
		else
			cow_kernel++;
		break_copy(at, va);
		return 1;
	}
	if (va >= 0x0a000000 && va < 0x0a010000) {
		demand++;
		space_set(current->space, va, pte(va_mfn(get_page()), PTE_P | PTE_W | PTE_U | PTE_A | PTE_D));
		return 1;
	}
	return 0;
}

/* ---- system calls */
u32 process_clear_user(u32 va, u32 bytes) {
	u32 left = bytes / 4;
	__asm__ volatile("1: rep stosl\n"
			 "2:\n\t"
			 ".pushsection __ex_table, \"a\"; .long 1b, 2b; .popsection"
			 : "+c"(left), "+D"(va) : "a"(0) : "memory");
	return left * 4;
}

static u32 put_user(u32 va, u32 value) {
	u32 failed;
	GUARDED("movl %[v], (%[p])", failed, [v] "r"(value), [p] "r"(va));
	return failed;
}

void process_syscall(struct regs *regs) {
	switch (regs->eax) {
	case 1:
		current->exit_code = regs->ebx;
		current->runs = 0;
		live--;
		schedule();
		panic("a dead process runs");
	case 2: {
		struct regs child = *regs;
		child.eax = 0;
		regs->eax = process_new(space_fork(current->space), &child)->pid;
		break;
	}
	case 158:
		schedule();
		regs->eax = 0;
		break;
	case 243:
		current->tls = regs->ebx;
		set_tls(current->tls);
		batch_flush();
		regs->eax = 0;
		break;
	case 300:
		regs->eax = process_clear_user(regs->ebx, regs->ecx);
		break;
	case 301:
		regs->eax = put_user(regs->ecx, regs->ebx);
		break;
	default:
		regs->eax = -ENOSYS;
	}
}

static struct space *exec(void) {
	struct space *s = space_create();
	void *code = get_page(), *data = get_page(), *stack = get_page();
	memcpy(code, program, program_end - program);
	space_set(s, 0x08048000, pte(va_mfn(code), PTE_P | PTE_U | PTE_A));
	space_set(s, 0x08049000, pte(va_mfn(data), PTE_P | PTE_W | PTE_U | PTE_A | PTE_D));
	space_pin(s);
	/* The stack comes after the space was pinned: a table that is made read-only, pinned and hooked on its own. */
	space_set(s, 0xbffff000, pte(va_mfn(stack), PTE_P | PTE_W | PTE_U | PTE_A | PTE_D));
	return s;
}

static void start_processes(void) {
	processes[0].space = &boot_space;
	processes[0].runs = 1;
	hypercall1(HYPERCALL_fpu_taskswitch, 1);
}

/* A space with 32 pages, forked and taken apart again. */
void process_fork_storm(u32 count) {
	struct space *parent;
	start_processes();
	parent = exec();
	for (u32 i = 0; i < 32; i++)
		space_set(parent, 0x0a000000 + i * PAGE_SIZE, pte(va_mfn(get_page()), PTE_P | PTE_W | PTE_U | PTE_A | PTE_D));
	for (u32 i = 0; i < count; i++)
		space_destroy(space_fork(parent));
}

void process_checks(void) {
	u32 pages = free_pages(), pairs = 0, wanted = 0, bad = 0;
	start_processes();
	for (u32 round = 0; round < 6; round++) {
		struct regs regs = { .gs = 0, .fs = 0, .es = USER_DS, .ds = USER_DS, .eip = 0x08048000, .cs = USER_CS,
			.eflags = 0x202, .esp = 0xc0000000, .ss = USER_DS };
		process_new(exec(), &regs);
		if (round & 1) /* two programs at a time, every other round */
			process_new(exec(), &regs), wanted++;
		wanted++;
		while (live)
			schedule();
		for (struct process *p = processes + 1; p < processes + MOST; p++)
			if (p->pid) {
				if (p->exit_code == 0x2222 || p->exit_code == 0x3333)
					pairs++;
				else {
					bad++;
					printf("process %d ended with %x\n", p->pid, p->exit_code);
				}
				space_destroy(p->space);
				p->pid = 0;
			}
	}
	check_is("processes: none failed a check", bad, 0);
	check_is("processes: every parent and child ended", pairs, wanted * 2);
	check("processes: they were switched between", switches > 100);
	check("processes: copy on write from ring 3", cow_user > 0);
	check("processes: copy on write from ring 1 (put_user)", cow_kernel > 0);
	check("processes: clear_user faulted inside REP STOS", demand >= wanted * 2 * 3);
	check("processes: the FPU was switched lazily", fpu_traps >= wanted * 2);
	check_is("processes: no page is lost", free_pages(), pages);
}
