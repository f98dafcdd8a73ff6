/*
 * hypercall.h: one inline function per hypercall. A call goes to its 32-byte slot of the hypercall page, which
 * holds `mov $n,%eax; int $0x82; ret`. Arguments travel in EBX ECX EDX ESI EDI; the result, or a negative errno,
 * comes back in EAX. Xen may overwrite the argument registers.
 */
#ifndef LIB_HYPERCALL_H
#define LIB_HYPERCALL_H
#include "xen.h"

extern char hypercall_page[];

#define HYPERCALL_ASM(number, result, ...)                                                          \
	__asm__ volatile("call hypercall_page + %c[slot]"                                           \
			 : "=a"(result), __VA_ARGS__                                                \
			 : [slot] "i"((number) * 32)                                                \
			 : "memory")

#define hypercall1(number, a) ({                                                                    \
	long result_; u32 a_ = (u32)(a);                                                            \
	HYPERCALL_ASM(number, result_, "+b"(a_));                                                   \
	result_; })
#define hypercall2(number, a, b) ({                                                                 \
	long result_; u32 a_ = (u32)(a), b_ = (u32)(b);                                             \
	HYPERCALL_ASM(number, result_, "+b"(a_), "+c"(b_));                                         \
	result_; })
#define hypercall3(number, a, b, c) ({                                                              \
	long result_; u32 a_ = (u32)(a), b_ = (u32)(b), c_ = (u32)(c);                              \
	HYPERCALL_ASM(number, result_, "+b"(a_), "+c"(b_), "+d"(c_));                               \
	result_; })
#define hypercall4(number, a, b, c, d) ({                                                           \
	long result_; u32 a_ = (u32)(a), b_ = (u32)(b), c_ = (u32)(c), d_ = (u32)(d);               \
	HYPERCALL_ASM(number, result_, "+b"(a_), "+c"(b_), "+d"(c_), "+S"(d_));                     \
	result_; })

static inline long HYPERVISOR_set_trap_table(const struct trap_info *table) {
	return hypercall1(HYPERCALL_set_trap_table, table);
}
static inline long HYPERVISOR_mmu_update(struct mmu_update *updates, u32 count, u32 *done, u32 domid) {
	return hypercall4(HYPERCALL_mmu_update, updates, count, done, domid);
}
static inline long HYPERVISOR_set_gdt(u32 *frames, u32 entries) {
	return hypercall2(HYPERCALL_set_gdt, frames, entries);
}
static inline long HYPERVISOR_stack_switch(u32 ss, u32 esp) {
	return hypercall2(HYPERCALL_stack_switch, ss, esp);
}
static inline long HYPERVISOR_set_callbacks(u32 event_cs, void *event, u32 failsafe_cs, void *failsafe) {
	return hypercall4(HYPERCALL_set_callbacks, event_cs, event, failsafe_cs, failsafe);
}
static inline long HYPERVISOR_update_descriptor(u64 maddr, u64 descriptor) {
	return hypercall4(HYPERCALL_update_descriptor, maddr, maddr >> 32, descriptor, descriptor >> 32);
}
static inline long HYPERVISOR_memory_op(u32 cmd, void *arg) {
	return hypercall2(HYPERCALL_memory_op, cmd, arg);
}
static inline long HYPERVISOR_multicall(struct multicall_entry *calls, u32 count) {
	return hypercall2(HYPERCALL_multicall, calls, count);
}
static inline long HYPERVISOR_update_va_mapping(u32 va, u64 entry, u32 flags) {
	return hypercall4(HYPERCALL_update_va_mapping, va, entry, entry >> 32, flags);
}
/* deadline: absolute system time in ns; 0 cancels */
static inline long HYPERVISOR_set_timer_op(u64 deadline) {
	return hypercall2(HYPERCALL_set_timer_op, deadline, deadline >> 32);
}
static inline long HYPERVISOR_xen_version(u32 cmd, void *arg) {
	return hypercall2(HYPERCALL_xen_version, cmd, arg);
}
static inline long HYPERVISOR_console_io(u32 cmd, u32 bytes, void *buffer) {
	return hypercall3(HYPERCALL_console_io, cmd, bytes, buffer);
}
static inline long HYPERVISOR_vm_assist(u32 cmd, u32 type) {
	return hypercall2(HYPERCALL_vm_assist, cmd, type);
}
static inline long HYPERVISOR_vcpu_op(u32 cmd, u32 vcpu, void *arg) {
	return hypercall3(HYPERCALL_vcpu_op, cmd, vcpu, arg);
}
static inline long HYPERVISOR_mmuext_op(struct mmuext_op *ops, u32 count, u32 *done, u32 domid) {
	return hypercall4(HYPERCALL_mmuext_op, ops, count, done, domid);
}

/* The seed's sched_op comes in two generations: 6 takes the argument itself, 29 a pointer to it. */
static inline long HYPERVISOR_sched_op(u32 cmd, void *arg) {
	return hypercall2(HYPERCALL_sched_op, cmd, arg);
}
static inline long HYPERVISOR_sched_op_compat(u32 cmd, u32 arg) {
	return hypercall2(HYPERCALL_sched_op_compat, cmd, arg);
}
static inline long sched_simple(u32 cmd) {
#ifdef XEN_302
	return HYPERVISOR_sched_op_compat(cmd, 0);
#else
	return HYPERVISOR_sched_op(cmd, NULL);
#endif
}
static inline long sched_block(void) { return sched_simple(SCHEDOP_block); }
static inline long sched_yield(void) { return sched_simple(SCHEDOP_yield); }
void shutdown(u32 reason) __attribute__((noreturn));

/* event_channel_op: 3.0.2 takes one 28-byte struct { cmd, union }, later Xens the command and the union alone. */
long event_channel_op(u32 cmd, void *arg, u32 bytes);

#endif
