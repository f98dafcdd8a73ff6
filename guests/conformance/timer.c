/* timer.c: row 45. */
#include "conformance.h"

static u32 ticks_within(u32 milliseconds) {
	u32 before = timer_events;
	u64 end = system_time() + MILLISECONDS(milliseconds);
	while (system_time() < end)
		;
	return timer_events - before;
}

void test_timer(void) {
	row("set_timer_op");
	timer_port();
	if (!is_302())
		HYPERVISOR_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
	ticks_within(15);
	u64 deadline = system_time() + MILLISECONDS(3);
	u32 before = timer_events;
	expect("three milliseconds ahead", HYPERVISOR_set_timer_op(deadline), 0);
	while (system_time() < deadline)
		;
	HYPERVISOR_xen_version(XENVER_version, NULL);
	holds("an event has come at its time", timer_events > before);
	before = timer_events;
	expect("in the past", HYPERVISOR_set_timer_op(1), 0);
	ticks_within(1);
	holds("fires at once", timer_events > before);
	expect("an hour ahead", HYPERVISOR_set_timer_op(system_time() + MILLISECONDS(3600000)), 0);
	if (!is_302())
		expect("events within 20 milliseconds", ticks_within(20), 0);
	expect("ahead, and then cancelled", HYPERVISOR_set_timer_op(system_time() + MILLISECONDS(2)), 0);
	expect("cancel", HYPERVISOR_set_timer_op(0), 0);
	if (!is_302())
		expect("events after a cancelled one's time", ticks_within(10), 0);
	deadline = system_time() + MILLISECONDS(10);
	sleep_until(deadline);
	holds("wakes a blocked vcpu, not too early", system_time() >= deadline);
	holds("nor too late", system_time() < deadline + MILLISECONDS(500));
}
