/* scheduling.c: rows 14 to 18. A shutdown that works ends the test, so only its refusals are tried; the end of the run
 * is its happy path. */
#include "conformance.h"

static volatile u32 events;
static void count(u32 port) { (void)port; events++; }

static long poll(u32 *ports, u32 n, u64 timeout) {
	struct sched_poll op = { ports, n, timeout };
	return HYPERVISOR_sched_op(SCHEDOP_poll, &op);
}

static void test_yield(void) {
	row("SCHEDOP_yield");
	expect("sched_op", HYPERVISOR_sched_op_compat(SCHEDOP_yield, 0), 0);
	expect("sched_op_new", HYPERVISOR_sched_op(SCHEDOP_yield, NULL), 0);
	row("sched_op");
	expect("an unknown command", HYPERVISOR_sched_op_compat(99, 0), -ENOSYS);
	expect("poll in the old form", HYPERVISOR_sched_op_compat(SCHEDOP_poll, 0), -ENOSYS);
	row("sched_op_new");
	expect("an unknown command", HYPERVISOR_sched_op(99, NULL), -ENOSYS);
}

static void test_block(void) {
	struct evtchn_bind_ipi ipi = { 0, 0 };
	must(event_channel_op(EVTCHNOP_bind_ipi, &ipi, sizeof ipi), "bind_ipi");
	event_set_handler(ipi.port, count);
	event_unmask(ipi.port);
	row("SCHEDOP_block");
	for (int form = 0; form < 2; form++) {
		/* An event that came before the call must be seen by it: no wake-up is lost. */
		events_disable();
		events = 0;
		event_send(ipi.port);
		long result = form ? HYPERVISOR_sched_op(SCHEDOP_block, NULL) : HYPERVISOR_sched_op_compat(SCHEDOP_block, 0);
		expect(form ? "sched_op_new, with an event pending" : "sched_op, with an event pending", result, 0);
		expect("the event was taken on the way back", events, 1);
		expect("the mask afterwards", shared_info()->vcpu_info[0].evtchn_upcall_mask, 0);
	}
	timer_port();
	u64 before = system_time();
	u32 ticks = timer_events;
	events_disable();
	must(HYPERVISOR_set_timer_op(before + MILLISECONDS(30)), "set_timer_op");
	while (system_time() < before + MILLISECONDS(30)) {
		sched_block();
		events_disable();
	}
	events_enable();
	holds("sleeps until its timer", system_time() - before >= MILLISECONDS(30));
	holds("and a timer event came", timer_events > ticks);
	struct evtchn_port close = { ipi.port };
	must(event_channel_op(EVTCHNOP_close, &close, sizeof close), "close");
	event_set_handler(ipi.port, NULL);
}

static void test_poll(void) {
	struct evtchn_bind_ipi ipi = { 0, 0 };
	u32 port, bad = 5000;
	must(event_channel_op(EVTCHNOP_bind_ipi, &ipi, sizeof ipi), "bind_ipi");
	port = ipi.port;
	event_mask(port);
	row("SCHEDOP_poll");
	events_disable();
	event_send(port);
	expect("a masked port that is pending", poll(&port, 1, 0), 0);
	event_clear(port);
	u64 before = system_time();
	expect("until a time-out", poll(&port, 1, before + MILLISECONDS(20)), 0);
	holds("took that long", system_time() - before >= MILLISECONDS(19));
	expect("a time-out in the past", poll(&port, 1, 1), 0);
	expect("129 ports", poll(&port, 129, 1), -EINVAL);
	expect("a port out of range", poll(&bad, 1, 1), -EINVAL);
	expect("an unreadable list", poll(UNMAPPED_ADDRESS, 1, 1), -EFAULT);
	expect("an unreadable argument", HYPERVISOR_sched_op(SCHEDOP_poll, UNMAPPED_ADDRESS), -EFAULT);
	expect("the mask afterwards", shared_info()->vcpu_info[0].evtchn_upcall_mask, 1);
	events_enable();
	before = system_time();
	expect("with upcalls enabled, until a time-out", poll(&port, 1, before + MILLISECONDS(5)), 0);
	struct evtchn_port close = { port };
	must(event_channel_op(EVTCHNOP_close, &close, sizeof close), "close");
}

static void test_shutdown(void) {
	row("SCHEDOP_shutdown");
	expect("an unreadable argument", HYPERVISOR_sched_op(SCHEDOP_shutdown, UNMAPPED_ADDRESS), -EFAULT);
	row("SCHEDOP_remote_shutdown");
	struct { u16 domid; u32 reason; } remote = { 0x7000, 0 };
	expect("a domain that does not exist", HYPERVISOR_sched_op(SCHEDOP_remote_shutdown, &remote),
	       is_302() && !privileged() ? -EPERM : -ESRCH);
	if (!privileged()) {
		remote.domid = 0;
		expect("another domain", HYPERVISOR_sched_op(SCHEDOP_remote_shutdown, &remote), -EPERM);
	}
	row("SCHEDOP_watchdog");
	struct { u32 id, timeout; } watchdog = { 0, 100 };
	long id = HYPERVISOR_sched_op(6, &watchdog);
	expect("create", id, 1);
	watchdog.id = 9;
	expect("an unknown one", HYPERVISOR_sched_op(6, &watchdog), -EINVAL);
	watchdog.id = id;
	watchdog.timeout = 0;
	expect("destroy", HYPERVISOR_sched_op(6, &watchdog), 0);
}

void test_scheduling(void) {
	test_yield();
	test_block();
	test_poll();
	test_shutdown();
}
