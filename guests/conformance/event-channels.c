/* event-channels.c: rows 4 to 13, and reset. All of them work on ports of our own: an unbound port for ourselves is
 * bound by ourselves. */
#include "conformance.h"

#define EVTCHNOP_bind_pirq 2
#define EVTCHNOP_bind_vcpu 8
struct evtchn_bind_pirq { u32 pirq, flags, port; };
struct evtchn_bind_vcpu { u32 port, vcpu; };

#define OP(cmd, ...) event_channel_op(cmd, __VA_ARGS__)

static u32 own_domid; /* found by asking what an unbound port of ours waits for */

static long status_of(u32 port, struct evtchn_status *status) {
	*status = (struct evtchn_status){ DOMID_SELF, port, 77, 77, { 77, 77 } };
	return OP(EVTCHNOP_status, status, sizeof *status);
}
static u32 state_of(u32 port) {
	struct evtchn_status status;
	long result = status_of(port, &status);
	return result < 0 ? (u32)result : status.status;
}
static long close_port(u32 port) {
	struct evtchn_port op = { port };
	return OP(EVTCHNOP_close, &op, sizeof op);
}
static long send_port(u32 port) {
	struct evtchn_port op = { port };
	return OP(EVTCHNOP_send, &op, sizeof op);
}
static long unmask_port(u32 port) {
	struct evtchn_port op = { port };
	return OP(EVTCHNOP_unmask, &op, sizeof op);
}
static long alloc_unbound(u32 dom, u32 remote, u32 *port) {
	struct evtchn_alloc_unbound op = { dom, remote, 0 };
	long result = OP(EVTCHNOP_alloc_unbound, &op, sizeof op);
	*port = op.port;
	return result;
}
static long bind_interdomain(u32 dom, u32 remote_port, u32 *port) {
	struct evtchn_bind_interdomain op = { dom, remote_port, 0 };
	long result = OP(EVTCHNOP_bind_interdomain, &op, sizeof op);
	*port = op.local_port;
	return result;
}
static int pending(u32 port) { return shared_info()->evtchn_pending[port / 32] >> (port & 31) & 1; }
static int masked(u32 port) { return shared_info()->evtchn_mask[port / 32] >> (port & 31) & 1; }

static volatile u32 events;
static void count(u32 port) { (void)port; events++; }

static void test_unbound_and_interdomain(void) {
	struct evtchn_status status;
	u32 port, second, local;

	row("EVTCHNOP_alloc_unbound");
	expect("for ourselves, remote ourselves", alloc_unbound(DOMID_SELF, DOMID_SELF, &port), 0);
	holds("the port is neither 0 nor one in use", port > 0 && port < 1024);
	must(status_of(port, &status), "status");
	expect("its status", status.status, EVTCHNSTAT_unbound);
	own_domid = status.detail[0] & 0xffff;
	expect("the next one", alloc_unbound(DOMID_SELF, DOMID_SELF, &second), 0);
	holds("is the lowest free port", second == port + 1);
	if (!privileged()) {
		expect("for another domain, unprivileged", alloc_unbound(0, DOMID_SELF, &local), -EPERM);
		expect("for a domain that does not exist", alloc_unbound(0x7000, DOMID_SELF, &local), by_version(-EPERM, -ESRCH));
		expect("for ourselves by number", alloc_unbound(own_domid, own_domid, &local), by_version(-EPERM, 0));
		if (!is_302())
			close_port(local);
	} else {
		expect("for a domain that does not exist", alloc_unbound(0x7000, DOMID_SELF, &local), -ESRCH);
		not_here("for another domain, unprivileged", "this domain is privileged");
	}
	expect("an unreadable argument", event_op_at(EVTCHNOP_alloc_unbound, UNMAPPED_ADDRESS), -EFAULT);

	row("EVTCHNOP_send");
	expect("on an unbound port", send_port(port), 0);

	row("EVTCHNOP_bind_interdomain");
	expect("to our own unbound port", bind_interdomain(DOMID_SELF, port, &local), 0);
	holds("the local port is pending at once", pending(local));
	holds("the remote one is not", !pending(port));
	expect("status of the local port", state_of(local), EVTCHNSTAT_interdomain);
	must(status_of(local, &status), "status");
	holds("it names the other end", status.detail[1] == port && (status.detail[0] & 0xffff) == own_domid);
	must(status_of(port, &status), "status");
	holds("and so does the other end", status.status == EVTCHNSTAT_interdomain && status.detail[1] == local);
	u32 unused;
	expect("to a port that is bound", bind_interdomain(DOMID_SELF, port, &unused), -EINVAL);
	expect("to port 0", bind_interdomain(DOMID_SELF, 0, &unused), -EINVAL);
	expect("to a port out of range", bind_interdomain(DOMID_SELF, 5000, &unused), -EINVAL);
	expect("to a domain that does not exist", bind_interdomain(0x7000, 1, &unused), -ESRCH);
	expect("an unreadable argument", event_op_at(EVTCHNOP_bind_interdomain, HYPERVISOR_ADDRESS), -EFAULT);

	row("EVTCHNOP_send");
	event_clear(local);
	event_mask(local);
	event_mask(port);
	expect("from the local end", send_port(local), 0);
	holds("sets the remote port pending", pending(port) && !pending(local));
	event_clear(port);
	expect("from the remote end", send_port(port), 0);
	holds("sets the local port pending", pending(local) && !pending(port));
	event_clear(local);
	event_set_handler(port, count);
	events = 0;
	event_unmask(port);
	send_port(local);
	expect("events taken of one send", events, 1);
	expect("on port 0", send_port(0), -EINVAL);
	expect("on a port out of range", send_port(1024), -EINVAL);
	expect("on a free port", send_port(100), -EINVAL);
	expect("an unreadable argument", event_op_at(EVTCHNOP_send, UNMAPPED_ADDRESS), -EFAULT);

	row("EVTCHNOP_unmask");
	event_mask(port);
	events = 0;
	send_port(local);
	expect("events taken while the port is masked", events, 0);
	holds("the port keeps its pending bit", pending(port));
	expect("the call", unmask_port(port), 0);
	expect("events taken after it", events, 1);
	holds("the mask bit is clear", !masked(port));
	expect("once more", unmask_port(port), 0);
	expect("and nothing comes", events, 1);
	expect("a port out of range", unmask_port(4096), -EINVAL);
	expect("an unreadable argument", event_op_at(EVTCHNOP_unmask, UNMAPPED_ADDRESS), -EFAULT);

	row("EVTCHNOP_close");
	expect("one end of a pair", close_port(local), 0);
	expect("that end is closed", state_of(local), EVTCHNSTAT_closed);
	must(status_of(port, &status), "status");
	holds("the other is unbound for the closer's domain",
	      status.status == EVTCHNSTAT_unbound && (status.detail[0] & 0xffff) == own_domid);
	expect("the same port again", close_port(local), -EINVAL);
	expect("port 0", close_port(0), -EINVAL);
	expect("a port out of range", close_port(1024), -EINVAL);
	expect("an unreadable argument", event_op_at(EVTCHNOP_close, UNMAPPED_ADDRESS), -EFAULT);
	event_mask(second);
	bind_interdomain(DOMID_SELF, second, &local);
	expect("a pending port", close_port(local), 0);
	expect("its pending bit afterwards", pending(local), by_version(1, 0));
	event_clear(local);
	close_port(second);
	close_port(port);
	event_set_handler(port, NULL);
}

static void test_virqs(void) {
	struct evtchn_bind_virq op = { VIRQ_DEBUG, 0, 0 };
	row("EVTCHNOP_bind_virq");
	expect("VIRQ_DEBUG on vcpu 0", OP(EVTCHNOP_bind_virq, &op, sizeof op), 0);
	u32 port = op.port;
	struct evtchn_status status;
	must(status_of(port, &status), "status");
	expect("status", status.status, EVTCHNSTAT_virq);
	expect("it names the VIRQ", status.detail[0], VIRQ_DEBUG);
	expect("and the vcpu", status.vcpu, 0);
	op = (struct evtchn_bind_virq){ VIRQ_DEBUG, 0, 0 };
	expect("the same again", OP(EVTCHNOP_bind_virq, &op, sizeof op), -EEXIST);
	op = (struct evtchn_bind_virq){ 24, 0, 0 };
	expect("VIRQ 24", OP(EVTCHNOP_bind_virq, &op, sizeof op), -EINVAL);
	op = (struct evtchn_bind_virq){ 8, 0, 0 };
	long eight = OP(EVTCHNOP_bind_virq, &op, sizeof op);
	if (is_302() || !privileged())
		expect("VIRQ 8", eight < 0 ? eight : 0, by_version(-EINVAL, 0));
	if (eight == 0)
		close_port(op.port);
	op = (struct evtchn_bind_virq){ VIRQ_TIMER, 31, 0 };
	expect("on a vcpu that does not exist", OP(EVTCHNOP_bind_virq, &op, sizeof op), -ENOENT);
	expect("an unreadable argument", event_op_at(EVTCHNOP_bind_virq, UNMAPPED_ADDRESS), -EFAULT);
	row("EVTCHNOP_send");
	expect("on a VIRQ's port", send_port(port), -EINVAL);
	row("EVTCHNOP_bind_vcpu");
	struct evtchn_bind_vcpu move = { port, 0 };
	expect("a per-vcpu VIRQ's port", OP(EVTCHNOP_bind_vcpu, &move, sizeof move), -EINVAL);
	row("EVTCHNOP_close");
	expect("a VIRQ's port", close_port(port), 0);
	op = (struct evtchn_bind_virq){ VIRQ_DEBUG, 0, 0 };
	row("EVTCHNOP_bind_virq");
	expect("again after the close", OP(EVTCHNOP_bind_virq, &op, sizeof op), 0);
	close_port(op.port);
}

static void test_ipi(void) {
	struct evtchn_bind_ipi op = { 0, 0 };
	row("EVTCHNOP_bind_ipi");
	expect("for vcpu 0", OP(EVTCHNOP_bind_ipi, &op, sizeof op), 0);
	u32 port = op.port;
	expect("status", state_of(port), EVTCHNSTAT_ipi);
	event_set_handler(port, count);
	events = 0;
	event_unmask(port);
	expect("send on it", send_port(port), 0);
	expect("reaches ourselves", events, 1);
	op = (struct evtchn_bind_ipi){ 31, 0 };
	expect("for a vcpu that does not exist", OP(EVTCHNOP_bind_ipi, &op, sizeof op), -ENOENT);
	expect("an unreadable argument", event_op_at(EVTCHNOP_bind_ipi, HYPERVISOR_ADDRESS), -EFAULT);
	row("EVTCHNOP_bind_vcpu");
	struct evtchn_bind_vcpu move = { port, 0 };
	expect("an IPI's port", OP(EVTCHNOP_bind_vcpu, &move, sizeof move), -EINVAL);
	close_port(port);
	event_set_handler(port, NULL);
}

static void test_bind_vcpu(void) {
	u32 port;
	struct evtchn_bind_vcpu op;
	row("EVTCHNOP_bind_vcpu");
	must(alloc_unbound(DOMID_SELF, DOMID_SELF, &port), "alloc_unbound");
	op = (struct evtchn_bind_vcpu){ port, 0 };
	expect("an unbound port to vcpu 0", OP(EVTCHNOP_bind_vcpu, &op, sizeof op), 0);
	op = (struct evtchn_bind_vcpu){ port, 31 };
	expect("to a vcpu that does not exist", OP(EVTCHNOP_bind_vcpu, &op, sizeof op), -ENOENT);
	op = (struct evtchn_bind_vcpu){ 1024, 0 };
	expect("a port out of range", OP(EVTCHNOP_bind_vcpu, &op, sizeof op), -EINVAL);
	close_port(port);
	op = (struct evtchn_bind_vcpu){ port, 0 };
	expect("a free port", OP(EVTCHNOP_bind_vcpu, &op, sizeof op), -EINVAL);
	expect("an unreadable argument", event_op_at(EVTCHNOP_bind_vcpu, UNMAPPED_ADDRESS), -EFAULT);
}

static void test_pirq(void) {
	struct evtchn_bind_pirq op = { 4000, 0, 0 };
	row("EVTCHNOP_bind_pirq");
	expect("a number out of range", OP(EVTCHNOP_bind_pirq, &op, sizeof op), -EINVAL);
	op = (struct evtchn_bind_pirq){ 8, 0, 0 };
	if (privileged()) {
		expect("IRQ 8", OP(EVTCHNOP_bind_pirq, &op, sizeof op), 0);
		u32 port = op.port;
		expect("its status", state_of(port), EVTCHNSTAT_pirq);
		op = (struct evtchn_bind_pirq){ 8, 0, 0 };
		expect("the same again", OP(EVTCHNOP_bind_pirq, &op, sizeof op), -EEXIST);
		expect("close", close_port(port), 0);
		/* Serial ports have the lines 3 and 4. The hypervisor keeps the one that it prints on. */
		u32 busy = 0;
		for (u32 line = 3; line <= 4; line++) {
			op = (struct evtchn_bind_pirq){ line, 0, 0 };
			long result = OP(EVTCHNOP_bind_pirq, &op, sizeof op);
			busy += result == -EBUSY;
			if (result == 0)
				close_port(op.port);
		}
		if (busy)
			expect("lines that the hypervisor itself has: busy", busy, 1);
		else
			not_here("a line that the hypervisor itself has", "there is none");
	} else {
		expect("without a right to the line", OP(EVTCHNOP_bind_pirq, &op, sizeof op), by_version(-EPERM, -EPERM));
	}
	expect("an unreadable argument", event_op_at(EVTCHNOP_bind_pirq, UNMAPPED_ADDRESS), -EFAULT);
}

static void test_status(void) {
	struct evtchn_status status;
	row("EVTCHNOP_status");
	expect("a free port", state_of(101), EVTCHNSTAT_closed);
	expect("a port out of range", status_of(1024, &status), -EINVAL);
	status = (struct evtchn_status){ 0x7000, 1, 0, 0, { 0, 0 } };
	expect("a port of a domain that does not exist", OP(EVTCHNOP_status, &status, sizeof status),
	       is_302() && !privileged() ? -EPERM : -ESRCH);
	if (!privileged()) {
		status = (struct evtchn_status){ 0, 1, 0, 0, { 0, 0 } };
		expect("another domain's port", OP(EVTCHNOP_status, &status, sizeof status), -EPERM);
	}
	expect("an unreadable argument", event_op_at(EVTCHNOP_status, UNMAPPED_ADDRESS), -EFAULT);
	row("event_channel_op");
	u32 nothing[6] = { 0 };
	expect("an unknown command", OP(99, nothing, 24), -ENOSYS);
}

/* Takes every port there is, then gives them back. */
static void test_exhaustion(void) {
	static u8 taken[1024];
	u32 port, count_taken = 0, highest = 0;
	long result;
	row("EVTCHNOP_alloc_unbound");
	while ((result = alloc_unbound(DOMID_SELF, DOMID_SELF, &port)) == 0 && port < 1024) {
		taken[port] = 1;
		count_taken++;
		highest = port;
	}
	if (result == 0) { /* a hypervisor with more than 1,024 ports, as FIFO event channels have */
		close_port(port);
		not_here("when all ports are taken", "there are more than 1024");
	} else {
		expect("when all ports are taken", result, -ENOSPC);
		expect("the highest port", highest, 1023);
		u32 unused;
		struct evtchn_bind_ipi ipi = { 0, 0 };
		struct evtchn_bind_virq virq = { VIRQ_DEBUG, 0, 0 };
		struct evtchn_bind_pirq pirq = { 8, 0, 0 };
		row("EVTCHNOP_bind_interdomain");
		expect("when all ports are taken", bind_interdomain(DOMID_SELF, highest, &unused), -ENOSPC);
		row("EVTCHNOP_bind_ipi");
		expect("when all ports are taken", OP(EVTCHNOP_bind_ipi, &ipi, sizeof ipi), -ENOSPC);
		row("EVTCHNOP_bind_virq");
		expect("when all ports are taken", OP(EVTCHNOP_bind_virq, &virq, sizeof virq), -ENOSPC);
		if (privileged()) {
			row("EVTCHNOP_bind_pirq");
			expect("when all ports are taken", OP(EVTCHNOP_bind_pirq, &pirq, sizeof pirq), -ENOSPC);
		}
		row("EVTCHNOP_alloc_unbound");
	}
	holds("more than a thousand were free", count_taken > 1000);
	u32 refused = 0;
	for (port = 1; port < 1024; port++)
		if (taken[port] && close_port(port) != 0)
			refused++;
	expect("ports that could not be closed again", refused, 0);
}

void test_event_channels(void) {
	test_unbound_and_interdomain();
	test_virqs();
	test_pirq();
	test_ipi();
	test_status();
	test_bind_vcpu();
	test_exhaustion();
}
