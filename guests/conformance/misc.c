/* misc.c: rows 62 to 75. */
#include "conformance.h"

#define XENVER_compile_info 2
#define XENVER_changeset 4
#define XENVER_pagesize 7
#define XENVER_guest_handle 8

static void test_console_io(void) {
	char byte;
	row("console_io");
	long result = HYPERVISOR_console_io(CONSOLEIO_write, 1, "\n");
	if (privileged() || is_302())
		expect("write", result, 0);
	else
		holds("write: allowed, or EPERM of a release build", result == 0 || result == -EPERM);
	if (privileged())
		holds("read, when nothing was typed", HYPERVISOR_console_io(CONSOLEIO_read, 1, &byte) >= 0);
	if (result == 0)
		expect("an unreadable buffer", HYPERVISOR_console_io(CONSOLEIO_write, 1, UNMAPPED_ADDRESS), -EFAULT);
	if (privileged())
		expect("an unknown command", HYPERVISOR_console_io(9, 1, &byte), -ENOSYS);
}

static void test_xen_version(void) {
	static char text[1024];
	struct { char compiler[64], by[16], domain[32], date[32]; } info;
	struct { u32 index, map; } features = { 0, 0 };
	u32 virt_start = 0;
	memset(&info, 0, sizeof info);
	memset(text, 0, sizeof text);
	row("XENVER_version");
	holds("3.0 or 4.17", xen_version() == 0x30000 || xen_version() == 0x40011);
	row("XENVER_extraversion");
	expect("the call", HYPERVISOR_xen_version(XENVER_extraversion, text), 0);
	holds("it begins with a dot, as a suffix does", text[0] == '.');
	fact("value", text);
	expect("an unwritable buffer", HYPERVISOR_xen_version(XENVER_extraversion, UNMAPPED_ADDRESS), -EFAULT);
	row("XENVER_compile_info");
	expect("the call", HYPERVISOR_xen_version(XENVER_compile_info, &info), 0);
	holds("it names a compiler", info.compiler[0] != 0);
	expect("an unwritable buffer", HYPERVISOR_xen_version(XENVER_compile_info, UNMAPPED_ADDRESS), -EFAULT);
	row("XENVER_capabilities");
	expect("the call", HYPERVISOR_xen_version(XENVER_capabilities, text), 0);
	holds("our ABI is among them", strstr(text, "xen-3.0-" GUEST_ABI) != NULL);
	expect("an unwritable buffer", HYPERVISOR_xen_version(XENVER_capabilities, HYPERVISOR_ADDRESS), -EFAULT);
	row("XENVER_changeset");
	expect("the call", HYPERVISOR_xen_version(XENVER_changeset, text), 0);
	row("XENVER_platform_parameters");
	expect("the call", HYPERVISOR_xen_version(XENVER_platform_parameters, &virt_start), 0);
	holds("the hole's start", virt_start == HYPERVISOR_VIRT_START);
	expect("an unwritable buffer", HYPERVISOR_xen_version(XENVER_platform_parameters, UNMAPPED_ADDRESS), -EFAULT);
	row("XENVER_get_features");
	expect("map 0", HYPERVISOR_xen_version(XENVER_get_features, &features), 0);
	expect("bits 0 to 3: neither writable tables nor translation nor ring 0", features.map & 15, 0);
	features.index = 1;
	expect("map 1", HYPERVISOR_xen_version(XENVER_get_features, &features), -EINVAL);
	expect("an unreadable argument", HYPERVISOR_xen_version(XENVER_get_features, UNMAPPED_ADDRESS), -EFAULT);
	if (!is_302()) {
		row("XENVER_pagesize");
		expect("the call", HYPERVISOR_xen_version(XENVER_pagesize, NULL), 4096);
		expect("with an argument", HYPERVISOR_xen_version(XENVER_pagesize, text), -EINVAL);
		row("XENVER_guest_handle");
		expect("the call", HYPERVISOR_xen_version(XENVER_guest_handle, text), 0);
	}
	row("xen_version");
	expect("an unknown command", HYPERVISOR_xen_version(99, text), -ENOSYS);
}

static void test_callbacks(void) {
	row("set_callbacks");
	extern void event_entry(void), failsafe_entry(void);
	expect("both", HYPERVISOR_set_callbacks(FLAT_KERNEL_CS, event_entry, FLAT_KERNEL_CS, failsafe_entry), 0);
	expect("with a ring 0 selector, which is raised", HYPERVISOR_set_callbacks(FLAT_KERNEL_CS & ~3u, event_entry, FLAT_KERNEL_CS & ~3u, failsafe_entry), 0);
	struct { u16 type, flags; u32 cs, eip; } callback = { 0, 0, FLAT_KERNEL_CS, (u32)event_entry };
	row("callback_op");
	expect("register the event callback", hypercall2(30, 0, &callback), 0);
	callback.type = 1;
	callback.eip = (u32)failsafe_entry;
	expect("register the failsafe callback", hypercall2(30, 0, &callback), 0);
	callback.type = 2;
	expect("register a syscall callback", hypercall2(30, 0, &callback), -ENOSYS);
	struct { u16 type, unused; } which = { 0, 0 };
	expect("unregister the event callback", hypercall2(30, 1, &which), -EINVAL);
	which.type = 77;
	expect("unregister an unknown one", hypercall2(30, 1, &which), -ENOSYS);
	expect("an unreadable argument", hypercall2(30, 0, UNMAPPED_ADDRESS), -EFAULT);
	expect("an unknown command", hypercall2(30, 9, &which), -EINVAL);
	must(HYPERVISOR_set_callbacks(FLAT_KERNEL_CS, event_entry, FLAT_KERNEL_CS, failsafe_entry), "set_callbacks");
}

static void test_vm_assist(void) {
	static const char *const names[] = { "VMASST_TYPE_4gb_segments", "VMASST_TYPE_4gb_segments_notify" };
	for (u32 type = 0; type < 2; type++) {
		row(names[type]);
		expect("enable", HYPERVISOR_vm_assist(VMASST_CMD_enable, type), 0);
		expect("disable", HYPERVISOR_vm_assist(VMASST_CMD_disable, type), 0);
	}
	if (is_302()) /* a 64-bit hypervisor truncates no segments: nothing to assist */
		test_segment_assist();
	row("VMASST_TYPE_pae_extended_cr3");
	expect("enable", HYPERVISOR_vm_assist(VMASST_CMD_enable, 3), by_version(-EINVAL, 0));
	HYPERVISOR_vm_assist(VMASST_CMD_disable, 3);
	row("vm_assist");
	expect("an unknown type", HYPERVISOR_vm_assist(VMASST_CMD_enable, 30), -EINVAL);
	expect("an unknown command", HYPERVISOR_vm_assist(9, 0), -ENOSYS);
}

__asm__(".text\n.globl nmi_entry\n"
	"nmi_entry: incl nmis\n"
	"	jmp hypercall_page + 23 * 32\n");
extern void nmi_entry(void);
u32 nmis;

/* vcpu_op has a call by which a domain sends itself one. */
#define VCPUOP_send_nmi 11
static void test_nmi_delivery(void) {
	struct { u32 address, pad; } callback = { (u32)nmi_entry, 0 };
	row("XENNMI_register_callback");
	must(hypercall2(28, 0, &callback), "nmi_op");
	nmis = 0;
	expect("send one to ourselves", HYPERVISOR_vcpu_op(VCPUOP_send_nmi, 0, NULL), 0);
	expect("NMIs taken", nmis, 1);
	row("XENNMI_unregister_callback");
	must(hypercall2(28, 1, NULL), "nmi_op");
	expect("send one to ourselves", HYPERVISOR_vcpu_op(VCPUOP_send_nmi, 0, NULL), 0);
	expect("NMIs taken", nmis, 1);
}

static void test_nmi(void) {
	struct { u32 address, pad; } callback = { (u32)guest_main, 0 };
	row("XENNMI_register_callback");
	expect("the call", hypercall2(28, 0, &callback), is_302() && !privileged() ? -EINVAL : 0);
	expect("an unreadable argument", hypercall2(28, 0, UNMAPPED_ADDRESS), -EFAULT);
	row("XENNMI_unregister_callback");
	expect("the call", hypercall2(28, 1, NULL), 0);
	if (!is_302())
		test_nmi_delivery();
	row("nmi_op");
	expect("an unknown command", hypercall2(28, 9, NULL), -ENOSYS);
}

static void test_multicall(void) {
	static u32 value;
	struct multicall_entry calls[4] = {
		{ HYPERCALL_xen_version, 99, { XENVER_version, 0, 0, 0, 0, 0 } },
		{ HYPERCALL_xen_version, 99, { 77, 0, 0, 0, 0, 0 } },
		{ HYPERCALL_multicall, 99, { (u32)calls, 1, 0, 0, 0, 0 } },
		{ HYPERCALL_xen_version, 99, { XENVER_platform_parameters, (u32)&value, 0, 0, 0, 0 } },
	};
	row("multicall");
	expect("four calls", HYPERVISOR_multicall(calls, 4), 0);
	holds("result of the first: the version", calls[0].result == xen_version());
	expect("of the second, which is unknown", (long)(s32)calls[1].result, -ENOSYS);
	expect("of a nested multicall", (long)(s32)calls[2].result, -EINVAL);
	expect("of the fourth, after two failures", (long)(s32)calls[3].result, 0);
	holds("it has done its work", value == HYPERVISOR_VIRT_START);
	expect("none", HYPERVISOR_multicall(calls, 0), 0);
	expect("a list in the hypervisor", HYPERVISOR_multicall(HYPERVISOR_ADDRESS, 1), -EFAULT);
	expect("an unreadable list", HYPERVISOR_multicall(UNMAPPED_ADDRESS, 1), -EFAULT);
	row("an unassigned hypercall");
	expect("number 11", hypercall1(11, 0), -ENOSYS);
	expect("number 55", hypercall1(55, 0), -ENOSYS);
}

void test_misc(void) {
	test_console_io();
	test_xen_version();
	test_callbacks();
	test_failsafe();
	test_vm_assist();
	test_nmi();
	test_multicall();
	test_platform();
}
