/* platform.c: the machine itself, as the initial domain of a 4.17 controls it: physical CPUs off line and on line. */
#include "conformance.h"

#define XENPF_get_cpuinfo 55
#define XENPF_cpu_online 56
#define XENPF_cpu_offline 57
#define XENPF_INTERFACE_VERSION 0x03000001
#define VIRQ_PCPU_STATE 9

static struct platform_op { u32 cmd, version, body[32]; } op;

static long platform_op(u32 cmd, u32 cpu) {
	op = (struct platform_op){ cmd, XENPF_INTERFACE_VERSION, { cpu } };
	return hypercall1(7, &op);
}
/* 1: on line; 2: there is none. */
static u32 cpu_flags(u32 cpu) { return platform_op(XENPF_get_cpuinfo, cpu) == 0 ? op.body[2] : ~0u; }

static volatile u32 changes;
static void cpu_state(u32 port) { (void)port; changes++; }

static void test_comings_and_goings(u32 last) {
	u32 port = bind_virq(VIRQ_PCPU_STATE);
	event_set_handler(port, cpu_state);
	changes = 0;
	event_unmask(port);
	expect("take the last CPU off line", platform_op(XENPF_cpu_offline, last), 0);
	expect("events of VIRQ_PCPU_STATE", changes, 1);
	expect("its flags", cpu_flags(last), 0);
	expect("take it off line again", platform_op(XENPF_cpu_offline, last), 0);
	expect("events of VIRQ_PCPU_STATE", changes, 1);
	expect("bring it back", platform_op(XENPF_cpu_online, last), 0);
	expect("events of VIRQ_PCPU_STATE", changes, 2);
	expect("its flags", cpu_flags(last), 1);
	struct evtchn_port close = { port };
	must(event_channel_op(EVTCHNOP_close, &close, sizeof close), "close");
	event_set_handler(port, NULL);
}

void test_platform(void) {
	row("platform_op");
	if (is_302()) {
		expect("the number belongs to dom0_op", platform_op(XENPF_get_cpuinfo, 0), privileged() ? -ENOSYS : -EPERM);
		return;
	}
	expect("an unreadable argument", hypercall1(7, UNMAPPED_ADDRESS), -EFAULT);
	op = (struct platform_op){ XENPF_cpu_offline, 0x02000000, { 0 } };
	expect("another version of the interface", hypercall1(7, &op), -EACCES);
	expect("CPU 0 off line", platform_op(XENPF_cpu_offline, 0), privileged() ? -EOPNOTSUPP : -EPERM);
	expect("a CPU that is not there off line", platform_op(XENPF_cpu_offline, 5000), privileged() ? -EINVAL : -EPERM);
	expect("a CPU that is not there on line", platform_op(XENPF_cpu_online, 5000), privileged() ? -EINVAL : -EPERM);
	expect("an unknown command", platform_op(5000, 0), privileged() ? -ENOSYS : -EPERM);
	expect("what CPU 0 is", platform_op(XENPF_get_cpuinfo, 0), privileged() ? 0 : -EPERM);
	if (!privileged())
		return;
	expect("its flags", op.body[2], 1);
	expect("flags of a CPU that is not there", cpu_flags(5000), 2);
	if (op.body[1] > 0)
		test_comings_and_goings(op.body[1]);
	else
		not_here("a CPU goes and comes", "the machine has one");
}
