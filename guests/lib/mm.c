/*
 * mm.c: the p2m and m2p, the page allocator, and mapping the rest of memory.
 *
 * The builder maps only a little more than the image and what it placed behind it. mm_start makes L1 tables for
 * the remaining pages: each is filled while it is ordinary memory, then made read-only, then hooked into its L2.
 */
#include "mm.h"
#include "guest.h"
#include "hypercall.h"

static u32 *const m2p = (u32 *)HYPERVISOR_VIRT_START;
static u32 *p2m(void) { return (u32 *)start->mfn_list; }

u32 pfn_to_mfn(u32 pfn) { return p2m()[pfn]; }

u32 mfn_to_pfn(u32 mfn) {
	/* Entries of frames that are not ours are junk: ask the p2m too. */
	u32 pfn = m2p[mfn];
	return pfn < start->nr_pages && p2m()[pfn] == mfn ? pfn : ~0u;
}

/* ---- the allocator: a chain through the free pages themselves */
struct free_page { struct free_page *next; };
static struct free_page *free_list;
static u32 free_count;

void *page_alloc(void) {
	struct free_page *page = free_list;
	if (!page)
		panic("out of memory");
	free_list = page->next;
	free_count--;
	return memset(page, 0, PAGE_SIZE);
}

void page_free(void *page) {
	((struct free_page *)page)->next = free_list;
	free_list = page;
	free_count++;
}

u32 pages_free(void) { return free_count; }

/* ---- tables */
static u32 current_root;
u32 root_mfn(void) { return current_root; }
void set_root_mfn(u32 mfn) { current_root = mfn; }

static u32 index_at(u32 va, int level) {
	if (level == 1)
		return va >> PAGE_SHIFT & (L1_ENTRIES - 1);
	if (level == 2)
		return va >> L2_SHIFT & (L1_ENTRIES - 1);
	return va >> 30;
}

pte_t *table_entry(u32 root, u32 va, int level) {
	pte_t *table = mfn_to_va(root);
	for (int at = PT_LEVELS;; at--) {
		pte_t *entry = &table[index_at(va, at)];
		if (at == level)
			return entry;
		if (!(*entry & PTE_P))
			return NULL;
		table = mfn_to_va(pte_mfn(*entry));
	}
}

long set_entry(pte_t *entry, pte_t value) {
	struct mmu_update update = { va_to_maddr(entry) | MMU_NORMAL_PT_UPDATE, value };
	return HYPERVISOR_mmu_update(&update, 1, NULL, DOMID_SELF);
}

long mmuext(u32 cmd, u32 arg1, u32 arg2) {
	struct mmuext_op op = { cmd, arg1, arg2 };
	return HYPERVISOR_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

void page_make_readonly(void *page) {
	must(HYPERVISOR_update_va_mapping((u32)page, make_pte(va_to_mfn(page), PTE_P | PTE_A), UVMF_INVLPG),
	     "make a page read-only");
}

void page_make_writable(void *page) {
	must(HYPERVISOR_update_va_mapping((u32)page, make_pte(va_to_mfn(page), PTE_P | PTE_W | PTE_A | PTE_D), UVMF_INVLPG),
	     "make a page writable");
}

static void map_rest(u32 first_pfn) {
	u32 per_table = L1_ENTRIES;
	u32 limit = (HYPERVISOR_VIRT_START - VIRT_BASE) >> PAGE_SHIFT;
	u32 end = start->nr_pages < limit ? start->nr_pages : limit;
	for (u32 pfn = first_pfn; pfn < end; pfn += per_table) {
		pte_t *table = page_alloc();
		for (u32 i = 0; i < per_table && pfn + i < end; i++)
			table[i] = make_pte(pfn_to_mfn(pfn + i), PTE_P | PTE_W | PTE_A | PTE_D);
		page_make_readonly(table);
		pte_t *hook = table_entry(current_root, (u32)pfn_to_va(pfn), 2);
		must(set_entry(hook, make_pte(va_to_mfn(table), PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)), "hook an L1 table");
		for (u32 i = 0; i < per_table && pfn + i < end; i++)
			page_free(pfn_to_va(pfn + i));
	}
}

void mm_start(void) {
	/* Behind the tables lies the builder's boot stack; what follows, up to the end of the region, is free. */
	u32 first_free = va_to_pfn((void *)start->pt_base) + start->nr_pt_frames + 1;
	u32 pfn = first_free;
	current_root = va_to_mfn((void *)start->pt_base);
	while (pfn < start->nr_pages) {
		pte_t *leaf = table_entry(current_root, (u32)pfn_to_va(pfn), 1);
		if (!leaf || !(*leaf & PTE_P))
			break;
		page_free(pfn_to_va(pfn));
		pfn++;
	}
	map_rest(pfn);
}
