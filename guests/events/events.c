/*
 * events.c: the two levels of pending bits, masks, and redelivery, on ports of the guest's own.
 *
 * Opens a handful of ports of each kind, prints where each bit goes when an event is sent, masked, unmasked and taken,
 * and leaves the ports open for a look. `ports=N` opens N more unbound ports, `wait` keeps it waiting at the end.
 */
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "time.h"

static volatile u32 taken[1024];
static u32 order[16], orders;
static u32 wrong;

static void note(u32 port) {
	taken[port]++;
	if (orders < ARRAY_LENGTH(order))
		order[orders++] = port;
}

static void check(int right, const char *what) {
	printf("%s  %s\n", right ? "ok   " : "WRONG", what);
	wrong += !right;
}

static int pending(u32 port) { return shared_info()->evtchn_pending[port / 32] >> (port & 31) & 1; }
static int selected(u32 port) { return shared_info()->vcpu_info[0].evtchn_pending_sel >> (port / 32) & 1; }
static int upcall_pending(void) { return shared_info()->vcpu_info[0].evtchn_upcall_pending; }

static u32 bind_ipi(void) {
	struct evtchn_bind_ipi op = { 0, 0 };
	must(event_channel_op(EVTCHNOP_bind_ipi, &op, sizeof op), "EVTCHNOP_bind_ipi");
	event_set_handler(op.port, note);
	return op.port;
}

static void print_port(u32 port) {
	static const char *const kinds[] = { "closed", "unbound", "interdomain", "pirq", "virq", "ipi" };
	struct evtchn_status status = { DOMID_SELF, port, 0, 0, { 0, 0 } };
	must(event_channel_op(EVTCHNOP_status, &status, sizeof status), "EVTCHNOP_status");
	printf("port %d: %s, vcpu %d\n", port, kinds[status.status], status.vcpu);
}

void guest_main(void) {
	u32 more = option("ports") ? parse_number(option("ports")) : 0;
	u32 first = bind_ipi(), second = bind_ipi(), timer = timer_port();
	u32 offered = event_alloc_unbound(DOMID_SELF), bound = event_bind_interdomain(DOMID_SELF, offered);

	for (u32 port = 1; port <= bound; port++)
		print_port(port);
	check(pending(bound), "binding an interdomain channel makes the new end pending at once");
	event_clear(bound);

	/* masked vcpu: all three levels are set, and nothing is taken */
	event_unmask(first);
	event_unmask(second);
	events_disable();
	event_send(second);
	event_send(first);
	check(pending(first) && selected(first) && upcall_pending(), "a send sets the port's bit, its word's bit and the byte");
	event_send(first);
	check(taken[first] == 0, "the mask holds upcalls back");
	events_enable();
	check(taken[first] == 1 && taken[second] == 1, "unmasking takes both, two sends of one port as one event");
	check(orders == 2 && order[0] == first, "in the order of the bits, not of the sends");

	/* masked port: only its own bit */
	event_mask(first);
	event_send(first);
	check(pending(first) && !selected(first) && taken[first] == 1, "a masked port keeps its own bit only");
	event_unmask(first);
	check(taken[first] == 2, "EVTCHNOP_unmask delivers what came meanwhile");

	/* a channel to oneself */
	event_set_handler(offered, note);
	event_unmask(offered);
	event_send(bound);
	check(taken[offered] == 1 && !pending(bound), "an interdomain send arrives at the other end");
	struct evtchn_port close = { bound };
	must(event_channel_op(EVTCHNOP_close, &close, sizeof close), "close");
	print_port(offered);

	u32 ticks = timer_events;
	sleep_until(system_time() + MILLISECONDS(20));
	check(timer_events > ticks, "VIRQ_TIMER wakes a blocked vcpu");
	(void)timer;
	for (u32 i = 0; i < more; i++) {
		u32 port = event_alloc_unbound(DOMID_SELF);
		if (i + 1 == more)
			printf("%d more ports, the last is %d\n", more, port);
	}
	printf("events: %s\n", wrong ? "something is WRONG" : "all as expected");
	if (option_given("wait")) {
		printf("blocked until a key comes\n");
		printf("got key %d\n", console_getc());
	}
}
