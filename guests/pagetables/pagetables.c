/*
 * pagetables.c: a guest that builds, pins, uses and inspects page tables, and shows the rules at work.
 *
 * `va=0xN` chooses the user address at which its page is mapped (default 08048000), `wait` keeps the new tables in use
 * at the end, so that a page-table view can be held against what is printed here.
 */
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "trap.h"

static u32 checks, wrong;

static void check(int right, const char *what) {
	checks++;
	if (!right)
		wrong++;
	printf("%s  %s\n", right ? "ok   " : "WRONG", what);
}

static void print_entry(const char *name, u32 table, u32 index, pte_t entry) {
	printf("  %s of mfn %05x, entry %03x: %08x%08x -> mfn %05x %c%c%c\n", name, table, index, (u32)((u64)entry >> 32),
	       (u32)entry, pte_mfn(entry), entry & PTE_P ? 'P' : '-', entry & PTE_W ? 'W' : '-',
	       entry & PTE_U ? 'U' : '-');
}

/* Prints the way of the processor from the root to the page. */
static void print_walk(u32 root, u32 va) {
	static const char *const names[] = { "", "L1", "L2", "L3" };
	u32 table = root;
	printf("walk of %08x from root mfn %05x\n", va, root);
	for (int level = PT_LEVELS; level >= 1; level--) {
		pte_t *entry = table_entry(root, va, level);
		if (!entry)
			return;
		print_entry(names[level], table, ((u32)entry & 4095) / sizeof(pte_t), *entry);
		table = pte_mfn(*entry);
	}
}

void guest_main(void) {
	u32 va = option("va") ? parse_number(option("va")) & PAGE_MASK : 0x08048000;
	u32 boot_root = root_mfn(), value;

	printf("pagetables: %d levels, %d entries of %d bytes, %d pages\n", PT_LEVELS, L1_ENTRIES, (u32)sizeof(pte_t),
	       start->nr_pages);
	print_walk(boot_root, (u32)guest_main);

	/* -- a table must not be writable anywhere */
	pte_t *table = page_alloc();
	u32 *page = page_alloc();
	page[0] = 0x600dda7a;
	table[3] = make_pte(va_to_mfn(page), PTE_P | PTE_W | PTE_U);
	check(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(table), 0) < 0, "a page with a writable mapping cannot be pinned as a table");
	page_make_readonly(table);
	check(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(table), 0) == 0, "read-only, it can");
	check(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(table), 0) < 0, "but only once");
	check(HYPERVISOR_update_va_mapping((u32)table, make_pte(va_to_mfn(table), PTE_P | PTE_W), UVMF_INVLPG) < 0,
	      "a pinned table cannot be mapped writable");
	probe_fault = 0;
	check(!try_write32((u32)&table[7], 0) && probe_fault == (14u << 16 | 3),
	      "a store into it is a page fault, code 3: present, write");
	check(set_entry(&table[4], make_pte(va_to_mfn(page), PTE_P | PTE_U)) == 0 &&
		      table[4] == make_pte(va_to_mfn(page), PTE_P | PTE_U),
	      "mmu_update changes it");

	/* -- entries are checked one by one */
	struct mmu_update batch[3] = {
		{ va_to_maddr(&table[10]), make_pte(va_to_mfn(page), PTE_P) },
		{ va_to_maddr(&table[11]), make_pte(va_to_mfn(table), PTE_P | PTE_W) },
		{ va_to_maddr(&table[12]), make_pte(va_to_mfn(page), PTE_P) },
	};
	u32 done = 99;
	check(HYPERVISOR_mmu_update(batch, 3, &done, DOMID_SELF) < 0 && done == 1,
	      "of three updates with a bad second one, one is done");
	check((table[10] & PTE_P) && !(table[11] & PTE_P) && !(table[12] & PTE_P), "and only the first shows");

	/* -- unpinned, a table is an ordinary page again */
	check(mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(table), 0) == 0, "unpin");
	check(HYPERVISOR_update_va_mapping((u32)table, make_pte(va_to_mfn(table), PTE_P | PTE_W), UVMF_INVLPG) == 0,
	      "then it may be writable");
	check(try_write32((u32)&table[7], 0), "and a store works");
	page_free(memset(table, 0, PAGE_SIZE));

	/* -- two frames change places behind one address */
	u32 *other = page_alloc();
	other[0] = 0x0ddba11;
	u32 page_mfn = va_to_mfn(page), other_mfn = va_to_mfn(other);
	must(HYPERVISOR_update_va_mapping((u32)page, make_pte(other_mfn, PTE_P | PTE_W), UVMF_INVLPG), "remap");
	check(page[0] == 0x0ddba11, "after update_va_mapping another frame is seen at the same address");
	must(HYPERVISOR_update_va_mapping((u32)page, make_pte(page_mfn, PTE_P | PTE_W), UVMF_INVLPG), "remap");
	check(page[0] == 0x600dda7a, "and back");
	page_free(other);

	/* -- a second address space */
	u32 space = space_new();
	check(space != boot_root, "a second root is pinned");
	space_map(space, va, page_mfn, PTE_P | PTE_W | PTE_U | PTE_A);
	check(!try_read32(va, &value) && probe_fault >> 16 == 14, "its page is not there in the first address space");
	space_switch(space);
	check(try_read32(va, &value) && value == 0x600dda7a, "it is in the second, after NEW_BASEPTR");
	check(mmuext(MMUEXT_UNPIN_TABLE, boot_root, 0) == 0, "the first root, no longer in use, is unpinned");
	check(mmuext(MMUEXT_PIN_ROOT, boot_root, 0) == 0, "and pinned again");
	print_walk(space, va);
	printf("pagetables: %d checks, %s\n", checks, wrong ? "something is WRONG" : "all as expected");
	if (option_given("wait")) {
		printf("root mfn %05x stays in use until a key comes\n", root_mfn());
		printf("got key %d\n", console_getc());
	}
}
