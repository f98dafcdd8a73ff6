/*
 * time.c: the paravirtual clock. Xen publishes, per vcpu, a system time, the TSC value it belongs to, and the factor
 * between them; we read the TSC and add the difference. `version` is odd while Xen writes.
 */
#include "time.h"
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "smp.h"

volatile u32 timer_events;
static u32 ports[MAX_VCPUS]; /* VIRQ_TIMER is bound by each vcpu for itself */

static u64 tsc(void) {
	u32 low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

u64 system_time(void) {
	volatile struct vcpu_time_info *info = &shared_info()->vcpu_info[this_vcpu()].time;
	u64 since, time;
	u32 version;
	do {
		version = info->version;
		barrier();
		since = tsc() - info->tsc_timestamp;
		if (info->tsc_shift >= 0)
			since <<= info->tsc_shift;
		else
			since >>= -info->tsc_shift;
		/* 64 x 32 -> the upper 64 of 96 bits */
		time = info->system_time + ((since >> 32) * info->tsc_to_system_mul) +
		       (((since & 0xffffffffu) * info->tsc_to_system_mul) >> 32);
		barrier();
	} while ((version & 1) || version != info->version);
	return time;
}

static void tick(u32 p) {
	(void)p;
	fetch_and_add(&timer_events, 1);
}

u32 timer_port(void) {
	u32 *port = &ports[this_vcpu()];
	if (!*port) {
		*port = bind_virq_on(VIRQ_TIMER, this_vcpu());
		event_set_handler(*port, tick);
		event_unmask(*port);
	}
	return *port;
}

void sleep_until(u64 deadline) {
	timer_port();
	for (;;) {
		events_disable();
		if (system_time() >= deadline) {
			events_enable();
			return;
		}
		must(HYPERVISOR_set_timer_op(deadline), "set_timer_op");
		sched_block();
	}
}

u64 divide64(u64 value, u32 by) {
	u32 high = value >> 32, low = value, remainder;
	u32 high_quotient = high / by;
	__asm__("divl %4" : "=a"(low), "=d"(remainder) : "a"(low), "d"(high % by), "r"(by));
	return (u64)high_quotient << 32 | low;
}
