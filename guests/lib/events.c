/* events.c: taking upcalls, and the calls that make and use ports. Each vcpu has its own mask and pending byte. */
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "smp.h"
#include "trap.h"

static event_handler handlers[1024];
/* Pending bits lie in words that all vcpus share: which ports are whose. vcpu 0 has those that nobody else was given. */
static u32 owned[MAX_VCPUS][32];
void (*after_upcall)(struct regs *regs);

static volatile struct vcpu_info *vcpu(void) { return &shared_info()->vcpu_info[this_vcpu()]; }
static volatile struct shared_info *shared(void) { return shared_info(); }

static inline void clear_bit(volatile u32 *words, u32 bit) {
	__asm__ volatile("lock btrl %1, %0" : "+m"(*words) : "r"(bit) : "memory");
}
static inline void set_bit(volatile u32 *words, u32 bit) {
	__asm__ volatile("lock btsl %1, %0" : "+m"(*words) : "r"(bit) : "memory");
}
static inline u32 lowest_bit(u32 word) {
	u32 bit;
	__asm__("bsfl %1, %0" : "=r"(bit) : "rm"(word));
	return bit;
}

/* Called by entry.S with upcalls masked. Clears from the top down, so that an event set meanwhile is seen again. */
void upcall(struct regs *regs) {
	vcpu()->evtchn_upcall_pending = 0;
	u32 selector = exchange(&vcpu()->evtchn_pending_sel, 0);
	while (selector) {
		u32 word = lowest_bit(selector);
		selector &= selector - 1;
		u32 ready;
		while ((ready = shared()->evtchn_pending[word] & ~shared()->evtchn_mask[word] & owned[this_vcpu()][word]) != 0) {
			u32 port = word * 32 + lowest_bit(ready);
			clear_bit(&shared()->evtchn_pending[word], port & 31);
			if (handlers[port])
				handlers[port](port);
		}
	}
	if (after_upcall)
		after_upcall(regs);
}

void events_start(void) {
	for (u32 i = 0; i < 32; i++) {
		shared()->evtchn_mask[i] = ~0u;
		owned[0][i] = ~0u;
	}
	events_enable();
}

void events_disable(void) {
	vcpu()->evtchn_upcall_mask = 1;
	barrier();
}

void events_enable(void) {
	barrier();
	vcpu()->evtchn_upcall_mask = 0;
	barrier();
	/* An event that came while we were masked made no upcall: any hypercall delivers it. */
	if (vcpu()->evtchn_upcall_pending)
		HYPERVISOR_xen_version(XENVER_version, NULL);
}

u32 events_save_and_disable(void) {
	u32 mask = vcpu()->evtchn_upcall_mask;
	events_disable();
	return mask;
}

void events_restore(u32 mask) {
	if (!mask)
		events_enable();
}

long event_channel_op(u32 cmd, void *arg, u32 bytes) {
#ifdef XEN_302
	struct { u32 cmd; u32 body[6]; } op = { .cmd = cmd };
	memcpy(op.body, arg, bytes);
	long result = hypercall1(HYPERCALL_event_channel_op_compat, &op);
	memcpy(arg, op.body, bytes);
	return result;
#else
	(void)bytes;
	return hypercall2(HYPERCALL_event_channel_op, cmd, arg);
#endif
}

void event_set_handler(u32 port, event_handler handler) { handlers[port] = handler; }
void event_clear(u32 port) { clear_bit(&shared()->evtchn_pending[port / 32], port & 31); }
void event_mask(u32 port) { set_bit(&shared()->evtchn_mask[port / 32], port & 31); }

void event_unmask(u32 port) {
	struct evtchn_port op = { port };
	must(event_channel_op(EVTCHNOP_unmask, &op, sizeof op), "EVTCHNOP_unmask");
}

void event_send(u32 port) {
	struct evtchn_port op = { port };
	must(event_channel_op(EVTCHNOP_send, &op, sizeof op), "EVTCHNOP_send");
}

/* A new port is masked: nobody looks at its bit yet. */
static u32 give(u32 port, u32 vcpu_id) {
	for (u32 id = 0; id < MAX_VCPUS; id++)
		if (id == vcpu_id)
			set_bit(&owned[id][port / 32], port & 31);
		else
			clear_bit(&owned[id][port / 32], port & 31);
	return port;
}

u32 bind_virq_on(u32 virq, u32 vcpu_id) {
	struct evtchn_bind_virq op = { virq, vcpu_id, 0 };
	must(event_channel_op(EVTCHNOP_bind_virq, &op, sizeof op), "EVTCHNOP_bind_virq");
	return give(op.port, vcpu_id);
}

u32 bind_virq(u32 virq) { return bind_virq_on(virq, 0); }

u32 event_bind_ipi(u32 vcpu_id) {
	struct evtchn_bind_ipi op = { vcpu_id, 0 };
	must(event_channel_op(EVTCHNOP_bind_ipi, &op, sizeof op), "EVTCHNOP_bind_ipi");
	return give(op.port, vcpu_id);
}

u32 event_alloc_unbound(u32 remote_dom) {
	struct evtchn_alloc_unbound op = { DOMID_SELF, remote_dom, 0 };
	must(event_channel_op(EVTCHNOP_alloc_unbound, &op, sizeof op), "EVTCHNOP_alloc_unbound");
	return op.port;
}

u32 event_bind_interdomain(u32 remote_dom, u32 remote_port) {
	struct evtchn_bind_interdomain op = { remote_dom, remote_port, 0 };
	must(event_channel_op(EVTCHNOP_bind_interdomain, &op, sizeof op), "EVTCHNOP_bind_interdomain");
	return op.local_port;
}

void wait_until(volatile u32 *condition) {
	for (;;) {
		events_disable();
		if (*condition) {
			events_enable();
			return;
		}
		sched_block();
	}
}
