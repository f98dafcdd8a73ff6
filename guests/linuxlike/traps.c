/* traps.c: the kernel's own descriptor table, its 256 gates set one by one, and what comes in through them. */
#include "linuxlike.h"

extern u8 trap_stubs[];
extern char event_callback[], failsafe_callback[];
extern char critical_start[], critical_compare[], critical_jump[], critical_iret[], critical_mask[], critical_end[];
extern const u32 exception_table[][2], exception_table_end[][2];
u32 failsafe_hits, critical_hits, critical_taken, last_fault;
volatile u32 breakpoints, debug_traps;
static volatile u32 debug_address;

/* ---- the descriptor table: a page of its own, with this kernel's places in it */
static u64 gdt[512] __attribute__((aligned(4096)));
static u32 percpu_area[16];

static u64 descriptor(u32 base, u32 limit, u32 type, u32 flags) {
	return (u64)(base >> 24) << 56 | (u64)flags << 52 | (u64)(limit >> 16 & 15) << 48 | (u64)type << 40 |
	       (u64)(base & 0xffffff) << 16 | (limit & 0xffff);
}

void descriptors_start(void) {
	u32 frame = va_mfn(gdt), fs_word;
	gdt[KERNEL_CS / 8] = descriptor(0, 0xfffff, 0x9a, 0xc);	/* DPL 0: the hypervisor makes it 1 */
	gdt[KERNEL_DS / 8] = descriptor(0, 0xfffff, 0x92, 0xc);
	gdt[USER_CS / 8] = descriptor(0, 0xfffff, 0xfa, 0xc);
	gdt[USER_DS / 8] = descriptor(0, 0xfffff, 0xf2, 0xc);
	gdt[PERCPU / 8] = descriptor((u32)percpu_area, 0xfffff, 0x92, 0xc);
	percpu_area[0] = 0xfeedbeef;
	must(HYPERVISOR_update_va_mapping((u32)gdt, pte(frame, KERNEL_RO), UVMF_NONE), "make the descriptor page read-only");
	check_is("set_gdt: 32 entries", HYPERVISOR_set_gdt(&frame, GDT_ENTRIES), 0);
	check_is("set_gdt: DPL 0 became 1", gdt[KERNEL_CS / 8] >> 45 & 3, 1);
	__asm__ volatile("mov %1, %%fs; mov %%fs:0, %0" : "=r"(fs_word) : "r"(PERCPU));
	check_is("set_gdt: fs reaches the percpu area", fs_word, 0xfeedbeef);
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %1, %%ss; mov %2, %%gs"
			 : : "r"(USER_DS), "r"(KERNEL_DS | 1), "r"(0) : "memory");
	__asm__ volatile("ljmp %0, $1f; 1:" : : "i"(KERNEL_CS | 1));
	check_is("set_gdt: the same frame again", HYPERVISOR_set_gdt(&frame, GDT_ENTRIES), 0);
	check_is("set_gdt: and again", HYPERVISOR_set_gdt(&frame, GDT_ENTRIES), 0);
	check("set_gdt: a page that is mapped writable is refused",
	      ({ static u32 other; other = va_mfn(percpu_area); HYPERVISOR_set_gdt(&other, GDT_ENTRIES) < 0; }));
}

void set_tls(u32 base) {
	u64 d = descriptor(base, 0xfffff, 0xf2, 0xd);
	u64 at = va_ma(&gdt[GDT_TLS]);
	if (!base)
		d = 0;
	/* Three places, as the three TLS entries are loaded at a switch. */
	batch(HYPERCALL_update_descriptor, at, at >> 32, d, d >> 32);
	batch(HYPERCALL_update_descriptor, at + 8, at >> 32, 0, 0);
	batch(HYPERCALL_update_descriptor, at + 16, at >> 32, 0, 0);
}

void descriptors_checks(void) {
	u64 at = va_ma(&gdt[20]);
	const u64 *alias = fixmap(3, pte(va_mfn(gdt), KERNEL_RO));
	check_is("update_descriptor: an entry of the table", HYPERVISOR_update_descriptor(at, descriptor(0x1000, 0xfff, 0x92, 4)), 0);
	check("update_descriptor: shows in the page and its alias", (gdt[20] & ~(3ull << 45)) == (alias[20] & ~(3ull << 45)) && (gdt[20] >> 47 & 1));
	check("update_descriptor: a TSS is refused", HYPERVISOR_update_descriptor(at, descriptor(0x1000, 0x67, 0x89, 0)) == -EINVAL);
	check_is("update_descriptor: cleared", HYPERVISOR_update_descriptor(at, 0), 0);
	/* A kernel clears the debug registers of each cpu it starts. */
	int good = 1;
	static const u8 registers[6] = { 0, 1, 2, 3, 6, 7 };
	for (u32 i = 0; i < 6; i++)
		good &= hypercall2(HYPERCALL_set_debugreg, registers[i], registers[i] == 6 ? 0xffff0ff0 : 0) == 0;
	check("set_debugreg: 0 1 2 3 6 7", good);
	check_is("SET_LDT: none", mmuext_one(MMUEXT_SET_LDT, 0, 0), 0);
}

/* ---- gates */
static void set_gate(u32 vector, u32 dpl, u32 masks) {
	struct trap_info table[2] = {
		{ vector, dpl | (masks ? TRAP_MASK_EVENTS : 0), KERNEL_CS, (u32)trap_stubs + vector * 16 }, { 0, 0, 0, 0 } };
	must(HYPERVISOR_set_trap_table(table), "set_trap_table");
}

void traps_early(void) {
	static struct trap_info empty[1];
	u32 fault;
	check_is("set_trap_table: an empty table first", HYPERVISOR_set_trap_table(empty), 0);
	for (u32 vector = 0; vector < 256; vector++)
		if (vector != 2 && vector != 8 && vector != 18)
			set_gate(vector, vector == 3 || vector == 4 || vector == 128 ? 3 : 0, vector != 128 && vector != 3);
	/* A kernel tries its fix-ups and its breakpoint before it trusts them. */
	__asm__ volatile("int3" : : : "memory");
	check_is("traps: int3 reaches the handler of vector 3", breakpoints, 1);
	u32 cr2;
	GUARDED_OUT("mov (%[p]), %[v]", fault, OUTPUTS([v] "=&r"(cr2)), [p] "r"(0x1000));
	check_is("traps: a bad load is fixed up by the exception table", fault, 15);
	check_is("traps: cr2 is in vcpu_info", vcpu->cr2, 0x1000);
	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	check_is("traps: mov from cr2", cr2, 0x1000);
	__asm__ volatile("mov %0, %%cr2" : : "r"(0));
	GUARDED("ud2", fault, "i"(0));
	check_is("traps: ud2", fault, 7);
	GUARDED("hlt", fault, "i"(0));
	check_is("traps: hlt is #GP in ring 1", fault, 14);
}

static long callback(u32 type, u32 flags, void *entry) {
	struct { u16 type, flags; u32 cs, eip; } arg = { type, flags, KERNEL_CS, (u32)entry };
	return hypercall2(HYPERCALL_callback_op, 0, &arg);
}

void callbacks_start(void) {
	check_is("callback_op: event", callback(0, 0, event_callback), 0);
	check_is("callback_op: failsafe, masks events", callback(1, 1, failsafe_callback), 0);
	/* Linux asks only where CPUID shows SEP, and lives without. */
	long result = callback(5, 1, event_callback);
	check("callback_op: sysenter is taken or not known", result == 0 || result == -ENOSYS);
	printf("callback_op: sysenter: %s\n", result == 0 ? "offered" : "ENOSYS");
}

/* ---- what comes in */
void trap_report(struct regs *regs) {
	printf("\ntrap %d, error code %x, eip %08x cs %x eflags %08x cr2 %08x\n", regs->vector, regs->error, regs->eip, regs->cs,
	       regs->eflags, vcpu->cr2);
	printf("eax %08x ebx %08x ecx %08x edx %08x esi %08x edi %08x ebp %08x\n", regs->eax, regs->ebx, regs->ecx, regs->edx,
	       regs->esi, regs->edi, regs->ebp);
	shutdown(SHUTDOWN_crash);
}

static int fix_up(struct regs *regs) {
	for (const u32(*e)[2] = exception_table; e < exception_table_end; e++)
		if ((*e)[0] == regs->eip) {
			regs->eip = (*e)[1];
			last_fault = regs->vector + 1;
			return 1;
		}
	return 0;
}

static void debug_trap(struct regs *regs);

void trap(struct regs *regs) {
	u32 address = regs->vector == 14 ? vcpu->cr2 : 0;
	/* Gates that masked events: open again once cr2 is read, if they were open before. */
	if (regs->vector != 128 && regs->vector != 1 && regs->vector != 3 && (regs->eflags & 0x200))
		irq_on();
	switch (regs->vector) {
	case 1:
		debug_trap(regs);
		return;
	case 3:
		breakpoints++;
		return;
	case 7:
		if (in_process()) {
			process_no_fpu();
			return;
		}
		break;
	case 14:
		if (process_fault(regs, address))
			return;
		break;
	case 128:
		if (in_process()) {
			process_syscall(regs);
			return;
		}
		break;
	}
	if (from_user(regs) || !fix_up(regs))
		trap_report(regs);
}

/*
 * ---- the critical region, hit on purpose. A breakpoint on one of its instructions makes an event pending from inside
 * the #DB handler, which returns by the hypercall with events enabled: the upcall then strikes exactly there.
 */
static void debug_trap(struct regs *regs) {
	debug_traps++;
	if (regs->eip == debug_address) {
		hypercall2(HYPERCALL_set_debugreg, 7, 0);
		irq_send(ipi_port);
		regs->eflags |= 1u << 22; /* by the hypercall: it alone restores the mask with the rest */
	}
}

static int strike(void *address) {
	u32 before = critical_hits, events = ipi_count, traps = debug_traps;
	debug_address = (u32)address;
	must(hypercall2(HYPERCALL_set_debugreg, 0, address), "set_debugreg");
	must(hypercall2(HYPERCALL_set_debugreg, 7, 1), "set_debugreg");
	/* Any trap returns through the region. With the last instruction an event must be waiting already. */
	if (address == critical_mask) {
		irq_off();
		irq_send(ipi_port);
		__asm__ volatile("pushf; orl $0x200, (%%esp); push %%cs; push $1f; movb $1, vcpu_page_info + 1; jmp return_to; 1:"
				 : : : "memory", "cc");
	} else
		__asm__ volatile("int3" : : : "memory");
	irq_on();
	hypercall2(HYPERCALL_set_debugreg, 7, 0);
	return debug_traps == traps + 1 && critical_hits == before + 1 && ipi_count > events;
}

void critical_region_checks(void) {
	check("iret: an upcall on the comparison", strike(critical_compare));
	check("iret: an upcall on the jump", strike(critical_jump));
	check("iret: an upcall on the IRET itself", strike(critical_iret));
	check("iret: an upcall where events are masked again", strike(critical_mask));
	/* The other half of the race, without help: an event that waits when the mask is opened. */
	u32 before = critical_taken, events = ipi_count;
	irq_off();
	irq_send(ipi_port);
	__asm__ volatile("pushf; orl $0x200, (%%esp); push %%cs; push $1f; jmp return_to; 1:" : : : "memory", "cc");
	irq_on();
	check("iret: an event that waited is taken before the return", critical_taken == before + 1 && ipi_count == events + 1);
	/* And by chance: single shots at all distances, while the kernel returns from traps all the time. */
	u32 ticks = timer_ticks;
	for (u32 distance = 1; distance <= 400; distance++) {
		struct { u64 at; u32 flags; } shot = { clock_ns() + 3000 + distance * 37, 0 };
		must(HYPERVISOR_vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot), "set_singleshot_timer");
		u32 until = timer_ticks + 1;
		for (u32 i = 0; i < 3000 && timer_ticks < until; i++)
			__asm__ volatile("int3" : : : "memory");
	}
	check_is("iret: 400 single shots among returns", timer_ticks - ticks, 400);
}
