/* processor-state.c: rows 1 to 3: the event mask and the pending byte, and the call that delivers now. */
#include "conformance.h"

static volatile u32 upcalls;
static void count(u32 port) { (void)port; upcalls++; }

void test_processor_state(void) {
	volatile struct vcpu_info *vcpu = &shared_info()->vcpu_info[0];
	struct evtchn_bind_ipi ipi = { 0, 0 };
	must(event_channel_op(EVTCHNOP_bind_ipi, &ipi, sizeof ipi), "bind_ipi");
	event_set_handler(ipi.port, count);
	event_unmask(ipi.port);

	row("evtchn_upcall_mask");
	events_disable();
	upcalls = 0;
	event_send(ipi.port);
	expect("upcalls while it is 1", upcalls, 0);
	row("evtchn_upcall_pending");
	expect("after a send to a masked vcpu", vcpu->evtchn_upcall_pending, 1);
	holds("the selector has the port's word", vcpu->evtchn_pending_sel >> (ipi.port / 32) & 1);
	row("evtchn_upcall_mask");
	vcpu->evtchn_upcall_mask = 0;
	barrier();
	expect("clearing the byte by itself delivers", upcalls, 0);
	row("force_evtchn_callback");
	long version = HYPERVISOR_xen_version(XENVER_version, NULL);
	holds("returns the version", version == (long)xen_version() && version >> 16 >= 3);
	expect("upcalls after it", upcalls, 1);
	row("evtchn_upcall_pending");
	expect("after the upcall", vcpu->evtchn_upcall_pending, 0);
	row("evtchn_upcall_mask");
	expect("after the upcall", vcpu->evtchn_upcall_mask, 0);
	event_send(ipi.port);
	expect("upcalls of a send while it is 0", upcalls, 2);
	struct evtchn_port close = { ipi.port };
	must(event_channel_op(EVTCHNOP_close, &close, sizeof close), "close");
	event_set_handler(ipi.port, NULL);
}
