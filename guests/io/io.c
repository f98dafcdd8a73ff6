/*
 * io.c: a driver domain in small. Ports, physical interrupts and non-maskable ones, as the initial domain has them, and
 * what an ordinary domain gets instead.
 *
 * Two rights decide about a port: the guest's own (the virtual IOPL that SET_IOPL gives; without it IN is #GP) and the
 * administrator's (without it IN reads all ones). A line becomes an event channel by bind_pirq. A level-triggered line
 * then stays silent from its delivery until the guest has told that it is done.
 *
 *   presses=N  waits for N presses of the lab button (3)        nmis=N   waits for N NMIs (1)
 *   debug=N    waits for N events of VIRQ_DEBUG (0)         states=N waits for N comings and goings of CPUs (0)
 */
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "time.h"
#include "trap.h"

#define EVTCHNOP_bind_pirq 2
struct evtchn_bind_pirq { u32 pirq, flags, port; };
#define PHYSDEVOP_IRQ_UNMASK_NOTIFY 4
#define PHYSDEVOP_IRQ_STATUS_QUERY 5
#define PHYSDEVOP_SET_IOPL 6
#define PHYSDEVOP_APIC_READ 8
#define PHYSDEVOP_ASSIGN_VECTOR 10
#define PHYSDEVOP_eoi 12
#define XENNMI_register_callback 0
#define XENNMI_unregister_callback 1
#define HYPERCALL_nmi_op 28

#define RTC_IRQ 8
#define UART_IRQ 4
#define UART 0x3f8
#define BUTTON_IRQ 11
#define BUTTON_PORT 0x2a0

static u32 checks, wrong;

static void check(int right, const char *what) {
	checks++;
	if (!right) {
		printf("WRONG: %s\n", what);
		wrong++;
	}
}

static inline u8 in_byte(u16 port) {
	u8 value;
	__asm__ volatile("inb %%dx, %%al" : "=a"(value) : "d"(port) : "memory");
	return value;
}
static inline void out_byte(u16 port, u8 value) {
	__asm__ volatile("outb %%al, %%dx" : : "a"(value), "d"(port) : "memory");
}

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

static long bind_pirq(u32 pirq, u32 *port) {
	struct evtchn_bind_pirq op = { pirq, 0, 0 };
	long result = event_channel_op(EVTCHNOP_bind_pirq, &op, sizeof op);
	*port = op.port;
	return result;
}
static void close_port(u32 port) {
	struct evtchn_port op = { port };
	event_mask(port);
	must(event_channel_op(EVTCHNOP_close, &op, sizeof op), "EVTCHNOP_close");
}
static u32 listen(u32 pirq, event_handler handler) {
	u32 port;
	must(bind_pirq(pirq, &port), "EVTCHNOP_bind_pirq");
	event_set_handler(port, handler);
	event_unmask(port);
	return port;
}
/* "I am done with this line": 3.0.2 ends whatever is in service and unmasked, later Xens one line. */
static void end_of_interrupt(u32 irq) {
#ifdef XEN_302
	u32 nothing = 0;
	(void)irq;
	must(physdev_op(PHYSDEVOP_IRQ_UNMASK_NOTIFY, &nothing, sizeof nothing), "IRQ_UNMASK_NOTIFY");
#else
	must(physdev_op(PHYSDEVOP_eoi, &irq, sizeof irq), "PHYSDEVOP_eoi");
#endif
}

/* ---- the guest's own right */
static u32 refused_ins;
static void skip_in(struct regs *regs) {
	refused_ins++;
	regs->eip++; /* IN from DX is one byte */
}

static void get_io_privilege(void) {
	u32 iopl = 1;
	trap_handler before = trap_set_handler(13, skip_in);
	in_byte(BUTTON_PORT);
	trap_set_handler(13, before);
	check(refused_ins == 1, "IN without I/O privilege is a general protection fault");
	must(physdev_op(PHYSDEVOP_SET_IOPL, &iopl, sizeof iopl), "SET_IOPL");
	in_byte(0x80);
	check(refused_ins == 1, "with a virtual IOPL of 1 it is not");
	printf("ports: a fault at IOPL 0, none at IOPL 1\n");
}

/* ---- the clock */
static u8 rtc_read(u8 index) {
	out_byte(0x70, index);
	return in_byte(0x71);
}
static void rtc_write(u8 index, u8 value) {
	out_byte(0x70, index);
	out_byte(0x71, value);
}
static u32 from_bcd(u8 value) { return (value >> 4) * 10 + (value & 15); }

static u32 days_since_1970(u32 year, u32 month, u32 day) {
	static const u16 before[12] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	u32 leap_days = (year - 1969) / 4 - (year - 1901) / 100 + (year - 1601) / 400;
	int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return (year - 1970) * 365 + leap_days + before[month - 1] + (leap && month > 2) + day - 1;
}

static void show_time_of_day(void) {
	u32 year = from_bcd(rtc_read(0x32)) * 100 + from_bcd(rtc_read(9));
	u32 month = from_bcd(rtc_read(8)), day = from_bcd(rtc_read(7));
	u32 hour = from_bcd(rtc_read(4)), minute = from_bcd(rtc_read(2)), second = from_bcd(rtc_read(0));
	volatile u32 *wall_clock_seconds = (u32 *)((u8 *)shared_info() + 2308);
	u32 rtc = days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	u32 xen = *wall_clock_seconds + (u32)divide64(system_time(), 1000000000);
	printf("clock: %d-%02d-%02d %02d:%02d:%02d, %s with shared_info\n", year, month, day, hour, minute, second,
	       xen - rtc <= 1 ? "agrees" : "does not agree");
	check(xen - rtc <= 1, "the clock chip shows the wall clock");
}

static volatile u32 clock_interrupts;
static u32 clock_acknowledge;
static volatile u32 clock_wanted, clock_done;
static void clock_interrupt(u32 port) {
	(void)port;
	clock_interrupts++;
	if (clock_acknowledge)
		check((rtc_read(0x0c) & 0xc0) == 0xc0, "register C names the periodic interrupt");
	if (clock_interrupts >= clock_wanted)
		clock_done = 1;
}

static void use_clock(void) {
	struct evtchn_status status = { .dom = DOMID_SELF };
	u32 again;
	u64 began, took;
	u32 port = listen(RTC_IRQ, clock_interrupt);
	status.port = port;
	must(event_channel_op(EVTCHNOP_status, &status, sizeof status), "EVTCHNOP_status");
	check(status.status == EVTCHNSTAT_pirq && status.detail[0] == RTC_IRQ && status.vcpu == 0,
	      "the port is bound to PIRQ 8 and notifies vcpu 0");
	check(bind_pirq(RTC_IRQ, &again) == -EEXIST, "a second port for the line is refused");

	rtc_read(0x0c);
	clock_acknowledge = 1;
	clock_wanted = 16;
	rtc_write(0x0a, 0x2a); /* 64 a second */
	began = system_time();
	rtc_write(0x0b, rtc_read(0x0b) | 0x40);
	wait_until(&clock_done);
	took = system_time() - began;
	printf("clock: %d interrupts of 1/64 s in %d ms\n", clock_interrupts, (u32)divide64(took, 1000000));
	check(took >= MILLISECONDS(250) && took < MILLISECONDS(251), "16 periods of 1/64 s are 250 ms");

	/* The line stays up until register C is read: no edge, no event. */
	clock_acknowledge = 0;
	clock_interrupts = 0;
	sleep_until(system_time() + MILLISECONDS(100));
	printf("clock: register C not read, %d interrupt in 100 ms\n", clock_interrupts);
	check(clock_interrupts == 1, "an edge line that is not acknowledged has no further edge");
	close_port(port);
	rtc_read(0x0c);
	sleep_until(system_time() + MILLISECONDS(50));
	check(clock_interrupts == 1, "a closed port hears nothing");
	rtc_write(0x0b, rtc_read(0x0b) & ~0x40);
}

/* ---- the serial line */
static const char *volatile to_send;
static volatile u32 sent_all, uart_interrupts;
static void uart_interrupt(u32 port) {
	(void)port;
	uart_interrupts++;
	if (in_byte(UART + 2) & 1)
		return; /* no cause */
	/* Reading the cause took it back; a byte that has left is a new one, and a new edge. */
	if (*to_send)
		out_byte(UART, *to_send++);
	else {
		out_byte(UART + 1, 0);
		sent_all = 1;
	}
}

static void use_uart(void) {
	static const char text[] = "uart: this line went out byte by byte, one interrupt each\n";
	u32 port, i, wrong_bytes = 0;

	out_byte(UART + 7, 0xa5);
	check(in_byte(UART + 7) == 0xa5, "the scratch register keeps its byte");
	out_byte(UART + 2, 0x07); /* FIFOs on and empty */
	out_byte(UART + 4, 0x1b); /* loopback, DTR RTS OUT2 */
	check((in_byte(UART + 6) & 0xf0) == 0xb0, "in loopback the modem outputs come back as inputs");
	for (i = 0; i < 17; i++)
		out_byte(UART, 0x40 + i);
	check((in_byte(UART + 5) & 0x63) == 0x63, "17 bytes overrun the FIFO, and tell");
	check((in_byte(UART + 5) & 0x02) == 0, "reading the line status clears the overrun");
	for (i = 0; i < 16; i++)
		wrong_bytes += in_byte(UART) != 0x40 + i;
	check(wrong_bytes == 0 && (in_byte(UART + 5) & 1) == 0, "16 bytes came back in order, the 17th is lost");
	printf("uart: 16550, loopback of 16 bytes %s\n", wrong_bytes ? "failed" : "is right");

	to_send = text;
	port = listen(UART_IRQ, uart_interrupt);
	out_byte(UART + 4, 0x0b); /* out of loopback; OUT2 lets interrupts through */
	out_byte(UART + 1, 0x02); /* the transmitter is empty: the first interrupt */
	wait_until(&sent_all);
	check(uart_interrupts == sizeof text, "the transmitter interrupted for each byte, and when it had sent the last");
	close_port(port);
	out_byte(UART + 4, 0x03);
}

static void show_io_apic(void) {
	struct { u32 base, reg, value; } apic = { 0xfec00000, 1, 0 };
	struct { u32 irq, vector; } assign = { BUTTON_IRQ, 0 };
	must(physdev_op(PHYSDEVOP_APIC_READ, &apic, sizeof apic), "APIC_READ");
	printf("io-apic: version %02x, %d entries", apic.value & 0xff, ((apic.value >> 16) & 0xff) + 1);
	apic.reg = 0x10 + 2 * BUTTON_IRQ;
	must(physdev_op(PHYSDEVOP_APIC_READ, &apic, sizeof apic), "APIC_READ");
	must(physdev_op(PHYSDEVOP_ASSIGN_VECTOR, &assign, sizeof assign), "ASSIGN_VECTOR");
	printf(", line %d is %s-triggered\n", BUTTON_IRQ, apic.value & 0x8000 ? "level" : "edge");
	check(apic.value & 0x8000, "the button's line is level-triggered");
	check(assign.vector != 0, "the line has a vector");
	apic.base = 0xfec01000;
	check(physdev_op(PHYSDEVOP_APIC_READ, &apic, sizeof apic) == -EINVAL, "there is no second IO-APIC");
}

/* ---- non-maskable interrupts, and the debug key */
extern void nmi_entry(void);
static volatile u32 nmis, nmi_reasons;
/* Called by nmi.S. */
void nmi_taken(void) {
	volatile u32 *reason = (u32 *)((u8 *)shared_info() + 2324);
	nmi_reasons |= *reason;
	*reason = 0;
	nmis++;
}
static volatile u32 debug_events;
static void debug_event(u32 port) {
	(void)port;
	debug_events++;
}

/* ---- the lab button. What is done with each press differs, to show what the end of an interrupt is for. */
static volatile u32 presses, button_interrupts, button_heard;
static u32 leave_in_service, end_before_reading;
static void button_interrupt(u32 port) {
	(void)port;
	button_interrupts++;
	if (end_before_reading) {
		end_before_reading = 0;
		end_of_interrupt(BUTTON_IRQ); /* the line is still up: it interrupts again */
		return;
	}
	presses += in_byte(BUTTON_PORT); /* the line goes down */
	if (!leave_in_service)
		end_of_interrupt(BUTTON_IRQ);
	button_heard = 1;
}
static void wait_for_press(void) {
	wait_until(&button_heard);
	button_heard = 0;
}

static void use_button(u32 wanted) {
	struct { u32 irq, flags; } query = { BUTTON_IRQ, 0 };
	must(physdev_op(PHYSDEVOP_IRQ_STATUS_QUERY, &query, sizeof query), "IRQ_STATUS_QUERY");
	check(query.flags & 1, "the end of the button's interrupt must be told");
	leave_in_service = 1;
	listen(BUTTON_IRQ, button_interrupt);
	printf("button: press the lab button %d times\n", wanted);
	wait_for_press();
	printf("button: pressed; its interrupt is not ended, so the next press will not be heard\n");
	check(presses == 1 && button_interrupts == 1, "a press is one interrupt");
	if (wanted > 1) {
		while (presses == 1) { /* only looking tells */
			sleep_until(system_time() + MILLISECONDS(10));
			presses += in_byte(BUTTON_PORT);
		}
		printf("button: pressed again; seen by looking, %d interrupts so far\n", button_interrupts);
		check(button_interrupts == 1, "a line in service is silent");
	}
	leave_in_service = 0;
	end_of_interrupt(BUTTON_IRQ);
	sleep_until(system_time() + MILLISECONDS(1));
	check(button_interrupts == 1, "the line is down: its end brings nothing");
	while (presses < wanted) {
		u32 before = button_interrupts;
		end_before_reading = 1;
		wait_for_press();
		printf("button: pressed; ended before the button was asked, it interrupted twice\n");
		check(button_interrupts == before + 2, "a level that is still there interrupts again");
	}
	printf("button: %d presses, %d interrupts\n", presses, button_interrupts);
}

/* ---- physical CPUs. The initial domain of a 4.17 sends them off line and back, and hears of it whoever did it. */
#define HYPERCALL_platform_op 7
#define XENPF_get_cpuinfo 55
#define XENPF_cpu_online 56
#define XENPF_cpu_offline 57
#define XENPF_INTERFACE_VERSION 0x03000001
#define VIRQ_PCPU_STATE 9
#define EOPNOTSUPP 95
static struct { u32 cmd, version, cpu, last, flags, rest[29]; } platform;

static long platform_op(u32 cmd, u32 cpu) {
	platform.cmd = cmd;
	platform.version = XENPF_INTERFACE_VERSION;
	platform.cpu = cpu;
	return hypercall1(HYPERCALL_platform_op, &platform);
}
static int is_on_line(u32 cpu) {
	must(platform_op(XENPF_get_cpuinfo, cpu), "XENPF_get_cpuinfo");
	return platform.flags == 1;
}
static volatile u32 cpu_changes;
static void cpu_changed(u32 port) {
	(void)port;
	cpu_changes++;
}

static void use_cpus(u32 wanted) {
	u32 port, last;
	if (xen_version() >> 16 == 3) {
		struct evtchn_bind_virq bind = { VIRQ_PCPU_STATE, 0, 0 };
		check(event_channel_op(EVTCHNOP_bind_virq, &bind, sizeof bind) == -EINVAL, "3.0.2 has no such VIRQ");
		return;
	}
	port = bind_virq(VIRQ_PCPU_STATE);
	event_set_handler(port, cpu_changed);
	event_unmask(port);
	check(is_on_line(0), "CPU 0 is on line");
	last = platform.last;
	check(platform_op(XENPF_cpu_offline, 0) == -EOPNOTSUPP, "CPU 0 stays");
	check(platform_op(XENPF_cpu_offline, last + 1) == -EINVAL, "there is none behind the last");
	check(cpu_changes == 0, "nothing has changed");
	if (last == 0) {
		printf("cpus: one, which stays\n");
	} else {
		must(platform_op(XENPF_cpu_offline, last), "XENPF_cpu_offline");
		check(cpu_changes == 1 && !is_on_line(last), "it has gone, and that was told");
		must(platform_op(XENPF_cpu_online, last), "XENPF_cpu_online");
		check(cpu_changes == 2 && is_on_line(last), "it is back, and that was told");
		printf("cpus: %d, the last one sent off line and back: %d events\n", last + 1, cpu_changes);
	}
	if (wanted)
		printf("cpus: take one off line and bring it back, until %d changes are seen\n", wanted);
	for (u32 seen = cpu_changes, until = seen + wanted; seen < until;) {
		sleep_until(system_time() + MILLISECONDS(10));
		if (seen == cpu_changes)
			continue;
		seen = cpu_changes;
		printf("cpus:");
		for (u32 cpu = 0; cpu <= last; cpu++)
			printf(" %d %s line%s", cpu, is_on_line(cpu) ? "on" : "off", cpu < last ? "," : "\n");
	}
	close_port(port);
}

static void ordinary_domain(void) {
	struct { u32 base, reg, value; } apic = { 0xfec00000, 1, 0 };
	struct { u32 irq, vector; } assign = { RTC_IRQ, 0 };
	u32 port;
	check(in_byte(UART + 5) == 0xff && rtc_read(0) == 0xff, "reads all ones without the administrator's right");
	printf("ports: all ones, the devices belong to another\n");
	check(bind_pirq(RTC_IRQ, &port) == -EPERM, "no right to the line");
	check(bind_pirq(256, &port) == -EINVAL, "no such line");
	printf("bind_pirq: refused\n");
	check(physdev_op(PHYSDEVOP_APIC_READ, &apic, sizeof apic) == -EPERM, "the IO-APIC is not for everybody");
	check(physdev_op(PHYSDEVOP_ASSIGN_VECTOR, &assign, sizeof assign) == -EPERM, "nor are vectors");
	printf("io-apic: refused\n");
}

static u32 number_option(const char *name, u32 otherwise) {
	return option(name) ? parse_number(option(name)) : otherwise;
}

void guest_main(void) {
	struct { void (*handler)(void); u32 pad; } callback = { nmi_entry, 0 };
	u32 wanted_presses = number_option("presses", 3), wanted_nmis = number_option("nmis", 1);
	u32 wanted_debug = number_option("debug", 0), wanted_states = number_option("states", 0);
	u32 debug_port = bind_virq(VIRQ_DEBUG);

	event_set_handler(debug_port, debug_event);
	event_unmask(debug_port);
	printf("io: %s domain\n", is_initial_domain() ? "the initial" : "an ordinary");
	get_io_privilege();
	if (is_initial_domain()) {
		must(hypercall2(HYPERCALL_nmi_op, XENNMI_register_callback, &callback), "XENNMI_register_callback");
		show_time_of_day();
		use_clock();
		use_uart();
		show_io_apic();
		use_button(wanted_presses);
		/* An NMI asks for no mask: look again and again, or it might come between a look and a block. */
		if (nmis < wanted_nmis)
			printf("nmi: send %d\n", wanted_nmis);
		while (nmis < wanted_nmis)
			sleep_until(system_time() + MILLISECONDS(10));
		printf("nmi: %d taken\n", nmis);
		check(wanted_nmis == 0 || nmi_reasons == 4, "the reason is unknown, as a button's is");
		must(hypercall2(HYPERCALL_nmi_op, XENNMI_unregister_callback, NULL), "XENNMI_unregister_callback");
		use_cpus(wanted_states);
	} else
		ordinary_domain();
	while (debug_events < wanted_debug)
		sleep_until(system_time() + MILLISECONDS(10));
	if (wanted_debug)
		printf("debug: %d events\n", debug_events);
	printf("io: %s, %s\n", checks >= 20 || !is_initial_domain() ? "everything tried" : "not everything tried",
	       wrong ? "something is WRONG" : "all as expected");
}
