/* irq.c: the registered vcpu_info, event channels, the clock and its single shots. */
#include "linuxlike.h"

/* Its own cache line of a percpu page; only this copy is used once it is registered. */
struct vcpu_info vcpu_page_info __attribute__((aligned(64)));
volatile struct vcpu_info *vcpu;
volatile struct shared_info *shared;
static void (*handlers[1024])(u32);
static struct runstate_info runstate __attribute__((aligned(64)));
volatile u32 timer_ticks, ipi_count;
u32 ipi_port;
static u32 timer_port;
void use_toolstack_tables(void);

void irq_off(void) {
	vcpu->evtchn_upcall_mask = 1;
	barrier();
}
void irq_on(void) {
	barrier();
	vcpu->evtchn_upcall_mask = 0;
	barrier();
	if (vcpu->evtchn_upcall_pending)
		HYPERVISOR_xen_version(XENVER_version, NULL); /* the old "deliver what is pending" */
}
int irq_save(void) {
	int mask = vcpu->evtchn_upcall_mask;
	irq_off();
	return mask;
}
void irq_restore(int mask) {
	if (!mask)
		irq_on();
}

void map_shared_info(void) {
	use_toolstack_tables();
	shared = fixmap(0, (u64)start->shared_info | KERNEL_RW);
	vcpu = &shared->vcpu_info[0];
}

void register_vcpu_info(void) {
	struct { u64 mfn; u32 offset, reserved; } arg = { va_mfn(&vcpu_page_info), (u32)&vcpu_page_info & 4095, 0 };
	check_is("register_vcpu_info", HYPERVISOR_vcpu_op(VCPUOP_register_vcpu_info, 0, &arg), 0);
	vcpu = &vcpu_page_info;
	check_is("register_vcpu_info: the mask came along", vcpu->evtchn_upcall_mask, 1);
	check("register_vcpu_info: everything is looked at once", vcpu->evtchn_upcall_pending == 1 && vcpu->evtchn_pending_sel == ~0u);
	check("register_vcpu_info: the clock lives there", vcpu->time.tsc_to_system_mul != 0);
	check("register_vcpu_info: irrevocable", HYPERVISOR_vcpu_op(VCPUOP_register_vcpu_info, 0, &arg) == -EINVAL);
	arg.offset = 4096 - 60;
	check("register_vcpu_info: over the page's end", HYPERVISOR_vcpu_op(VCPUOP_register_vcpu_info, 0, &arg) == -ENXIO);
	shared->vcpu_info[0].evtchn_upcall_mask = 1; /* the old copy is dead: this must not matter */
	check_is("is_up 0", HYPERVISOR_vcpu_op(VCPUOP_is_up, 0, NULL), 1);
	check("is_up 31: no such cpu", HYPERVISOR_vcpu_op(VCPUOP_is_up, 31, NULL) == -ENOENT);
}

/* ---- upcalls */
static u32 exchange(volatile u32 *word, u32 value) {
	__asm__ volatile("xchgl %0, %1" : "+r"(value), "+m"(*word) : : "memory");
	return value;
}

void upcall(struct regs *regs) {
	(void)regs;
	vcpu->evtchn_upcall_pending = 0;
	u32 words = exchange(&vcpu->evtchn_pending_sel, 0);
	for (u32 word = 0; words; word++, words >>= 1) {
		u32 ready;
		if (!(words & 1))
			continue;
		while ((ready = shared->evtchn_pending[word] & ~shared->evtchn_mask[word]) != 0) {
			u32 port = word * 32 + __builtin_ctz(ready);
			/* mask and clear, handle, unmask by hand */
			__asm__ volatile("lock btsl %1, %0" : "+m"(shared->evtchn_mask[word]) : "r"(port & 31) : "memory", "cc");
			__asm__ volatile("lock btrl %1, %0" : "+m"(shared->evtchn_pending[word]) : "r"(port & 31) : "memory", "cc");
			if (handlers[port])
				handlers[port](port);
			__asm__ volatile("lock btrl %1, %0" : "+m"(shared->evtchn_mask[word]) : "r"(port & 31) : "memory", "cc");
		}
	}
}

long event_channel_op(u32 cmd, void *arg, u32 bytes) {
	(void)bytes;
	return hypercall2(HYPERCALL_event_channel_op, cmd, arg);
}
void irq_handler(u32 port, void (*handler)(u32)) { handlers[port] = handler; }
void irq_unmask(u32 port) {
	struct evtchn_port op = { port };
	must(event_channel_op(EVTCHNOP_unmask, &op, sizeof op), "unmask");
}
void irq_send(u32 port) {
	struct evtchn_port op = { port };
	must(event_channel_op(EVTCHNOP_send, &op, sizeof op), "send");
}

static void count_ipi(u32 port) { (void)port; ipi_count++; }
static void count_tick(u32 port) { (void)port; timer_ticks++; }
static void ignore(u32 port) { (void)port; }

u64 clock_ns(void) {
	volatile struct vcpu_time_info *info = &vcpu->time;
	u32 version, low, high;
	u64 since, time;
	do {
		version = info->version;
		barrier();
		__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
		since = ((u64)high << 32 | low) - info->tsc_timestamp;
		if (info->tsc_shift >= 0)
			since <<= info->tsc_shift;
		else
			since >>= -info->tsc_shift;
		time = info->system_time + (since >> 32) * info->tsc_to_system_mul +
		       (((since & 0xffffffffu) * info->tsc_to_system_mul) >> 32);
		barrier();
	} while ((version & 1) || version != info->version);
	return time;
}

static long single_shot(u64 at) {
	struct { u64 at; u32 flags; } arg = { at, 0 };
	return HYPERVISOR_vcpu_op(VCPUOP_set_singleshot_timer, 0, &arg);
}

void sleep_ns(u64 ns) {
	u64 until = clock_ns() + ns;
	for (;;) {
		irq_off();
		if (clock_ns() >= until)
			break;
		must(single_shot(until), "set_singleshot_timer");
		must(HYPERVISOR_sched_op(SCHEDOP_block, NULL), "block");
	}
	irq_on();
}

void irq_start(void) {
	struct { u64 control_gfn; u32 offset, vcpu; u8 link_bits, pad[7]; } fifo = { va_mfn(&runstate), 0, 0, 0, { 0 } };
	struct { u32 address; u32 high; } area = { (u32)&runstate, 0 };
	struct evtchn_bind_ipi ipi = { 0, 0 };
	struct evtchn_bind_virq virq = { VIRQ_TIMER, 0, 0 };
	struct evtchn_alloc_unbound unbound = { DOMID_SELF, 0, 0 };
	u32 bytes[2] = { va_mfn(&runstate), 0 };
	for (u32 i = 0; i < 32; i++)
		shared->evtchn_mask[i] = ~0u;
	check("init_control: ENOSYS, so two levels of bits", event_channel_op(EVTCHNOP_init_control, &fifo, sizeof fifo) == -ENOSYS);
	long result = hypercall2(HYPERCALL_physdev_op, PHYSDEVOP_pirq_eoi_gmfn_v2, bytes);
	printf("pirq_eoi_gmfn_v2: %d\n", (int)result);
	check("pirq_eoi_gmfn_v2: taken or refused, no more", result <= 0);
	irq_on();
	check_is("runstate area", HYPERVISOR_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area), 0);
	check_is("runstate area: twice", HYPERVISOR_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area), 0);
	check_is("runstate area: written at once, running", runstate.state, 0);
	check_is("stop_periodic_timer", HYPERVISOR_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
	check_is("stop_singleshot_timer", HYPERVISOR_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
	check_is("bind_virq timer", event_channel_op(EVTCHNOP_bind_virq, &virq, sizeof virq), 0);
	timer_port = virq.port;
	irq_handler(timer_port, count_tick);
	irq_unmask(timer_port);
	check("bind_virq timer: a second time is EEXIST", event_channel_op(EVTCHNOP_bind_virq, &virq, sizeof virq) == -EEXIST);
	check_is("bind_ipi", event_channel_op(EVTCHNOP_bind_ipi, &ipi, sizeof ipi), 0);
	ipi_port = ipi.port;
	irq_handler(ipi_port, count_ipi);
	irq_unmask(ipi_port);
	check_is("alloc_unbound for a front end", event_channel_op(EVTCHNOP_alloc_unbound, &unbound, sizeof unbound), 0);
	struct evtchn_port close = { unbound.port };
	check_is("close", event_channel_op(EVTCHNOP_close, &close, sizeof close), 0);
	irq_handler(start->console_evtchn, ignore);
	irq_unmask(start->console_evtchn);
	check("xenpmu_op: refused", hypercall2(HYPERCALL_xenpmu_op, 4, bytes) < 0);
}

void irq_checks(void) {
	u32 before = ipi_count;
	irq_send(ipi_port);
	check_is("events: an IPI to oneself comes on the way back", ipi_count, before + 1);
	irq_off();
	irq_send(ipi_port);
	check_is("events: masked, it waits", ipi_count, before + 1);
	irq_on();
	check_is("events: xen_version(0) delivers it", ipi_count, before + 2);
	u32 ticks = timer_ticks;
	u64 from = clock_ns();
	sleep_ns(2000000);
	check("time: a single shot ends a block", timer_ticks > ticks && clock_ns() - from >= 2000000 && clock_ns() - from < 4000000);
	check("runstate: blocked time is in the area", runstate.time[2] >= 1900000 && runstate.state == 0);
	check_is("runstate: no update is under way", runstate.state_entry_time >> 63, 0);
	ticks = timer_ticks;
	check_is("time: a single shot in the past is no error", single_shot(clock_ns() - 5000), 0);
	HYPERVISOR_xen_version(XENVER_version, NULL);
	check_is("time: and fires at once", timer_ticks, ticks + 1);
	/* Paravirtual locks poll with events enabled as well as masked; any result but 0 would be a panic. */
	struct sched_poll poll = { &ipi_port, 1, clock_ns() + 300000 };
	from = clock_ns();
	check_is("poll: mask 0, times out, returns 0", HYPERVISOR_sched_op(SCHEDOP_poll, &poll), 0);
	check("poll: it waited", clock_ns() - from >= 250000);
	irq_off();
	poll.timeout = clock_ns() + 300000;
	check_is("poll: masked, times out, returns 0", HYPERVISOR_sched_op(SCHEDOP_poll, &poll), 0);
	irq_send(ipi_port);
	poll.timeout = 0;
	check_is("poll: a pending port ends it at once", HYPERVISOR_sched_op(SCHEDOP_poll, &poll), 0);
	irq_on();
	check_is("yield", HYPERVISOR_sched_op(SCHEDOP_yield, NULL), 0);
	check("wallclock", (shared->wc_version & 1) == 0 && shared->wc_version != 0);
}
