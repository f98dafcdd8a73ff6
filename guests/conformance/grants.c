/* grants.c: the grant table, with ourselves as the other side where that is allowed. */
#include "conformance.h"

struct grant_entry { u16 flags, domid; u32 frame; };
struct map_op { u64 host_addr; u32 flags, ref; u16 dom; short status; u32 handle; u64 dev_bus_addr; };
struct unmap_op { u64 host_addr, dev_bus_addr; u32 handle; short status; };
struct setup_op { u16 dom; u32 nr_frames; short status; u32 *frames; };
struct query_op { u16 dom; u32 nr_frames, max_nr_frames; short status; };

static long grant_op(u32 cmd, void *arg, u32 count) { return hypercall3(HYPERCALL_grant_table_op, cmd, arg, count); }

void test_grants(void) {
	u32 frame = 0;
	struct setup_op setup = { DOMID_SELF, 1, 99, &frame };
	row("GNTTABOP_setup_table");
	expect("one frame", grant_op(2, &setup, 1), 0);
	expect("status", setup.status, 0);
	holds("it has a number", frame != 0);
	volatile struct grant_entry *table = page_alloc();
	expect("map it", HYPERVISOR_update_va_mapping((u32)table, make_pte(frame, PTE_P | PTE_W), UVMF_INVLPG), 0);
	setup.nr_frames = 100000;
	expect("too many frames", grant_op(2, &setup, 1), 0);
	expect("status", setup.status, -1);
	expect("two structs at once", grant_op(2, &setup, 2), -EINVAL);
	setup = (struct setup_op){ 0x7000, 1, 99, &frame };
	expect("another domain's", grant_op(2, &setup, 1), 0);
	expect("status", setup.status, is_302() && !privileged() ? -8 : -2);
	if (!is_302()) {
		struct query_op query = { DOMID_SELF, 0, 0, 99 };
		row("GNTTABOP_query_size");
		expect("the call", grant_op(6, &query, 1), 0);
		expect("status", query.status, 0);
		holds("there is at least one frame, and a limit", query.nr_frames >= 1 && query.max_nr_frames >= query.nr_frames);
	}
	row("GNTTABOP_map_grant_ref");
	struct map_op map = { (u32)table, 2, 1 << 20, DOMID_SELF, 99, 0, 0 };
	expect("a reference out of range", grant_op(0, &map, 1), 0);
	holds("its status is an error", map.status < 0);
	map = (struct map_op){ (u32)table, 2, 100, 0x7000, 99, 0, 0 };
	expect("of a domain that does not exist", grant_op(0, &map, 1), 0);
	expect("status", map.status, -2);
	row("GNTTABOP_unmap_grant_ref");
	struct unmap_op unmap = { (u32)table, 0, 12345, 99 };
	expect("an unknown handle", grant_op(1, &unmap, 1), 0);
	expect("status", unmap.status, -4);
	row("grant_table_op");
	expect("an unknown command", grant_op(99, &map, 1), -ENOSYS);
	expect("an array in the hypervisor", grant_op(0, HYPERVISOR_ADDRESS, 1), -EFAULT);
}
