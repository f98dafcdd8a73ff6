/* console.c: hvc0. Nothing but the ring; a full one is waited for by yielding. */
#include "linuxlike.h"

static volatile struct console_ring *ring;
u32 console_yields;

void console_early(void) { ring = pfn_va(mfn_pfn(start->console_mfn)); }

static u32 room(void) { return sizeof ring->out - (ring->out_prod - ring->out_cons); }

static void put(char c) {
	while (room() == 0) {
		struct evtchn_port op = { start->console_evtchn };
		event_channel_op(EVTCHNOP_send, &op, sizeof op);
		console_yields++;
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
	}
	ring->out[ring->out_prod % sizeof ring->out] = c;
	barrier();
	ring->out_prod++;
}

void console_write(const char *text, u32 bytes) {
	struct evtchn_port op = { start->console_evtchn };
	for (; bytes; bytes--, text++) {
		if (*text == '\n')
			put('\r');
		put(*text);
	}
	event_channel_op(EVTCHNOP_send, &op, sizeof op);
}

void console_checks(void) {
	u32 before = console_yields, to;
	/* More than the ring holds, without a notification until it is full; again if the daemon happened to look. */
	for (u32 round = 0; round < 4 && console_yields == before; round++)
		for (u32 line = 0; line < 40; line++) {
			for (u32 i = 0; i < 61; i++)
				put('a' + (line + i) % 26);
			put('\r');
			put('\n');
		}
	check("console: a full ring is waited for by yielding", console_yields > before);
	to = ring->out_prod;
	for (u32 i = 0; i < 1000 && ring->out_cons != to; i++)
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
	check("console: the daemon takes everything", ring->out_cons == to);
}

void shutdown(u32 reason) {
	while (ring->out_cons != ring->out_prod)
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
	HYPERVISOR_sched_op(SCHEDOP_shutdown, &reason);
	for (;;)
		;
}
