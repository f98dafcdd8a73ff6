/* cpu-control.c: rows 29 to 34, and the control-register instructions that are emulated. */
#include "conformance.h"

static long set_debugreg(u32 reg, u32 value) { return hypercall2(8, reg, value); }
static long get_debugreg(u32 reg) { return hypercall1(9, reg); }
static long fpu_taskswitch(u32 set) { return hypercall1(HYPERCALL_fpu_taskswitch, set); }

static volatile u32 debug_traps, debug_eip;
static void debug_trap(struct regs *regs) {
	debug_traps++;
	debug_eip = regs->eip;
	regs->eflags |= 0x10000; /* RF: an execution breakpoint must not hit again on the way back */
}

static volatile u32 watched;
static void __attribute__((noinline)) breakpoint_here(void) { __asm__ volatile("" ::: "memory"); }

static void test_baseptr(void) {
	row("MMUEXT_NEW_BASEPTR");
	u32 boot = root_mfn(), space = space_new();
	u32 *page = page_alloc();
	page[0] = 0x12345678;
	u32 value = 0;
	space_map(space, 0x08048000, va_to_mfn(page), PTE_P | PTE_W | PTE_A | PTE_D);
	expect("a root of ours", mmuext(MMUEXT_NEW_BASEPTR, space, 0), 0);
	holds("its pages are seen", try_read32(0x08048000, &value) && value == 0x12345678);
	u32 cr3;
	expect("read cr3", TRY("mov %%cr3, %%eax\n\tmov %%eax, %[out]", [out] "m"(cr3)), 0);
	holds("is its machine address", cr3 == space << 12);
	expect("back", mmuext(MMUEXT_NEW_BASEPTR, boot, 0), 0);
	expect("its pages are gone: probe", try_read32(0x08048000, &value), 0);
	if (!is_302())
		expect("a frame that is not ours", mmuext(MMUEXT_NEW_BASEPTR, 0, 0), -EINVAL);
	if (!is_302()) /* 3.0.2 switches to no page table at all first, and a second failure is the end */
		expect("a page that is no table", mmuext(MMUEXT_NEW_BASEPTR, va_to_mfn(page), 0) < 0 ? 1 : 0, 1);
	row("MMUEXT_NEW_USER_BASEPTR");
	expect("of a 32-bit domain", mmuext(15, boot, 0), by_version(-EINVAL, -EINVAL));
	must(mmuext(MMUEXT_UNPIN_TABLE, space, 0), "unpin");
}

static void test_cr2(void) {
	u32 value;
	row("arch.cr2");
	expect("a read that faults", try_read32(0x0badc0de, &value), 0);
	holds("shared_info holds its address", shared_info()->vcpu_info[0].cr2 == 0x0badc0de);
	u32 cr2 = 0;
	expect("read cr2", TRY("mov %%cr2, %%eax\n\tmov %%eax, %[out]", [out] "m"(cr2)), 0);
	holds("is the same", cr2 == 0x0badc0de);
}

static void test_fpu(void) {
	row("fpu_taskswitch(1)");
	expect("the call", fpu_taskswitch(1), 0);
	u32 cr0 = 0;
	expect("read cr0", TRY("mov %%cr0, %%eax\n\tmov %%eax, %[out]", [out] "m"(cr0)), 0);
	expect("its TS bit", cr0 >> 3 & 1, 1);
	expect("an x87 instruction", TRY("fninit", "r"(0)), FAULT(7, 0));
	expect("the next one: #NM has cleared TS", TRY("fninit", "r"(0)), 0);
	row("fpu_taskswitch(0)");
	must(fpu_taskswitch(1), "fpu_taskswitch");
	expect("the call", fpu_taskswitch(0), 0);
	expect("an x87 instruction", TRY("fninit", "r"(0)), 0);
	must(fpu_taskswitch(1), "fpu_taskswitch");
	expect("clts", TRY("clts", "r"(0)), 0);
	expect("an x87 instruction", TRY("fninit", "r"(0)), 0);
}

static void test_debug_registers(void) {
	trap_handler before = trap_set_handler(1, debug_trap);
	row("set_debugreg");
	expect("DR0, an address of ours", set_debugreg(0, (u32)&watched), 0);
	expect("DR0, an address of the hypervisor", set_debugreg(0, HYPERVISOR_VIRT_START), -EPERM);
	expect("DR7, watch four bytes written", set_debugreg(7, 0x000d0003), 0);
	debug_traps = 0;
	watched = 1;
	expect("traps of a store to it", debug_traps, 1);
	row("get_debugreg");
	expect("DR0", get_debugreg(0) == (long)(u32)&watched, 1);
	expect("DR6, breakpoint 0", get_debugreg(6) & 15, 1);
	row("set_debugreg");
	expect("DR6 to none", set_debugreg(6, 0), 0);
	expect("DR0, an instruction", set_debugreg(0, (u32)breakpoint_here), 0);
	expect("DR7, execution", set_debugreg(7, 3), 0);
	debug_traps = 0;
	breakpoint_here();
	expect("traps of a call to it", debug_traps, 1);
	holds("at that instruction", debug_eip == (u32)breakpoint_here);
	expect("DR7, general detect", set_debugreg(7, 0x2000), -EPERM);
	if (is_302()) {
		expect("DR7, an I/O breakpoint", set_debugreg(7, 0x00020003), -EPERM);
		expect("DR4", set_debugreg(4, 0), -EINVAL);
	}
	expect("DR9", set_debugreg(9, 0), by_version(-EINVAL, -ENODEV));
	expect("DR7, off", set_debugreg(7, 0), 0);
	debug_traps = 0;
	watched = 2;
	breakpoint_here();
	expect("traps then", debug_traps, 0);
	row("get_debugreg");
	expect("DR9", get_debugreg(9), by_version(-EINVAL, -ENODEV));
	trap_set_handler(1, before);
}

void test_cpu_control(void) {
	test_baseptr();
	test_cr2();
	test_fpu();
	test_debug_registers();
}
