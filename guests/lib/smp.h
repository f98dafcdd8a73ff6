/*
 * smp.h: more than one vcpu.
 *
 * All vcpus of a domain exist from its creation, but only vcpu 0 runs. The others wait to be given a first context
 * (VCPUOP_initialise) and to be brought up. They share memory, page tables and ports; event mask, pending byte, time
 * record, descriptor table and traps are each vcpu's own.
 */
#ifndef LIB_SMP_H
#define LIB_SMP_H
#include "xen.h"

#define MAX_VCPUS 32

/* VCPUOP_initialise: all that a vcpu starts with. */
#define VGCF_IN_KERNEL 4
struct vcpu_user_regs {
	u32 ebx, ecx, edx, esi, edi, ebp, eax;
	u16 error_code, entry_vector;
	u32 eip, cs, eflags, esp, ss, es, ds, fs, gs;
};
struct vcpu_guest_context {
	u8 fpu[512];
	u32 flags;
	struct vcpu_user_regs user_regs;
	struct trap_info trap_ctxt[256]; /* indexed by vector */
	u32 ldt_base, ldt_ents;
	u32 gdt_frames[16], gdt_ents;
	u32 kernel_ss, kernel_sp;
	u32 ctrlreg[8], debugreg[8];
	u32 event_callback_cs, event_callback_eip, failsafe_callback_cs, failsafe_callback_eip;
	u32 vm_assist;
};
_Static_assert(sizeof(struct vcpu_guest_context) == 2800, "the ABI's size");

/* Which vcpu this is: each runs on a stack of its own. */
u32 this_vcpu(void);
/* How many the domain has. */
u32 count_vcpus(void);
/* Gives a vcpu a stack, a descriptor table and our traps, and lets it run `main`; events are masked then. */
void vcpu_start(u32 id, void (*main)(void));
/* The first word of the segment in FS, which vcpu_start gives each vcpu: its number. */
u32 vcpu_of_segment(void);

static inline u32 fetch_and_add(volatile u32 *word, u32 amount) {
	__asm__ volatile("lock xaddl %0, %1" : "+r"(amount), "+m"(*word) : : "memory");
	return amount;
}
static inline u32 exchange(volatile u32 *word, u32 value) {
	__asm__ volatile("xchgl %0, %1" : "+r"(value), "+m"(*word) : : "memory");
	return value;
}

/* 0: free. Whoever finds it taken gives way: the holder's vcpu may not be running at all. */
void spin_lock(volatile u32 *lock);
void spin_unlock(volatile u32 *lock);

#endif
