/* main.c: the groups in the seed's order, and the count. */
#include "conformance.h"

static const char *current_row = "?";
static u32 lines, wrong, skipped_rules;
u32 skip_to, skipped;

static const struct { int value; const char *name; } errnos[] = {
	{ EPERM, "EPERM" }, { ENOENT, "ENOENT" }, { ESRCH, "ESRCH" }, { ENXIO, "ENXIO" }, { E2BIG, "E2BIG" },
	{ ENOMEM, "ENOMEM" }, { EACCES, "EACCES" }, { EFAULT, "EFAULT" }, { EBUSY, "EBUSY" }, { EEXIST, "EEXIST" },
	{ ENODEV, "ENODEV" }, { EINVAL, "EINVAL" }, { ENOSPC, "ENOSPC" }, { ENOSYS, "ENOSYS" },
	{ EOPNOTSUPP, "EOPNOTSUPP" },
};

static void print_value(long value) {
	if (value > 0 && (value & 0x40000000)) {
		printf("fault %d code %x", (int)(value >> 16 & 0xff), (u32)value & 0xffff);
		return;
	}
	for (u32 i = 0; i < ARRAY_LENGTH(errnos); i++)
		if (value == -errnos[i].value) {
			printf("%s", errnos[i].name);
			return;
		}
	printf("%d", (int)value);
}

void row(const char *name) { current_row = name; }
int is_302(void) { return xen_version() >> 16 == 3; }

void expect(const char *what, long got, long wanted) {
	lines++;
	printf("%s: %s = ", current_row, what);
	print_value(got);
	if (got == wanted) {
		printf(" ok\n");
		return;
	}
	wrong++;
	printf(" WRONG, expected ");
	print_value(wanted);
	printf("\n");
}

void holds(const char *what, int it_does) {
	lines++;
	wrong += !it_does;
	printf("%s: %s = %s\n", current_row, what, it_does ? "yes ok" : "no WRONG");
}

void fact(const char *what, const char *value) { printf("%s: %s = %s\n", current_row, what, value); }

void not_here(const char *what, const char *why) {
	skipped_rules++;
	printf("%s: %s: not tried, %s\n", current_row, what, why);
}

long event_op_at(u32 cmd, void *arg) {
#ifdef XEN_302
	/* The command is in the struct, so an unreadable struct has none: only the address counts. */
	(void)cmd;
	return hypercall1(HYPERCALL_event_channel_op_compat, arg);
#else
	return hypercall2(HYPERCALL_event_channel_op, cmd, arg);
#endif
}

/* An instruction that TRY runs has faulted: go on behind it. */
static void skip(struct regs *regs) {
	if (!skip_to || from_user(regs))
		trap_report(regs);
	skipped = FAULT(regs->vector, regs->error & 0xffff);
	regs->eip = skip_to;
	skip_to = 0;
}

static const struct { const char *name; void (*test)(void); } groups[] = {
	{ "processor-state", test_processor_state },
	{ "event-channels", test_event_channels },
	{ "scheduling", test_scheduling },
	{ "vcpus", test_vcpus },
	{ "descriptors", test_descriptors },
	{ "cpu-control", test_cpu_control },
	{ "stack", test_stack },
	{ "io", test_io },
	{ "timer", test_timer },
	{ "mmu", test_mmu },
	{ "memory", test_memory },
	{ "grants", test_grants },
	{ "misc", test_misc },
};

/* Is `name` in the list that the command line gives by only=, separated by commas? Without a list all are. */
static int wanted(const char *name) {
	const char *list = option("only");
	u32 length = strlen(name);
	if (!list)
		return 1;
	for (;;) {
		if (strncmp(list, name, length) == 0 && (list[length] == 0 || list[length] == ',' || list[length] == ' '))
			return 1;
		while (*list && *list != ',' && *list != ' ')
			list++;
		if (*list++ != ',')
			return 0;
	}
}

/* The end that the command line asks for by end=: the happy paths of SCHEDOP_shutdown. */
static void end(void) {
	const char *how = option("end");
	if (!how)
		return;
	if (strncmp(how, "suspend", 7) == 0)
		shutdown(SHUTDOWN_suspend);
	if (strncmp(how, "reboot", 6) == 0)
		shutdown(SHUTDOWN_reboot);
	if (strncmp(how, "crash", 5) == 0)
		shutdown(SHUTDOWN_crash);
	if (strncmp(how, "watchdog", 8) == 0) {
		struct { u32 id, timeout; } watchdog = { 0, 1 };
		must(HYPERVISOR_sched_op(SCHEDOP_watchdog, &watchdog), "SCHEDOP_watchdog");
		console_flush();
		sleep_until(system_time() + MILLISECONDS(5000));
		panic("the watchdog did not come");
	}
}

void guest_main(void) {
	static const u8 caught[] = { 0, 5, 6, 7, 11, 12, 13, 14 };
	u32 version = xen_version();
	for (u32 i = 0; i < sizeof caught; i++)
		trap_set_handler(caught[i], skip);
	printf("conformance: Xen %d.%d, %s, %s forms, %s\n", version >> 16, version & 0xffff, GUEST_ABI,
#ifdef XEN_302
	       "3.0.2",
#else
	       "later",
#endif
	       privileged() ? "initial domain" : "ordinary domain");
	for (u32 i = 0; i < ARRAY_LENGTH(groups); i++)
		if (wanted(groups[i].name))
			groups[i].test();
	printf("conformance: %d lines, %d wrong, %d not tried\n", lines, wrong, skipped_rules);
	end();
}
