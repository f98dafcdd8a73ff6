/*
 * conformance.h: one line of the console for each rule of the interface.
 *
 *   EVTCHNOP_close: a free port = EINVAL ok
 *   XENMEM_current_reservation: DOMID_SELF is what start_info says = yes ok
 *   SCHEDOP_poll: unknown command = 0 WRONG, expected ENOSYS
 *
 * The value seen is always printed. Where a value is the machine's own (a port, an mfn, a time), a property of it is
 * tested instead, so that two hypervisors that keep the rules print the same lines.
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "time.h"
#include "trap.h"

#define ENOMEM 12
#define EACCES 13
#define ENODEV 19
#define ENXIO 6
#define E2BIG 7
#define EOPNOTSUPP 95

#define SHUTDOWN_suspend 2
#define SCHEDOP_remote_shutdown 4
#define SCHEDOP_watchdog 6

/* Which rows follow: the seed's spelling. Stays in force until the next. */
void row(const char *name);
/* got must be wanted. Negative values are printed as errnos. */
void expect(const char *what, long got, long wanted);
/* The rule holds. */
void holds(const char *what, int it_does);
/* A plain value that is a fact of the hypervisor, for comparison by eye; it is not judged. */
void fact(const char *what, const char *value);
/* A rule that this domain, or this hypervisor, has no way to try, and why. */
void not_here(const char *what, const char *why);

/* The hypervisor's generation. */
int is_302(void);
/* `old` under 3.0.2, `later` under 4.17. */
static inline long by_version(long old, long later) { return is_302() ? old : later; }
static inline int privileged(void) { return is_initial_domain(); }

/* An address that no argument may have: the hypervisor's. */
#define HYPERVISOR_ADDRESS ((void *)(HYPERVISOR_VIRT_START + 0x100000))
/* An address of ours where nothing is mapped. */
#define UNMAPPED_ADDRESS ((void *)0x00001000)

/* event_channel_op with an argument that the wrapper must not touch: the two forms fail alike. */
long event_op_at(u32 cmd, void *arg);
/* A fault that the next probe may meet is caught; see trap.h. FAULT(14, 3) */
#define FAULT(vector, code) (0x40000000 | (vector) << 16 | (code))
/* Runs body with handler-skipping for vectors 6, 7, 11, 12, 13, 14; 0 or FAULT(). `next` is a label address. */
extern u32 skip_to, skipped;
#define TRY(text, ...) ({                                                                           \
	skipped = 0;                                                                                \
	__asm__ volatile("movl $771f, %[skip]\n\t" text "\n771:\n\tmovl $0, %[skip]"                \
			 : [skip] "+m"(skip_to)                                                     \
			 : __VA_ARGS__                                                              \
			 : "memory", "cc", "eax");                                                         \
	(long)skipped; })

void test_processor_state(void);
void test_event_channels(void);
void test_scheduling(void);
void test_vcpus(void);
void test_descriptors(void);
void test_cpu_control(void);
void test_stack(void);
void test_io(void);
void test_timer(void);
void test_mmu(void);
void test_memory(void);
void test_grants(void);
void test_misc(void);
/* Parts of descriptors, vcpus and misc. */
void test_call_gates(void);
void test_second_vcpu(void);
void test_failsafe(void);
/* While another vcpu counts there. */
void test_failsafe_at_switch(volatile u32 *counter);
void test_segment_assist(void);
void test_platform(void);

#endif
