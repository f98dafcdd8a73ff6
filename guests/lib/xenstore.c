/*
 * xenstore.c: one request at a time over the store's ring page. A message is a 16-byte header (type, request id,
 * transaction id, length) and its payload; either may be split where the ring is full.
 */
#include "xenstore.h"
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"

#define XS_DIRECTORY 1
#define XS_READ 2
#define XS_WRITE 11
#define XS_SET_PERMS 14
#define XS_ERROR 16

struct message { u32 type, req_id, tx_id, len; };

static volatile struct store_ring *ring;
static u32 next_id;

static void store_event(u32 port) { (void)port; /* only ends the wait below */ }

static void start_store(void) {
	if (ring)
		return;
	ring = (volatile struct store_ring *)pfn_to_va(mfn_to_pfn(start->store_mfn));
	event_set_handler(start->store_evtchn, store_event);
	event_unmask(start->store_evtchn);
}

static void send_bytes(const void *bytes, u32 count) {
	const char *from = bytes;
	for (; count; count--) {
		while (ring->req_prod - ring->req_cons >= sizeof ring->req) {
			event_send(start->store_evtchn);
			sched_yield();
		}
		ring->req[ring->req_prod % sizeof ring->req] = *from++;
		barrier();
		ring->req_prod++;
	}
}

static void receive_bytes(void *bytes, u32 count) {
	char *to = bytes;
	for (; count; count--) {
		for (;;) {
			events_disable();
			if (ring->rsp_prod != ring->rsp_cons)
				break;
			sched_block();
		}
		events_enable();
		char c = ring->rsp[ring->rsp_cons % sizeof ring->rsp];
		barrier();
		ring->rsp_cons++;
		if (to)
			*to++ = c;
	}
	event_send(start->store_evtchn);
}

/* One exchange. The reply's payload goes to `reply`, cut to size and NUL-terminated. Its length, or -1 for an error. */
static int ask(u32 type, const char *a, u32 a_length, const char *b, u32 b_length, char *reply, u32 size) {
	struct message message = { type, ++next_id, 0, a_length + b_length };
	if (is_initial_domain())
		return -1;
	start_store();
	send_bytes(&message, sizeof message);
	send_bytes(a, a_length);
	send_bytes(b, b_length);
	event_send(start->store_evtchn);
	receive_bytes(&message, sizeof message);
	u32 kept = message.len < size ? message.len : size - 1;
	receive_bytes(reply, kept);
	if (message.len > kept)
		receive_bytes(NULL, message.len - kept);
	reply[kept] = 0;
	return message.type == XS_ERROR ? -1 : (int)kept;
}

int store_read(const char *path, char *value, u32 size) {
	return ask(XS_READ, path, strlen(path) + 1, NULL, 0, value, size) < 0 ? -1 : 0;
}

int store_write(const char *path, const char *value) {
	char reply[16];
	return ask(XS_WRITE, path, strlen(path) + 1, value, strlen(value), reply, sizeof reply) < 0 ? -1 : 0;
}

int store_list(const char *path, char *names, u32 size) {
	return ask(XS_DIRECTORY, path, strlen(path) + 1, NULL, 0, names, size);
}

static u32 put_decimal(char *to, u32 value) {
	char digits[10];
	u32 n = 0, length;
	do
		digits[n++] = '0' + value % 10;
	while (value /= 10);
	for (length = 0; n; length++)
		to[length] = digits[--n];
	to[length] = 0;
	return length;
}

int store_publish(const char *path) {
	char own[16], permissions[16], reply[16];
	if (store_read("domid", own, sizeof own) < 0)
		return -1;
	permissions[0] = 'r';
	return ask(XS_SET_PERMS, path, strlen(path) + 1, permissions, 1 + put_decimal(permissions + 1, parse_number(own)) + 1,
		   reply, sizeof reply) < 0 ? -1 : 0;
}

int store_allow(const char *path, u32 domid, int may_write) {
	char own[16], permissions[32], reply[16];
	u32 at;
	/* The first entry names the owner and what everybody else may do: nothing. */
	if (store_read("domid", own, sizeof own) < 0)
		return -1;
	permissions[0] = 'n';
	at = 1 + put_decimal(permissions + 1, parse_number(own)) + 1;
	permissions[at] = may_write ? 'b' : 'r';
	at += 1 + put_decimal(permissions + at + 1, domid) + 1;
	return ask(XS_SET_PERMS, path, strlen(path) + 1, permissions, at, reply, sizeof reply) < 0 ? -1 : 0;
}
