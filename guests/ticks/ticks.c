/*
 * ticks.c: time, blocking and runstates.
 *
 * Sleeps `count` times for `period` milliseconds with set_timer_op and block, measures how long each sleep took, spins
 * for a while to collect periodic ticks, and then reads its runstate times, which must add up to its age exactly.
 * `wait` keeps it blocked at the end.
 */
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "time.h"

static const char *const state_names[4] = { "running", "runnable", "blocked", "offline" };
static u32 wrong;

static void check(int right, const char *what) {
	if (!right) {
		printf("WRONG: %s\n", what);
		wrong++;
	}
}

static u32 microseconds(u64 ns) { return (u32)divide64(ns, 1000); }

static void runstates(void) {
	struct runstate_info info;
	u64 before = system_time(), sum;
	must(HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, 0, &info), "VCPUOP_get_runstate_info");
	u64 after = system_time();
	sum = info.time[0] + info.time[1] + info.time[2] + info.time[3];
	for (int i = 0; i < 4; i++)
		printf("%-8s %u us\n", state_names[i], microseconds(info.time[i]));
	check(info.state == 0, "the vcpu that asks is running");
	check(info.state_entry_time <= before, "it entered that state before it asked");
	check(after >= sum, "the times do not exceed the system time");
	check(info.time[2] > 0, "it has been blocked");
}

void guest_main(void) {
	u32 period = option("period") ? parse_number(option("period")) : 10;
	u32 count = option("count") ? parse_number(option("count")) : 5;
	u32 port = timer_port();
	u64 last = system_time(), spin_until;

	printf("ticks: VIRQ_TIMER on port %d, %d sleeps of %d ms\n", port, count, period);
	for (u32 i = 1; i <= count; i++) {
		u64 start_of_sleep = system_time(), end, late;
		sleep_until(start_of_sleep + MILLISECONDS(period));
		end = system_time();
		late = end - start_of_sleep - MILLISECONDS(period);
		check(end >= last, "time runs forward");
		last = end;
		check(end - start_of_sleep >= MILLISECONDS(period), "a sleep is not too short");
		check(late < MILLISECONDS(5), "a sleep is not too long");
		printf("sleep %d of %d: on time, %s\n", i, count, late < MILLISECONDS(1) ? "within a millisecond" : "late");
	}

	/* The periodic timer reaches a vcpu only while it runs. */
	u32 events_before = timer_events;
	spin_until = system_time() + MILLISECONDS(100);
	while (system_time() < spin_until)
		;
	printf("100 ms of spinning brought periodic ticks: %s\n", timer_events - events_before >= 5 ? "yes" : "no");
	check(timer_events - events_before >= 5, "periodic ticks come while a vcpu runs");
#ifndef XEN_302
	if (HYPERVISOR_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL) == 0) {
		events_before = timer_events;
		spin_until = system_time() + MILLISECONDS(50);
		while (system_time() < spin_until)
			;
		printf("after stop_periodic_timer: %d more\n", timer_events - events_before);
		check(timer_events - events_before <= 1, "a stopped periodic timer is silent");
	}
#endif
	runstates();
	printf("ticks: %d sleeps, %s\n", count, wrong ? "something is WRONG" : "all as expected");
	if (option_given("wait")) {
		printf("blocked until a key comes\n");
		printf("got key %d\n", console_getc());
	}
}
