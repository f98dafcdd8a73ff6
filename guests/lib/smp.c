/*
 * smp.c: starting further vcpus.
 *
 * A vcpu starts with what its context says, nothing else: registers, traps, callbacks, CR3, descriptor table. The
 * table is a page of descriptors that Xen checks; like a page table it may not be writable for us while it is used.
 */
#include "smp.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "trap.h"

#define AREA_SELECTOR 0x09 /* entry 1 of the vcpu's own table, ring 1 */

/* What FS leads to. */
static struct vcpu_area { u32 id; } areas[MAX_VCPUS];
static void (*mains[MAX_VCPUS])(void);
static u32 stacks[MAX_VCPUS]; /* first address of each page; vcpu 0 runs on the boot stack */
static u32 started = 1;

u32 this_vcpu(void) {
	u32 page = (u32)__builtin_frame_address(0) & PAGE_MASK;
	for (u32 id = 1; id < started; id++)
		if (stacks[id] == page)
			return id;
	return 0;
}

u32 count_vcpus(void) {
	u32 count = 1;
	while (count < MAX_VCPUS && HYPERVISOR_vcpu_op(VCPUOP_is_up, count, NULL) >= 0)
		count++;
	return count;
}

u32 vcpu_of_segment(void) {
	u32 id;
	__asm__ volatile("movl %%fs:0, %0" : "=r"(id));
	return id;
}

static void vcpu_first(void) {
	u32 id = this_vcpu();
	mains[id]();
	for (;;)
		must(HYPERVISOR_vcpu_op(VCPUOP_down, id, NULL), "VCPUOP_down");
}

/* A page with one descriptor behind the empty one: writable data of ring 1, from `base`, `bytes` long. */
static u64 *descriptor_table(u32 base, u32 bytes) {
	u64 *table = page_alloc();
	u32 low = base << 16 | (bytes - 1);
	u32 high = (base & 0xff000000) | 0x0040b300 | (base >> 16 & 0xff);
	table[1] = (u64)high << 32 | low;
	page_make_readonly(table);
	return table;
}

void vcpu_start(u32 id, void (*main)(void)) {
	static struct vcpu_guest_context context;
	u8 *stack = page_alloc();
	u32 top = (u32)stack + PAGE_SIZE - 16;
	areas[id].id = id;
	mains[id] = main;
	stacks[id] = (u32)stack;
	if (started <= id)
		started = id + 1;

	memset(&context, 0, sizeof context);
	context.flags = VGCF_IN_KERNEL;
	context.user_regs = (struct vcpu_user_regs){
		.eip = (u32)vcpu_first, .cs = FLAT_KERNEL_CS, .eflags = 0x1000, /* IOPL 1, as Linux asks */
		.esp = top, .ss = FLAT_KERNEL_DS, .ds = FLAT_KERNEL_DS, .es = FLAT_KERNEL_DS, .fs = AREA_SELECTOR,
	};
	for (const struct trap_info *trap = trap_table(); trap->address; trap++)
		context.trap_ctxt[trap->vector] = *trap;
	context.gdt_frames[0] = va_to_mfn(descriptor_table((u32)&areas[id], sizeof areas[id]));
	context.gdt_ents = 2;
	context.kernel_ss = FLAT_KERNEL_DS;
	context.kernel_sp = top;
	context.ctrlreg[3] = root_mfn() << PAGE_SHIFT;
	context.event_callback_cs = context.failsafe_callback_cs = FLAT_KERNEL_CS;
	context.event_callback_eip = (u32)event_entry;
	context.failsafe_callback_eip = (u32)failsafe_entry;
	shared_info()->vcpu_info[id].evtchn_upcall_mask = 1;
	must(HYPERVISOR_vcpu_op(VCPUOP_initialise, id, &context), "VCPUOP_initialise");
	must(HYPERVISOR_vcpu_op(VCPUOP_up, id, NULL), "VCPUOP_up");
}

void spin_lock(volatile u32 *lock) {
	while (exchange(lock, 1))
		while (*lock)
			sched_yield();
}

void spin_unlock(volatile u32 *lock) {
	barrier();
	*lock = 0;
}
