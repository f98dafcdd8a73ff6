/* store.c: xenstore at start-up, several requests under way at a time, told apart by their numbers. */
#include "linuxlike.h"

#define DIRECTORY 1
#define READ 2
#define WATCH 4
#define START 6
#define END 7
#define WRITE 11
#define WATCH_EVENT 15
#define ERROR 16

struct header { u32 type, id, transaction, bytes; };
static volatile struct store_ring *ring;
static struct answer { u32 type, bytes; int there; char text[128]; } answers[64];
static u32 sent, watch_events, store_ticks;

static void event(u32 port) { (void)port; store_ticks++; }

static void put(const void *bytes, u32 count) {
	const u8 *from = bytes;
	while (count--) {
		while (ring->req_prod - ring->req_cons == sizeof ring->req) {
			irq_send(start->store_evtchn);
			HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
		}
		ring->req[ring->req_prod % sizeof ring->req] = *from++;
		barrier();
		ring->req_prod++;
	}
}

/* Queues a request and does not wait. `a` with its NUL, `b` with or without. */
static u32 request(u32 type, u32 transaction, const char *a, const char *b, u32 b_bytes) {
	struct header h = { type, ++sent, transaction, strlen(a) + 1 + b_bytes };
	put(&h, sizeof h);
	put(a, strlen(a) + 1);
	put(b, b_bytes);
	irq_send(start->store_evtchn);
	return sent;
}

static void get(void *bytes, u32 count) {
	u8 *to = bytes;
	while (count--) {
		for (;;) {
			irq_off();
			if (ring->rsp_prod != ring->rsp_cons)
				break;
			HYPERVISOR_sched_op(SCHEDOP_block, NULL);
		}
		irq_on();
		*to++ = ring->rsp[ring->rsp_cons % sizeof ring->rsp];
		barrier();
		ring->rsp_cons++;
	}
}

static void receive(void) {
	struct header h;
	static char text[4096];
	get(&h, sizeof h);
	get(text, h.bytes);
	irq_send(start->store_evtchn);
	if (h.type == WATCH_EVENT) {
		watch_events++;
		return;
	}
	if (h.id == 0 || h.id > sent)
		panic("a reply to nothing: type %d, number %d", h.type, h.id);
	struct answer *a = &answers[h.id];
	a->type = h.type;
	a->bytes = h.bytes < sizeof a->text - 1 ? h.bytes : sizeof a->text - 1;
	memcpy(a->text, text, a->bytes);
	a->text[a->bytes] = 0;
	a->there = 1;
}

static struct answer *answer(u32 id) {
	while (!answers[id].there)
		receive();
	return &answers[id];
}
static int is_error(u32 id, const char *name) { return answer(id)->type == ERROR && strcmp(answers[id].text, name) == 0; }
static int is_ok(u32 id) { return answer(id)->type != ERROR; }

void store_checks(void) {
	ring = pfn_va(mfn_pfn(start->store_mfn));
	irq_handler(start->store_evtchn, event);
	irq_unmask(start->store_evtchn);
	/* All before the first reply is looked at. */
	u32 w1 = request(WATCH, 0, "memory/target", "t1", 3), w2 = request(WATCH, 0, "control/shutdown", "t2", 3);
	u32 w3 = request(WATCH, 0, "control/sysrq", "t3", 3);
	u32 target = request(READ, 0, "memory/target", "", 0), most = request(READ, 0, "memory/static-max", "", 0);
	u32 sysrq = request(READ, 0, "control/sysrq", "", 0);
	u32 f1 = request(WRITE, 0, "control/feature-poweroff", "1", 1), f2 = request(WRITE, 0, "control/feature-reboot", "1", 1);
	u32 f3 = request(WRITE, 0, "control/feature-suspend", "1", 1);
	u32 devices = request(DIRECTORY, 0, "device", "", 0), w4 = request(WATCH, 0, "device", "t4", 3);
	check("store: eleven requests under way", sent == 11);
	check("store: watches are taken", is_ok(w1) && is_ok(w2) && is_ok(w3) && is_ok(w4));
	check("store: memory/target and static-max", is_ok(target) && is_ok(most) && parse_number(answers[most].text) >= start->nr_pages * 4);
	check("store: control/sysrq is empty or not there", is_error(sysrq, "ENOENT") || (is_ok(sysrq) && answers[sysrq].bytes == 0));
	check("store: control/feature-* may be written", is_ok(f1) && is_ok(f2) && is_ok(f3));
	check("store: device is empty or not there", is_ok(devices) || is_error(devices, "ENOENT"));
	/* control/shutdown is read and emptied in a transaction. */
	u32 begin = request(START, 0, "", "", 0);
	check("store: a transaction begins", is_ok(begin));
	u32 id = parse_number(answers[begin].text);
	u32 command = request(READ, id, "control/shutdown", "", 0), end = request(END, id, "T", "", 0);
	check("store: control/shutdown is empty or not there",
	      is_error(command, "ENOENT") || (is_ok(command) && answers[command].bytes == 0));
	check("store: the transaction ends", is_ok(end) || is_error(end, "EAGAIN"));
	u32 vbd = request(DIRECTORY, 0, "device/vbd", "", 0), name = request(READ, 0, "name", "", 0), number = request(READ, 0, "domid", "", 0);
	check("store: no block device", is_error(vbd, "ENOENT") || is_ok(vbd));
	check("store: name and domid", is_ok(name) && is_ok(number));
	u32 cpu = request(READ, 0, "cpu/0/availability", "", 0);
	check("store: cpu/0/availability is online", is_ok(cpu) && strcmp(answers[cpu].text, "online") == 0);
	check("store: each watch fired at its registration", watch_events >= 4);
	check("store: answers came by events", store_ticks > 0);
}
