/*
 * console.c: the paravirtual console: one shared page with a byte ring each way, and an event channel.
 *
 * Indices run freely; a slot is index mod ring size. The producer stores bytes, then moves its index, then notifies.
 * The initial domain has no ring: it uses the hypervisor's emergency console, console_io.
 */
#include "console.h"
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"

static volatile struct console_ring *ring;

void console_start(void) {
	if (!is_initial_domain())
		ring = (volatile struct console_ring *)pfn_to_va(mfn_to_pfn(start->console_mfn));
}

static void input_event(u32 port) { (void)port; /* only wakes console_getc */ }

void console_listen(void) {
	u32 port;
	if (ring)
		port = start->console_evtchn;
	else
		port = bind_virq(VIRQ_CONSOLE);
	event_set_handler(port, input_event);
	event_unmask(port);
}

/* The daemon may be slow: give way until there is room. */
static void ring_putc(char c) {
	while (ring->out_prod - ring->out_cons >= sizeof ring->out) {
		event_send(start->console_evtchn);
		sched_yield();
	}
	ring->out[ring->out_prod % sizeof ring->out] = c;
	barrier();
	ring->out_prod++;
}

void console_write(const char *text, u32 bytes) {
	if (!ring) {
		HYPERVISOR_console_io(CONSOLEIO_write, bytes, (void *)text);
		return;
	}
	for (u32 i = 0; i < bytes; i++) {
		if (text[i] == '\n')
			ring_putc('\r');
		ring_putc(text[i]);
	}
	event_send(start->console_evtchn);
}

void console_flush(void) {
	if (!ring)
		return;
	while (ring->out_cons != ring->out_prod) {
		event_send(start->console_evtchn);
		sched_yield();
	}
}

int console_poll(void) {
	char c;
	if (!ring)
		return HYPERVISOR_console_io(CONSOLEIO_read, 1, &c) == 1 ? (u8)c : -1;
	if (ring->in_cons == ring->in_prod)
		return -1;
	c = ring->in[ring->in_cons % sizeof ring->in];
	barrier();
	ring->in_cons++;
	event_send(start->console_evtchn);
	return (u8)c;
}

int console_getc(void) {
	for (;;) {
		int c;
		/* Mask first, then look: an event between the look and the block would be lost otherwise. */
		events_disable();
		c = console_poll();
		if (c >= 0) {
			events_enable();
			return c;
		}
		sched_block(); /* unmasks and blocks in one step */
	}
}

u32 console_gets(char *line, u32 size) {
	u32 length = 0;
	for (;;) {
		int c = console_getc();
		if (c == '\r' || c == '\n') {
			printf("\n");
			line[length] = 0;
			return length;
		}
		if (c == 8 || c == 127) {
			if (length) {
				length--;
				printf("\b \b");
			}
		} else if (c >= ' ' && length + 1 < size) {
			line[length++] = c;
			printf("%c", c);
		}
	}
}
