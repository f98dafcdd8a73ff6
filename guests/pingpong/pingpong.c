/*
 * pingpong.c: two domains, one interdomain event channel.
 *
 * Both run this image; the command line says `role=ping` or `role=pong`. They find one another in xenstore: each writes
 * its role where everybody may read it. Pong offers an unbound port, ping binds it, and then they send each other
 * `rounds` events. A round is ping's send, pong's upcall, pong's send, ping's upcall.
 */
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "time.h"
#include "xenstore.h"

static volatile u32 received;
static int answer;

static void event(u32 port) {
	received++;
	if (answer)
		event_send(port);
}

static void put_path(char *path, u32 domid, const char *leaf) {
	static const char prefix[] = "/local/domain/";
	u32 at = sizeof prefix - 1;
	memcpy(path, prefix, at);
	if (domid >= 10)
		path[at++] = '0' + domid / 10;
	path[at++] = '0' + domid % 10;
	path[at++] = '/';
	memcpy(path + at, leaf, strlen(leaf) + 1);
}

/* Writes a node of ours and lets everybody read it. */
static void publish(const char *leaf, const char *value) {
	if (store_write(leaf, value) < 0 || store_publish(leaf) < 0)
		panic("xenstore refuses %s", leaf);
}

/* Looks for a domain that published `value` at `leaf`; its domid, or 0 after two seconds. */
static u32 find_peer(const char *leaf, const char *value) {
	char path[64], found[32];
	for (u32 tries = 0; tries < 200; tries++) {
		for (u32 domid = 1; domid < 32; domid++) {
			put_path(path, domid, leaf);
			if (store_read(path, found, sizeof found) == 0 && strcmp(found, value) == 0)
				return domid;
		}
		sleep_until(system_time() + MILLISECONDS(10));
	}
	return 0;
}

static void print_status(u32 port) {
	struct evtchn_status status = { DOMID_SELF, port, 0, 0, { 0, 0 } };
	must(event_channel_op(EVTCHNOP_status, &status, sizeof status), "EVTCHNOP_status");
	if (status.status == EVTCHNSTAT_interdomain)
		printf("port %d is interdomain, its other end is port %d of d%d\n", port, status.detail[1],
		       status.detail[0] & 0xffff);
	else if (status.status == EVTCHNSTAT_unbound)
		printf("port %d is unbound, it waits for d%d\n", port, status.detail[0] & 0xffff);
	else
		printf("port %d has status %d\n", port, status.status);
}

static void ping(u32 peer, u32 rounds) {
	char path[64], text[16];
	u32 port, least = ~0u, most = 0;
	u64 begin;
	put_path(path, peer, "data/pingpong-port");
	while (store_read(path, text, sizeof text) < 0)
		sleep_until(system_time() + MILLISECONDS(1));
	port = event_bind_interdomain(peer, parse_number(text));
	print_status(port);
	/* Binding has set our own port pending: that first event is not an answer. */
	event_clear(port);
	event_set_handler(port, event);
	event_unmask(port);
	begin = system_time();
	for (u32 round = 0; round < rounds; round++) {
		u64 sent = system_time();
		received = 0;
		event_send(port);
		wait_until(&received);
		u32 took = (u32)(system_time() - sent);
		least = took < least ? took : least;
		most = took > most ? took : most;
	}
	u32 mean = (u32)divide64(system_time() - begin, rounds);
	printf("ping: %d rounds, mean %u ns, least %u ns, most %u ns\n", rounds, mean, least, most);
}

static void pong(u32 peer, u32 rounds) {
	char text[16];
	u32 port = event_alloc_unbound(peer), n = 0;
	print_status(port);
	answer = 1;
	event_set_handler(port, event);
	event_clear(port);
	event_unmask(port);
	for (u32 digit = 1000; digit; digit /= 10)
		if (port >= digit)
			text[n++] = '0' + port / digit % 10;
	text[n] = 0;
	publish("data/pingpong-port", text);
	while (received < rounds) {
		events_disable();
		if (received < rounds)
			sched_block();
		events_enable();
	}
	print_status(port);
	printf("pong: answered %d events\n", received);
}

void guest_main(void) {
	u32 rounds = option("rounds") ? parse_number(option("rounds")) : 1000;
	const char *role = option("role");
	int is_ping = role && strncmp(role, "ping", 4) == 0;
	u32 peer;

	if (is_initial_domain() || !role) {
		printf("pingpong needs a second domain and xenstore to meet it: boot it with role=ping and role=pong.\n");
		return;
	}
	publish("data/pingpong", is_ping ? "ping" : "pong");
	peer = find_peer("data/pingpong", is_ping ? "pong" : "ping");
	if (!peer) {
		printf("nobody plays %s; giving up.\n", is_ping ? "pong" : "ping");
		return;
	}
	printf("%s: the peer is d%d\n", is_ping ? "ping" : "pong", peer);
	(is_ping ? ping : pong)(peer, rounds);
	if (option_given("wait")) {
		printf("blocked until a key comes\n");
		printf("got key %d\n", console_getc());
	}
}
