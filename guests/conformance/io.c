/* io.c: rows 37 to 44. */
#include "conformance.h"

#define PHYSDEVOP_IRQ_UNMASK_NOTIFY 4
#define PHYSDEVOP_IRQ_STATUS_QUERY 5
#define PHYSDEVOP_SET_IOPL 6
#define PHYSDEVOP_SET_IOBITMAP 7
#define PHYSDEVOP_APIC_READ 8
#define PHYSDEVOP_APIC_WRITE 9
#define PHYSDEVOP_ASSIGN_VECTOR 10
#define MMUEXT_FLUSH_CACHE 12

/* Call 19 takes one struct, call 33 the command and the union alone. */
static long physdev_op(u32 cmd, void *arg, u32 bytes) {
#ifdef XEN_302
	struct { u32 cmd, body[3]; } op = { .cmd = cmd };
	memcpy(op.body, arg, bytes);
	long result = hypercall1(19, &op);
	memcpy(arg, op.body, bytes);
	return result;
#else
	(void)bytes;
	return hypercall2(33, cmd, arg);
#endif
}
static long set_iopl(u32 iopl) { return physdev_op(PHYSDEVOP_SET_IOPL, &iopl, 4); }
static long in_byte(u32 port, u32 *value) {
	return TRY("xor %%eax, %%eax\n\tinb %%dx, %%al\n\tmov %%eax, %[out]", [out] "m"(*value), "d"(port));
}

/* The lab's button drives a level-triggered line, and has been pressed. As nobody reads it, it stays asserted: each end
 * of service brings the next interrupt. */
static volatile u32 interrupts;
static void interrupt(u32 port) { (void)port; interrupts++; }
static void test_end_of_interrupt(void) {
	struct { u32 pirq, flags, port; } bind = { 11, 0, 0 };
	u32 nothing = 0;
	row("EVTCHNOP_bind_pirq");
	expect("the button's line", event_channel_op(2, &bind, sizeof bind), 0);
	event_set_handler(bind.port, interrupt);
	interrupts = 0;
	event_unmask(bind.port);
	expect("interrupts of a line that is asserted", interrupts, 1);
	struct evtchn_port send = { bind.port };
	expect("an event sent on it", event_channel_op(EVTCHNOP_send, &send, sizeof send), -EINVAL);
	expect("and no more before its service ends", interrupts, 1);
	row("PHYSDEVOP_IRQ_UNMASK_NOTIFY");
	expect("with one in service", physdev_op(PHYSDEVOP_IRQ_UNMASK_NOTIFY, &nothing, 4), 0);
	expect("interrupts after it: the line is still asserted", interrupts, 2);
	event_mask(bind.port);
	expect("with the port masked", physdev_op(PHYSDEVOP_IRQ_UNMASK_NOTIFY, &nothing, 4), 0);
	expect("interrupts then", interrupts, 2);
	struct evtchn_port close = { bind.port };
	must(event_channel_op(EVTCHNOP_close, &close, sizeof close), "close");
	event_set_handler(bind.port, NULL);
}

void test_io(void) {
	static u8 bitmap[8192];
	u32 value = 0, nothing = 0;

	row("PHYSDEVOP_SET_IOPL");
	expect("in, at virtual IOPL 0", in_byte(0x3fd, &value), FAULT(13, 0));
	expect("cli, at virtual IOPL 0", TRY("cli", "r"(0)), FAULT(13, 0));
	expect("4", set_iopl(4), -EINVAL);
	expect("1", set_iopl(1), 0);
	expect("in, at virtual IOPL 1", in_byte(0x3fd, &value), 0);
	if (!privileged())
		expect("reads all ones without the administrator's right", value, 0xff);
	expect("cli, at virtual IOPL 1", TRY("cli", "r"(0)), 0);
	expect("and changes no mask", shared_info()->vcpu_info[0].evtchn_upcall_mask, 0);
	expect("0", set_iopl(0), 0);
	expect("in, at virtual IOPL 0 again", in_byte(0x3fd, &value), FAULT(13, 0));

	row("PHYSDEVOP_SET_IOBITMAP");
	struct { u8 *bitmap; u32 ports; } map = { bitmap, 65536 };
	memset(bitmap, 0xff, sizeof bitmap);
	bitmap[0x3fd / 8] &= ~(1 << (0x3fd & 7));
	expect("65536 ports, one of them allowed", physdev_op(PHYSDEVOP_SET_IOBITMAP, &map, 8), 0);
	expect("in from the allowed port", in_byte(0x3fd, &value), 0);
	expect("in from its neighbour", in_byte(0x3fe, &value), FAULT(13, 0));
	map.ports = 65537;
	expect("65537 ports", physdev_op(PHYSDEVOP_SET_IOBITMAP, &map, 8), -EINVAL);
	map = (typeof(map)){ HYPERVISOR_ADDRESS, 65536 };
	expect("a bitmap in the hypervisor", physdev_op(PHYSDEVOP_SET_IOBITMAP, &map, 8), -EINVAL);
	map = (typeof(map)){ NULL, 0 };
	expect("no ports", physdev_op(PHYSDEVOP_SET_IOBITMAP, &map, 8), 0);
	expect("in from the port that was allowed", in_byte(0x3fd, &value), FAULT(13, 0));

	row("MMUEXT_FLUSH_CACHE");
	expect("the call", mmuext(MMUEXT_FLUSH_CACHE, 0, 0), privileged() ? 0 : by_version(-EINVAL, -EACCES));

	row("PHYSDEVOP_IRQ_UNMASK_NOTIFY");
	expect("with nothing in service", physdev_op(PHYSDEVOP_IRQ_UNMASK_NOTIFY, &nothing, 4), 0);
	row("PHYSDEVOP_IRQ_STATUS_QUERY");
	struct { u32 irq, flags; } query = { 8, 99 };
	expect("IRQ 8", physdev_op(PHYSDEVOP_IRQ_STATUS_QUERY, &query, 8), 0);
	query.irq = 5000;
	expect("a number out of range", physdev_op(PHYSDEVOP_IRQ_STATUS_QUERY, &query, 8), -EINVAL);
	struct { u32 base, reg, value; } apic = { 0xfec00000, 1, 0 };
	row("PHYSDEVOP_APIC_READ");
	expect("the version register", physdev_op(PHYSDEVOP_APIC_READ, &apic, 12), privileged() ? 0 : -EPERM);
	if (privileged())
		holds("it has a version", (apic.value & 0xff) != 0);
	apic.base = 0x12345000;
	expect("of an IO-APIC that does not exist", physdev_op(PHYSDEVOP_APIC_READ, &apic, 12), privileged() ? -EINVAL : -EPERM);
	row("PHYSDEVOP_APIC_WRITE");
	expect("of an IO-APIC that does not exist", physdev_op(PHYSDEVOP_APIC_WRITE, &apic, 12), privileged() ? -EINVAL : -EPERM);
	apic.base = 0xfec00000;
	apic.reg = 0;
	expect("the id register", physdev_op(PHYSDEVOP_APIC_WRITE, &apic, 12), privileged() ? 0 : -EPERM);
	row("PHYSDEVOP_ASSIGN_VECTOR");
	struct { u32 irq, vector; } assign = { 8, 0 };
	expect("IRQ 8", physdev_op(PHYSDEVOP_ASSIGN_VECTOR, &assign, 8), privileged() ? 0 : -EPERM);
	assign.irq = 5000;
	expect("a number out of range", physdev_op(PHYSDEVOP_ASSIGN_VECTOR, &assign, 8), privileged() ? -EINVAL : -EPERM);
	if (privileged() && option_given("button"))
		test_end_of_interrupt();
	row("physdev_op");
#ifdef XEN_302
	expect("an unknown command", physdev_op(200, &nothing, 4), by_version(-EINVAL, -ENOSYS));
#else
	expect("an unknown command", physdev_op(200, &nothing, 4), -ENOSYS);
#endif
}
