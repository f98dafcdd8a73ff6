/*
 * syscall.c: what ring 3 may ask for with `int $0x80`: number in EAX, arguments in EBX and ECX, result in EAX.
 *
 * Arguments are user addresses. The kernel reads and writes them directly; a page that is absent or shared is brought
 * in by the same fault that the process itself would have taken. An address above VIRT_BASE ends the process.
 */
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "proc.h"
#include "sysnum.h"
#include "time.h"

static const char input_ready;
void input_arrived(void) { proc_wake(&input_ready); }

/* A user range, or the end of the process that named it. */
static char *user_range(u32 va, u32 bytes) {
	if (va < USER_BASE || va + bytes < va || va + bytes > VIRT_BASE) {
		printf("pid %d passed a bad address %08x\n", current->pid, va);
		proc_exit(139);
	}
	return (char *)va;
}

static u32 sys_write(u32 text, u32 bytes) {
	char chunk[128];
	const char *from = user_range(text, bytes);
	for (u32 done = 0; done < bytes;) {
		u32 n = bytes - done < sizeof chunk - 1 ? bytes - done : sizeof chunk - 1;
		memcpy(chunk, from + done, n);
		chunk[n] = 0;
		printf("%s", chunk);
		done += n;
	}
	return bytes;
}

static u32 sys_getc(void) {
	int c;
	while ((c = console_poll()) < 0)
		proc_sleep_on(&input_ready);
	return c;
}

static u32 sys_exec(u32 name) {
	char copy[16];
	const char *from = user_range(name, sizeof copy);
	for (u32 i = 0; i < sizeof copy; i++)
		copy[i] = from[i];
	copy[sizeof copy - 1] = 0;
	return proc_exec(copy);
}

static u32 sys_wait(u32 code) {
	u32 exit_code = 0;
	char *to = code ? user_range(code, 4) : NULL;
	int pid = proc_wait(&exit_code);
	if (to && pid >= 0)
		*(u32 *)to = exit_code;
	return pid;
}

static u32 sys_sleep(u32 milliseconds) {
	current->wake_at = system_time() + MILLISECONDS(milliseconds);
	proc_sleep_on(NULL);
	return 0;
}

static u32 sys_ps(void) {
	static const char *const states[] = { "unused", "ready", "running", "waits", "ended" };
	printf("  PID PARENT STATE    FAULTS ROOT   PROGRAM\n");
	for (u32 i = 0; i < PROCESSES; i++) {
		struct proc *p = &processes[i];
		if (p->state != UNUSED)
			printf("%5d %6d %-8s %6d %05x  %s\n", p->pid, p->parent ? p->parent->pid : 0, states[p->state], p->faults,
			       p->root, p->program->name);
	}
	return 0;
}

static u32 sys_memory(void) {
	printf("%d pages, %d free, %d shared between processes; %d loaded, %d copied on write\n", start->nr_pages,
	       pages_free(), vm_shared_frames(), vm_loads, vm_copies);
	return 0;
}

/* The mfn behind a user page, with its writable bit in bit 31: programs show it. */
static u32 sys_frame(u32 va) {
	pte_t entry = space_lookup(current->root, va & PAGE_MASK);
	return entry & PTE_P ? pte_mfn(entry) | (entry & PTE_W ? 0x80000000u : 0) : 0;
}

void syscall(struct regs *regs) {
	events_disable();
	current->regs = regs;
	switch (regs->eax) {
	case SYS_exit: proc_exit(regs->ebx);
	case SYS_fork: regs->eax = proc_fork(); break;
	case SYS_write: regs->eax = sys_write(regs->ebx, regs->ecx); break;
	case SYS_getc: regs->eax = sys_getc(); break;
	case SYS_wait: regs->eax = sys_wait(regs->ebx); break;
	case SYS_getpid: regs->eax = current->pid; break;
	case SYS_exec: {
		/* On success the frame is the new program's: its eax stays 0. */
		u32 result = sys_exec(regs->ebx);
		if (result)
			regs->eax = result;
		break;
	}
	case SYS_sleep: regs->eax = sys_sleep(regs->ebx); break;
	case SYS_ps: regs->eax = sys_ps(); break;
	case SYS_memory: regs->eax = sys_memory(); break;
	case SYS_frame: regs->eax = sys_frame(regs->ebx); break;
	default: regs->eax = -ENOSYS;
	}
}
