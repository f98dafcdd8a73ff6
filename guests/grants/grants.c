/*
 * grants.c: two domains share a page, copy through grants and hand a page over.
 *
 * The owner (`role=owner`) grants a page to its peer and publishes the reference in xenstore; the peer
 * (`role=peer`) maps it, reads and writes it, unmaps it. Then the peer offers an empty place, and the owner transfers a
 * page into it: the frame changes its owner for good. Both use the first grant-table frame; entries 0 to 7 are left
 * to the toolstack.
 */
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "time.h"
#include "trap.h"
#include "xenstore.h"

struct grant_entry { u16 flags, domid; u32 frame; };
#define GTF_permit_access 1
#define GTF_accept_transfer 2
#define GTF_readonly 4
#define GTF_reading 8
#define GTF_writing 16
#define GTF_transfer_completed 8
#define GNTMAP_host_map 2
#define GNTMAP_readonly 4

struct map_op { u64 host_addr; u32 flags, ref; u16 dom; short status; u32 handle; u64 dev_bus_addr; };
struct unmap_op { u64 host_addr, dev_bus_addr; u32 handle; short status; };
struct setup_op { u16 dom; u32 nr_frames; short status; u32 *frames; };
struct transfer_op { u32 mfn; u16 domid; u32 ref; short status; };
static long grant_op(u32 cmd, void *op) { return hypercall3(HYPERCALL_grant_table_op, cmd, op, 1); }

static volatile struct grant_entry *table;
static u32 wrong;

static void check(int right, const char *what) {
	printf("%s  %s\n", right ? "ok   " : "WRONG", what);
	wrong += !right;
}

static void map_table(void) {
	u32 frame = 0;
	struct setup_op setup = { DOMID_SELF, 1, 0, &frame };
	table = page_alloc();
	must(grant_op(2, &setup), "GNTTABOP_setup_table");
	if (setup.status)
		panic("setup_table: status %d", setup.status);
	must(HYPERVISOR_update_va_mapping((u32)table, make_pte(frame, PTE_P | PTE_W), UVMF_INVLPG), "map the grant table");
}

/* Domid and frame first; the flags make the entry valid. */
static void grant(u32 ref, u32 domid, u32 frame, u32 flags) {
	table[ref].domid = domid;
	table[ref].frame = frame;
	barrier();
	table[ref].flags = flags;
}

/* ---- meeting in xenstore: each step is a number that one side publishes and the other waits for */
static u32 peer;

static void put_path(char *path, const char *leaf) {
	static const char prefix[] = "/local/domain/";
	u32 at = sizeof prefix - 1;
	memcpy(path, prefix, at);
	if (peer >= 10)
		path[at++] = '0' + peer / 10;
	path[at++] = '0' + peer % 10;
	path[at++] = '/';
	memcpy(path + at, leaf, strlen(leaf) + 1);
}
static void publish(const char *leaf, u32 value) {
	char text[12], digits[12];
	u32 n = 0, at = 0;
	do
		digits[n++] = '0' + value % 10;
	while (value /= 10);
	while (n)
		text[at++] = digits[--n];
	text[at] = 0;
	if (store_write(leaf, text) < 0 || store_publish(leaf) < 0)
		panic("xenstore refuses %s", leaf);
}
static u32 await(const char *leaf) {
	char path[64], text[16];
	put_path(path, leaf);
	for (u32 tries = 0; tries < 2000; tries++) {
		if (store_read(path, text, sizeof text) == 0)
			return parse_number(text);
		sleep_until(system_time() + MILLISECONDS(1));
	}
	panic("the other side never published %s", leaf);
}
/* Looks for the domain that plays the other role; 0 after two seconds. */
static u32 find_peer(u32 role) {
	char path[64], text[16];
	for (u32 tries = 0; tries < 200; tries++) {
		for (peer = 1; peer < 32; peer++) {
			put_path(path, "data/grants-role");
			if (store_read(path, text, sizeof text) == 0 && parse_number(text) == role)
				return peer;
		}
		sleep_until(system_time() + MILLISECONDS(10));
	}
	return peer = 0;
}

static void owner(void) {
	u32 *shared = page_alloc(), *gift = page_alloc();
	u32 gift_mfn = va_to_mfn(gift), before;
	u16 self = DOMID_SELF;
	shared[0] = 0x600d0001;
	grant(8, peer, va_to_mfn(shared), GTF_permit_access);
	grant(9, peer, va_to_mfn(shared), GTF_permit_access | GTF_readonly);
	printf("owner: page %05x granted to d%d, references 8 and 9\n", va_to_mfn(shared), peer);
	publish("data/grants-ready", 1);

	await("data/grants-mapped");
	check((table[8].flags & (GTF_reading | GTF_writing)) == (GTF_reading | GTF_writing), "the entry shows that it is mapped for writing");
	check(shared[1] == 0xfeed0002, "what the peer wrote is here");
	shared[2] = 0x600d0003;
	publish("data/grants-written", 1);
	await("data/grants-unmapped");
	check(!(table[8].flags & (GTF_reading | GTF_writing)), "unmapped, the entry is quiet again");
	table[8].flags = 0;
	table[9].flags = 0;

	u32 ref = await("data/grants-offer");
	gift[0] = 0x600d0004;
	before = HYPERVISOR_memory_op(XENMEM_current_reservation, &self);
	must(HYPERVISOR_update_va_mapping((u32)gift, 0, UVMF_INVLPG), "unmap the gift");
	struct transfer_op transfer = { gift_mfn, peer, ref, 99 };
	must(grant_op(4, &transfer), "GNTTABOP_transfer");
	check(transfer.status == 0, "a page is transferred");
	check(before - HYPERVISOR_memory_op(XENMEM_current_reservation, &self) == 1, "and has left the reservation");
	check(HYPERVISOR_update_va_mapping((u32)gift, make_pte(gift_mfn, PTE_P), UVMF_INVLPG) < 0, "its frame can no longer be mapped here");
	publish("data/grants-given", gift_mfn);
	await("data/grants-done");
}

static void other(void) {
	u32 *window = page_alloc(), *place = page_alloc();
	u32 *p2m = (u32 *)start->mfn_list, value;
	await("data/grants-ready");
	struct map_op map = { (u32)window, GNTMAP_host_map, 8, peer, 99, 0, 0 };
	must(grant_op(0, &map), "GNTTABOP_map_grant_ref");
	check(map.status == 0 && window[0] == 0x600d0001, "the granted page is mapped and readable");
	window[1] = 0xfeed0002;
	printf("peer: machine frame %05x of d%d, handle %d\n", (u32)(map.dev_bus_addr >> PAGE_SHIFT), peer, map.handle);
	struct map_op wrong_ref = { (u32)place, GNTMAP_host_map, 10, peer, 99, 0, 0 };
	must(grant_op(0, &wrong_ref), "GNTTABOP_map_grant_ref");
	check(wrong_ref.status < 0, "a reference that was not granted is refused");
	struct map_op read_only = { (u32)place, GNTMAP_host_map, 9, peer, 99, 0, 0 };
	must(grant_op(0, &read_only), "GNTTABOP_map_grant_ref");
	check(read_only.status < 0, "one granted for reading cannot be mapped for writing");
	publish("data/grants-mapped", 1);
	await("data/grants-written");
	check(window[2] == 0x600d0003, "what the owner wrote meanwhile is here");
	struct unmap_op unmap = { (u32)window, 0, map.handle, 99 };
	must(grant_op(1, &unmap), "GNTTABOP_unmap_grant_ref");
	check(unmap.status == 0, "it is unmapped");
	check(!try_read32((u32)window, &value), "and no longer readable");
	publish("data/grants-unmapped", 1);

	/* An empty place for a page: its pfn is given back first. */
	u32 pfn = va_to_pfn(place), mfn = va_to_mfn(place);
	struct xen_memory_reservation give = { &mfn, 1, 0, 0, DOMID_SELF };
	must(HYPERVISOR_update_va_mapping((u32)place, 0, UVMF_INVLPG), "unmap");
	if (HYPERVISOR_memory_op(XENMEM_decrease_reservation, &give) != 1)
		panic("decrease_reservation gave nothing back");
	grant(11, peer, pfn, GTF_accept_transfer);
	publish("data/grants-offer", 11);
	u32 given = await("data/grants-given");
	check(table[11].flags & GTF_transfer_completed, "the entry says that a page has come");
	check(table[11].frame == given, "and which frame");
	p2m[pfn] = table[11].frame;
	struct mmu_update machphys = { (u64)p2m[pfn] << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, pfn };
	must(HYPERVISOR_mmu_update(&machphys, 1, NULL, DOMID_SELF), "MMU_MACHPHYS_UPDATE");
	must(HYPERVISOR_update_va_mapping((u32)place, make_pte(p2m[pfn], PTE_P | PTE_W), UVMF_INVLPG), "map the gift");
	printf("peer: frame %05x is ours now, its first word is %08x\n", p2m[pfn], place[0]);
	publish("data/grants-done", 1);
}

void guest_main(void) {
	const char *role = option("role");
	int is_owner = role && strncmp(role, "owner", 5) == 0;
	if (is_initial_domain() || !role) {
		printf("grants needs a second domain and xenstore to meet it: boot it with role=owner and role=peer.\n");
		return;
	}
	map_table();
	publish("data/grants-role", is_owner ? 1 : 2);
	if (!find_peer(is_owner ? 2 : 1)) {
		printf("nobody plays the other role; giving up.\n");
		return;
	}
	(is_owner ? owner : other)();
	printf("grants: %s %s\n", is_owner ? "owner," : "peer,", wrong ? "something is WRONG" : "all as expected");
	if (!is_owner)
		sleep_until(system_time() + MILLISECONDS(20)); /* our last word goes from xenstore when we do */
}
