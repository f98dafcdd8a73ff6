/* descriptors.c: rows 25 to 28. */
#include "conformance.h"

#define FLAT_DATA_RING1 0x00cfb2000000ffffull
#define FLAT_DATA_RING0 0x00cf92000000ffffull
#define CALL_GATE_TO_XEN 0x0000ec00e0080000ull /* DPL 3, selector e008 */
#define TSS 0x0000890000000067ull

/* A page with these descriptors from entry 1 on, read-only. */
static u64 *descriptor_page(u64 first, u64 second) {
	u64 *page = page_alloc();
	page[1] = first;
	page[2] = second;
	page[300] = first; /* far behind any count that is used here, but in the same page */
	page_make_readonly(page);
	return page;
}
static void give_back(u64 *page) {
	page_make_writable(page);
	page_free(page);
}
static long set_gdt(u64 *page, u32 entries) {
	u32 frame = va_to_mfn(page);
	return HYPERVISOR_set_gdt(&frame, entries);
}
static u32 dpl_of(u64 descriptor) { return descriptor >> 45 & 3; }

static void test_set_gdt(void) {
	row("set_gdt");
	u64 *page = descriptor_page(FLAT_DATA_RING1, FLAT_DATA_RING0);
	expect("one frame", set_gdt(page, 16), 0);
	expect("DPL 1 stays", dpl_of(page[1]), 1);
	expect("DPL 0 is raised to", dpl_of(page[2]), 1);
	expect("load a selector of it", TRY("mov %w[sel], %%fs", [sel] "r"(9)), 0);
	expect("load one behind the count, in the same page", TRY("mov %w[sel], %%fs", [sel] "r"(300 * 8 + 1)), 0);
	expect("load one of an absent page", TRY("mov %w[sel], %%fs", [sel] "r"(0x2001)), FAULT(13, 0x2000));
	__asm__ volatile("mov %w0, %%fs" : : "r"(0));
	expect("its frame cannot be mapped writable",
	       HYPERVISOR_update_va_mapping((u32)page, make_pte(va_to_mfn(page), PTE_P | PTE_W), UVMF_INVLPG),
	       by_version(-EINVAL, -EBUSY));
	u64 *writable = page_alloc();
	expect("a frame with a writable mapping", set_gdt(writable, 16), -EINVAL);
	expect("and the old table stays", TRY("mov %w[sel], %%fs", [sel] "r"(9)), 0);
	__asm__ volatile("mov %w0, %%fs" : : "r"(0));
	expect("more than 7168 entries", set_gdt(page, 7169), -EINVAL);
	expect("an unreadable list", HYPERVISOR_set_gdt(UNMAPPED_ADDRESS, 16), -EFAULT);
	u32 foreign = 0;
	expect("a frame that is not ours", HYPERVISOR_set_gdt(&foreign, 16), -EINVAL);
	u64 *gate = descriptor_page(CALL_GATE_TO_XEN, 0);
	expect("a call gate into the hypervisor", set_gdt(gate, 16), -EINVAL);
	give_back(gate);
	u64 *tss = descriptor_page(TSS, 0);
	expect("a TSS descriptor", set_gdt(tss, 16), -EINVAL);
	give_back(tss);

	row("update_descriptor");
	expect("an entry of the table in use", HYPERVISOR_update_descriptor(va_to_maddr(&page[3]), FLAT_DATA_RING1), 0);
	expect("load its selector", TRY("mov %w[sel], %%fs", [sel] "r"(0x19)), 0);
	__asm__ volatile("mov %w0, %%fs" : : "r"(0));
	expect("with DPL 0", HYPERVISOR_update_descriptor(va_to_maddr(&page[4]), FLAT_DATA_RING0), 0);
	expect("it is stored with DPL", dpl_of(page[4]), 1);
	expect("to nothing", HYPERVISOR_update_descriptor(va_to_maddr(&page[3]), 0), 0);
	expect("its selector then", TRY("mov %w[sel], %%fs", [sel] "r"(0x19)), FAULT(13, 0x18));
	expect("a TSS descriptor", HYPERVISOR_update_descriptor(va_to_maddr(&page[3]), TSS), -EINVAL);
	expect("a call gate into the hypervisor", HYPERVISOR_update_descriptor(va_to_maddr(&page[3]), CALL_GATE_TO_XEN),
	       -EINVAL);
	expect("an address that is no multiple of eight", HYPERVISOR_update_descriptor(va_to_maddr(&page[3]) + 4, 0), -EINVAL);
	expect("an entry of a page table", HYPERVISOR_update_descriptor(va_to_maddr(table_entry(root_mfn(), VIRT_BASE, 1)) & ~7ull, 0),
	       -EINVAL);
	expect("a frame that is not ours", HYPERVISOR_update_descriptor(0x1000, 0), -EINVAL);
	expect("a plain page of ours", HYPERVISOR_update_descriptor(va_to_maddr(&writable[5]), FLAT_DATA_RING1), 0);
	holds("is written, as a present data segment of ring 1", (writable[5] >> 40 & 0xff) == 0xb2);

	row("set_gdt");
	expect("no entries", HYPERVISOR_set_gdt(NULL, 0), 0);
	expect("the selectors are gone", TRY("mov %w[sel], %%fs", [sel] "r"(9)), FAULT(13, 8));
	page_make_writable(page);
	holds("and the page is an ordinary one again", try_write32((u32)page, 1));
	page_free(page);
	page_free(writable);
}

static void test_trap_table(void) {
	static struct trap_info table[3];
	row("set_trap_table");
	table[0] = (struct trap_info){ 200, 0, FLAT_KERNEL_CS, (u32)guest_main };
	table[1] = (struct trap_info){ 0, 0, 0, 0 };
	expect("one entry", HYPERVISOR_set_trap_table(table), 0);
	expect("an unreadable list", HYPERVISOR_set_trap_table(UNMAPPED_ADDRESS), -EFAULT);
	expect("a list in the hypervisor", HYPERVISOR_set_trap_table(HYPERVISOR_ADDRESS), -EFAULT);
	traps_start(); /* and ours again */
}

static void test_ldt(void) {
	row("MMUEXT_SET_LDT");
	u64 *page = descriptor_page(FLAT_DATA_RING1, 0);
	expect("one page of descriptors", mmuext(MMUEXT_SET_LDT, (u32)page, 512), 0);
	expect("load a selector of it", TRY("mov %w[sel], %%fs", [sel] "r"(0xd)), 0);
	__asm__ volatile("mov %w0, %%fs" : : "r"(0));
	expect("load one of an absent descriptor", TRY("mov %w[sel], %%fs", [sel] "r"(0x15)), FAULT(13, 0x14));
	expect("a base that is not page aligned", mmuext(MMUEXT_SET_LDT, (u32)page + 8, 1), -EINVAL);
	expect("too many entries", mmuext(MMUEXT_SET_LDT, (u32)page, 8193), -EINVAL);
	expect("a table that reaches into the hypervisor", mmuext(MMUEXT_SET_LDT, HYPERVISOR_VIRT_START - 4096, 1024), -EINVAL);
	expect("no entries", mmuext(MMUEXT_SET_LDT, 0, 0), 0);
	expect("the selectors are gone", TRY("mov %w[sel], %%fs", [sel] "r"(0xd)), FAULT(13, 0xc));
	give_back(page);
}

void test_descriptors(void) {
	test_set_gdt();
	test_trap_table();
	test_ldt();
	test_call_gates();
}
