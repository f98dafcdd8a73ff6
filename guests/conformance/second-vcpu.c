/* second-vcpu.c: rows 14 and 19 to 24 for a vcpu that is not ourselves, where the domain has one. It counts, with
 * events masked, until it is told to take itself down. */
#include "conformance.h"

#define VCPUOP_initialise 0
#define VCPUOP_up 1
#define VCPUOP_down 2
#define VCPUOP_is_up 3

struct vcpu_guest_context {
	u8 fpu[512];
	u32 flags;
	u32 ebx, ecx, edx, esi, edi, ebp, eax, vector, eip, cs, eflags, esp, ss, es, ds, fs, gs;
	struct trap_info traps[256];
	u32 ldt_base, ldt_entries;
	u32 gdt_frames[16], gdt_entries;
	u32 kernel_ss, kernel_sp;
	u32 ctrlreg[8], debugreg[8];
	u32 event_cs, event_eip, failsafe_cs, failsafe_eip;
	u32 vm_assist;
};
_Static_assert(sizeof(struct vcpu_guest_context) == 2800, "the ABI's size");

static volatile u32 counter, take_yourself_down;
static u8 second_stack[4096] __attribute__((aligned(16)));

static void __attribute__((noreturn)) second_main(void) {
	for (;;) {
		counter++;
		if (take_yourself_down)
			HYPERVISOR_vcpu_op(VCPUOP_down, 1, NULL);
	}
}

/* Has the other vcpu counted, within half a second? */
static int it_counts(void) {
	u32 before = counter;
	u64 end = system_time() + MILLISECONDS(500);
	while (counter == before && system_time() < end)
		sched_yield();
	return counter != before;
}
static long is_up(void) { return HYPERVISOR_vcpu_op(VCPUOP_is_up, 1, NULL); }

void test_second_vcpu(void) {
	static struct vcpu_guest_context context;
	static struct runstate_info area;
	struct runstate_info info;
	u64 address = (u32)&area;
	u32 *page = page_alloc();
	extern void event_entry(void), failsafe_entry(void);

	row("VCPUOP_is_up");
	expect("a vcpu that was never initialised", is_up(), 0);
	row("VCPUOP_up");
	expect("a vcpu that was never initialised", HYPERVISOR_vcpu_op(VCPUOP_up, 1, NULL), -EINVAL);
	context.flags = 4;
	context.eip = (u32)second_main;
	context.cs = FLAT_KERNEL_CS;
	context.eflags = 0x1000;
	context.esp = context.kernel_sp = (u32)second_stack + sizeof second_stack;
	context.ss = context.ds = context.es = context.kernel_ss = FLAT_KERNEL_DS;
	context.event_cs = context.failsafe_cs = FLAT_KERNEL_CS;
	context.event_eip = (u32)event_entry;
	context.failsafe_eip = (u32)failsafe_entry;
	shared_info()->vcpu_info[1].evtchn_upcall_mask = 1;
	row("VCPUOP_initialise");
	context.ctrlreg[3] = va_to_mfn(page) << PAGE_SHIFT;
	expect("with a root that is no table", HYPERVISOR_vcpu_op(VCPUOP_initialise, 1, &context), -EINVAL);
	context.ctrlreg[3] = root_mfn() << PAGE_SHIFT;
	context.gdt_entries = 7169;
	expect("with a GDT that is too large", HYPERVISOR_vcpu_op(VCPUOP_initialise, 1, &context), -EINVAL);
	context.gdt_entries = 0;
	expect("with a good context", HYPERVISOR_vcpu_op(VCPUOP_initialise, 1, &context), 0);
	expect("a second time", HYPERVISOR_vcpu_op(VCPUOP_initialise, 1, &context), -EEXIST);
	row("VCPUOP_is_up");
	expect("a vcpu that was initialised", is_up(), 0);
	row("VCPUOP_register_runstate_memory_area");
	if (!is_302()) /* the 3.0.2 of 2006 allowed it for oneself only */
		expect("for a vcpu that is down", HYPERVISOR_vcpu_op(VCPUOP_register_runstate_memory_area, 1, &address), 0);
	row("VCPUOP_up");
	expect("a vcpu that was initialised", HYPERVISOR_vcpu_op(VCPUOP_up, 1, NULL), 0);
	holds("it runs", it_counts());
	row("VCPUOP_is_up");
	expect("a vcpu that runs", is_up(), 1);
	row("VCPUOP_get_runstate_info");
	expect("a vcpu that runs", HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, 1, &info), 0);
	holds("it has run", info.time[0] > 0);
	row("SCHEDOP_yield");
	u32 before = counter;
	HYPERVISOR_sched_op_compat(SCHEDOP_yield, 0);
	holds("another vcpu runs meanwhile, sched_op", counter != before);
	before = counter;
	HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
	holds("another vcpu runs meanwhile, sched_op_new", counter != before);
	test_failsafe_at_switch(&counter);
	row("VCPUOP_down");
	expect("another vcpu", HYPERVISOR_vcpu_op(VCPUOP_down, 1, NULL), 0);
	sleep_until(system_time() + MILLISECONDS(2));
	before = counter;
	sleep_until(system_time() + MILLISECONDS(5));
	holds("it runs no more", counter == before);
	expect("it is up", is_up(), 0);
	expect("a second time", HYPERVISOR_vcpu_op(VCPUOP_down, 1, NULL), 0);
	row("VCPUOP_up");
	expect("once more", HYPERVISOR_vcpu_op(VCPUOP_up, 1, NULL), 0);
	holds("it goes on", it_counts());
	row("VCPUOP_down");
	take_yourself_down = 1;
	u64 end = system_time() + MILLISECONDS(500);
	while (is_up() && system_time() < end)
		sched_yield();
	expect("by itself: it is up", is_up(), 0);
	page_free(page);
}
