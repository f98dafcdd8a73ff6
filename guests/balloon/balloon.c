/*
 * balloon.c: memory goes back to the hypervisor and comes again.
 *
 * Gives `pages=N` pages away one by one, prints the reservation as it shrinks, and takes them back with
 * populate_physmap. The frames that come are other ones: the p2m and the M2P must follow. Asking for more than the
 * maximum, giving away what one does not own or what is still mapped is tried too.
 */
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "trap.h"

#define MOST 512
static u32 *pages[MOST];
static u32 old_mfn[MOST];
static u32 wrong;

static void check(int right, const char *what) {
	printf("%s  %s\n", right ? "ok   " : "WRONG", what);
	wrong += !right;
}

static long reservation(u32 cmd, u32 *extents, u32 n) {
	struct xen_memory_reservation op = { extents, n, 0, 0, DOMID_SELF };
	return HYPERVISOR_memory_op(cmd, &op);
}
static long reserved(u32 cmd) {
	u16 self = DOMID_SELF;
	return HYPERVISOR_memory_op(cmd, &self);
}

void guest_main(void) {
	u32 n = option("pages") ? parse_number(option("pages")) : 128;
	u32 *p2m = (u32 *)start->mfn_list, moved = 0, zero = 1, value;
	long before = reserved(XENMEM_current_reservation), most = reserved(XENMEM_maximum_reservation);
	if (n > MOST)
		n = MOST;
	printf("reservation %d pages, maximum %d, highest frame %05x\n", (int)before, (int)most,
	       (u32)HYPERVISOR_memory_op(XENMEM_maximum_ram_page, NULL));

	for (u32 i = 0; i < n; i++) {
		pages[i] = page_alloc();
		pages[i][0] = 0xba110000 + i;
		old_mfn[i] = va_to_mfn(pages[i]);
		must(HYPERVISOR_update_va_mapping((u32)pages[i], 0, UVMF_INVLPG), "unmap");
		p2m[va_to_pfn(pages[i])] = ~0u;
	}
	check(reservation(XENMEM_decrease_reservation, old_mfn, n) == (long)n, "all pages are given back in one call");
	check(before - reserved(XENMEM_current_reservation) == (long)n, "the reservation is that much smaller");
	check(!try_read32((u32)pages[0], &value) && probe_fault >> 16 == 14, "the address of one faults now");
	check(HYPERVISOR_update_va_mapping((u32)pages[0], make_pte(old_mfn[0], PTE_P | PTE_W), UVMF_INVLPG) < 0,
	      "its frame can no longer be mapped");
	check(reservation(XENMEM_decrease_reservation, old_mfn, 1) == 0, "nor be given back a second time");

	for (u32 i = 0; i < n; i++) {
		u32 pfn = va_to_pfn(pages[i]), extent = pfn;
		if (reservation(XENMEM_populate_physmap, &extent, 1) != 1)
			panic("populate_physmap gave nothing");
		p2m[pfn] = extent;
		must(HYPERVISOR_update_va_mapping((u32)pages[i], make_pte(extent, PTE_P | PTE_W), UVMF_INVLPG), "map");
		moved += extent != old_mfn[i];
		for (u32 word = 0; word < 1024; word++)
			zero &= pages[i][word] == 0;
		if (mfn_to_pfn(extent) != pfn)
			wrong++;
	}
	check(reserved(XENMEM_current_reservation) == before, "populate_physmap brings as many back");
	check(zero, "the new frames hold nothing of anybody's");
	printf("%s of the pages lie in other frames than before\n", moved ? "some" : "none");

	/* One mapped page: it leaves the reservation only when nobody maps it any more. */
	u32 *page = page_alloc();
	u32 mfn = va_to_mfn(page), pfn = va_to_pfn(page);
	page[0] = 7;
	check(reservation(XENMEM_decrease_reservation, &mfn, 1) == 1, "a page that is still mapped may be given back");
	check(page[0] == 7, "and stays until the last mapping goes");
	must(HYPERVISOR_update_va_mapping((u32)page, 0, UVMF_INVLPG), "unmap");
	u32 extent = pfn;
	check(reservation(XENMEM_populate_physmap, &extent, 1) == 1, "another one comes in its place");
	p2m[pfn] = extent;
	must(HYPERVISOR_update_va_mapping((u32)page, make_pte(extent, PTE_P | PTE_W), UVMF_INVLPG), "map");
	if (most == before) {
		extent = pfn;
		check(reservation(XENMEM_increase_reservation, &extent, 1) == 0, "beyond the maximum there is nothing");
	}
	printf("balloon: %d pages went and came, %s\n", n, wrong ? "something is WRONG" : "all as expected");
}
