/* memory.c: rows 56 to 61 and the other calls on memory. */
#include "conformance.h"

#define XENMEM_machphys_mfn_list 5
#define XENMEM_add_to_physmap 7
#define XENMEM_memory_map 9
#define XENMEM_exchange 11
#define XENMEM_machphys_mapping 12
#define XENMEM_maximum_gpfn 14

static long reserve(u32 cmd, u32 *extents, u32 n, u32 order) {
	struct xen_memory_reservation op = { extents, n, order, 0, DOMID_SELF };
	return HYPERVISOR_memory_op(cmd, &op);
}
static long current_reservation(void) {
	u16 self = DOMID_SELF;
	return HYPERVISOR_memory_op(XENMEM_current_reservation, &self);
}

void test_memory(void) {
	u16 self = DOMID_SELF, nobody = 0x7000;
	u32 *page = page_alloc();
	u32 pfn = va_to_pfn(page), mfn = pfn_to_mfn(pfn);
	long pages = current_reservation(), most = HYPERVISOR_memory_op(XENMEM_maximum_reservation, &self);
	long top = HYPERVISOR_memory_op(XENMEM_maximum_ram_page, NULL);

	row("XENMEM_current_reservation");
	holds("at least the pages of start_info", pages >= (long)start->nr_pages);
	expect("a domain that does not exist", HYPERVISOR_memory_op(XENMEM_current_reservation, &nobody),
	       is_302() && !privileged() ? -EPERM : -ESRCH);
	expect("an unreadable argument", HYPERVISOR_memory_op(XENMEM_current_reservation, UNMAPPED_ADDRESS), -EFAULT);
	row("XENMEM_maximum_reservation");
	holds("not less than the current one", most >= pages || most < 0 /* unlimited, as a first domain may be */);
	expect("an unreadable argument", HYPERVISOR_memory_op(XENMEM_maximum_reservation, UNMAPPED_ADDRESS), -EFAULT);
	row("XENMEM_maximum_ram_page");
	holds("not below any frame of ours", top >= (long)mfn);

	row("XENMEM_decrease_reservation");
	must(HYPERVISOR_update_va_mapping((u32)page, 0, UVMF_INVLPG), "unmap");
	expect("one unmapped frame", reserve(XENMEM_decrease_reservation, &mfn, 1, 0), 1);
	expect("pages fewer", pages - current_reservation(), 1);
	u32 gone = mfn;
	expect("the same frame again", reserve(XENMEM_decrease_reservation, &gone, 1, 0), 0);
	u32 foreign = 0;
	expect("a frame that is not ours", reserve(XENMEM_decrease_reservation, &foreign, 1, 0), 0);
	expect("an unreadable list", reserve(XENMEM_decrease_reservation, UNMAPPED_ADDRESS, 1, 0), 0);
	expect("an unreadable argument", HYPERVISOR_memory_op(XENMEM_decrease_reservation, UNMAPPED_ADDRESS), by_version(-EFAULT, 0));

	row("XENMEM_populate_physmap");
	u32 extent = pfn;
	expect("one page at its pfn", reserve(XENMEM_populate_physmap, &extent, 1, 0), 1);
	((u32 *)start->mfn_list)[pfn] = extent;
	holds("the M2P names the pfn", mfn_to_pfn(extent) == pfn);
	expect("map it", HYPERVISOR_update_va_mapping((u32)page, make_pte(extent, PTE_P | PTE_W), UVMF_INVLPG), 0);
	holds("it holds nothing of anybody's", page[0] == 0 && page[1023] == 0);
	expect("pages as before", pages - current_reservation(), 0);
	row("XENMEM_increase_reservation");
	if (most >= 0 && most == pages) {
		u32 extra = 0;
		expect("beyond the maximum", reserve(XENMEM_increase_reservation, &extra, 1, 0), 0);
	} else {
		not_here("beyond the maximum", "this domain may have more");
	}
	mfn = pfn_to_mfn(pfn);
	must(HYPERVISOR_update_va_mapping((u32)page, 0, UVMF_INVLPG), "unmap");
	must(reserve(XENMEM_decrease_reservation, &mfn, 1, 0) - 1, "decrease_reservation");
	expect("one frame", reserve(XENMEM_increase_reservation, &extent, 1, 0), 1);
	struct mmu_update machphys = { (u64)extent << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, pfn };
	expect("its M2P entry is the guest's to set", HYPERVISOR_mmu_update(&machphys, 1, NULL, DOMID_SELF), 0);
	((u32 *)start->mfn_list)[pfn] = extent;
	must(HYPERVISOR_update_va_mapping((u32)page, make_pte(extent, PTE_P | PTE_W), UVMF_INVLPG), "map");
	page_free(page);

	/* What goes wrong before anything is done: errnos in 3.0.2, no extents done in 4.17. */
	static const struct { u32 cmd; const char *name; } ops[] = {
		{ XENMEM_increase_reservation, "XENMEM_increase_reservation" },
		{ XENMEM_decrease_reservation, "XENMEM_decrease_reservation" },
		{ XENMEM_populate_physmap, "XENMEM_populate_physmap" },
	};
	for (u32 i = 0; i < ARRAY_LENGTH(ops); i++) {
		u32 none = 0;
		struct xen_memory_reservation op = { &none, 0x10000000, 0, 0, DOMID_SELF };
		row(ops[i].name);
		expect("an unreadable struct", HYPERVISOR_memory_op(ops[i].cmd, UNMAPPED_ADDRESS), by_version(-EFAULT, 0));
		expect("too many extents", HYPERVISOR_memory_op(ops[i].cmd, &op), by_version(-EINVAL, 0));
		op = (struct xen_memory_reservation){ &none, 1, 0, 0, 0x7000 };
		expect("for a domain that does not exist", HYPERVISOR_memory_op(ops[i].cmd, &op),
		       by_version(privileged() ? -ESRCH : -EPERM, 0));
		op = (struct xen_memory_reservation){ &none, 1, 0, 12, DOMID_SELF };
		if (is_302())
			expect("at an address of 12 bits", HYPERVISOR_memory_op(ops[i].cmd, &op), -ENOMEM);
		if (ops[i].cmd != XENMEM_decrease_reservation)
			expect("an extent larger than any", reserve(ops[i].cmd, &none, 1, 19), 0);
		expect("no extents", reserve(ops[i].cmd, &none, 0, 0), 0);
	}
	row("XENMEM_populate_physmap");
	expect("an unreadable list", reserve(XENMEM_populate_physmap, UNMAPPED_ADDRESS, 1, 0), 0);
	expect("pages as before", pages - current_reservation(), 0);
	row("XENMEM_maximum_reservation");
	expect("a domain that does not exist", HYPERVISOR_memory_op(XENMEM_maximum_reservation, &nobody),
	       is_302() && !privileged() ? -EPERM : -ESRCH);

	row("XENMEM_machphys_mfn_list");
	u32 list[8];
	struct { u32 max; u32 *list; u32 n; } mfn_list = { 8, list, 0 };
	expect("up to eight", HYPERVISOR_memory_op(XENMEM_machphys_mfn_list, &mfn_list), 0);
	holds("there is at least one piece", mfn_list.n >= 1);
	row("XENMEM_add_to_physmap");
	struct { u16 domid, size; u32 space, index, gpfn; } add = { DOMID_SELF, 0, 0, 0, 0 };
	expect("of a domain that is not translated", HYPERVISOR_memory_op(XENMEM_add_to_physmap, &add), by_version(-EINVAL, -EACCES));
	row("XENMEM_machphys_mapping");
	struct { u32 start, end, max; } mapping = { 0, 0, 0 };
	expect("the call", HYPERVISOR_memory_op(XENMEM_machphys_mapping, &mapping), by_version(-ENOSYS, 0));
	if (!is_302())
		holds("names the hole's start", mapping.start == HYPERVISOR_VIRT_START);
	row("XENMEM_memory_map");
	struct { u32 n; void *buffer; } map = { 8, page_alloc() };
	long result = HYPERVISOR_memory_op(XENMEM_memory_map, &map);
	if (is_302())
		expect("the call", result, -ENOSYS);
	else
		holds("a map, or none set", result == 0 || result == -ENOSYS);
	page_free(map.buffer);
	if (!is_302()) {
		row("XENMEM_maximum_gpfn");
		holds("not below our last page", HYPERVISOR_memory_op(XENMEM_maximum_gpfn, &self) >= (long)start->nr_pages - 1);
	}
	row("memory_op");
	expect("an unknown command", HYPERVISOR_memory_op(is_302() ? 13 : 60, &self), is_302() ? -ENOSYS : -ENOSYS);
}
