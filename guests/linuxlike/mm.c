/*
 * mm.c: the kernel's tables. The toolstack's root is unpinned while it is still in use and replaced twice, as a PAE
 * kernel does that starts on an early root and goes on to its final one; the rest of memory gets L1 tables of its own,
 * each pinned before it is hooked.
 */
#include "linuxlike.h"

pte_t early_root[512] __attribute__((aligned(4096)));
static pte_t early_l2[512] __attribute__((aligned(4096)));
static pte_t kernel_root[512] __attribute__((aligned(4096)));
pte_t kernel_l2[512] __attribute__((aligned(4096)));
static pte_t fixmap_l1[512] __attribute__((aligned(4096)));
static pte_t *l2_in_use;
struct space boot_space;

u32 pfn_mfn(u32 pfn) { return ((u32 *)start->mfn_list)[pfn]; }

u32 mfn_pfn(u32 mfn) {
	u32 pfn = ((const u32 *)HYPERVISOR_VIRT_START)[mfn];
	return pfn < start->nr_pages && pfn_mfn(pfn) == mfn ? pfn : ~0u;
}

/* ---- pages: a stack of pfns, and a count of users for shared ones */
#define POOL 6144
static u32 pool[POOL], pooled;
static u8 users[16384];

void *get_page(void) {
	if (!pooled)
		panic("out of pages");
	users[pool[--pooled]] = 1;
	return memset(pfn_va(pool[pooled]), 0, PAGE_SIZE);
}
void put_page(void *page) {
	if (--users[va_pfn(page)] == 0)
		pool[pooled++] = va_pfn(page);
}
u32 free_pages(void) { return pooled; }
void share_page(void *page) { users[va_pfn(page)]++; }
u32 page_users(void *page) { return users[va_pfn(page)]; }

/* ---- entries of the kernel's half */
static u32 l2_index(u32 va) { return va >> 21 & 511; }

pte_t *kernel_entry(u32 va) {
	pte_t hook = l2_in_use[l2_index(va)];
	return hook & PTE_P ? (pte_t *)pte_va(hook) + (va >> 12 & 511) : NULL;
}

void set_kernel_flags(void *page, u32 flags) {
	must(HYPERVISOR_update_va_mapping((u32)page, pte(va_mfn(page), flags), UVMF_NONE), "change a mapping of the kernel");
}

long mmu_update_one(volatile pte_t *entry, pte_t value) {
	struct mmu_update update = { va_ma(entry) | MMU_NORMAL_PT_UPDATE, value };
	return HYPERVISOR_mmu_update(&update, 1, NULL, DOMID_SELF);
}

long mmuext_one(u32 cmd, u32 arg1, u32 arg2) {
	struct mmuext_op op = { cmd, arg1, arg2 };
	return HYPERVISOR_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

#define FIXMAP_BASE 0xF5600000u
void *fixmap(u32 slot, pte_t entry) {
	void *va = (void *)(FIXMAP_BASE + slot * PAGE_SIZE);
	if (!(l2_in_use[l2_index(FIXMAP_BASE)] & PTE_P)) {
		set_kernel_flags(fixmap_l1, KERNEL_RO);
		must(mmuext_one(MMUEXT_PIN_L1_TABLE, va_mfn(fixmap_l1), 0), "pin the fixmap's table");
		must(mmu_update_one(&l2_in_use[l2_index(FIXMAP_BASE)], pte(va_mfn(fixmap_l1), TABLE_FLAGS)), "hook the fixmap");
	}
	must(mmu_update_one(&fixmap_l1[slot], entry), "fill a fixmap slot");
	must(mmuext_one(MMUEXT_INVLPG_LOCAL, (u32)va, 0), "invlpg");
	return va;
}

static pte_t *toolstack_l2(void) { return pte_va(((pte_t *)start->pt_base)[3]); }

static void copy_table(pte_t *to, const pte_t *from) {
	for (u32 i = 0; i < 512; i++)
		to[i] = from[i];
}

/* Before take_over_tables, kernel_entry and fixmap work on the toolstack's. */
void use_toolstack_tables(void) { l2_in_use = toolstack_l2(); }

static void new_root(pte_t *root, pte_t *l2, const pte_t *from_l2) {
	copy_table(l2, from_l2); /* the hypervisor's slots come along; it ignores and rewrites them */
	root[3] = pte(va_mfn(l2), PTE_P);
	set_kernel_flags(l2, KERNEL_RO);
	set_kernel_flags(root, KERNEL_RO);
	must(mmuext_one(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), "flush");
}

void take_over_tables(void) {
	pte_t *old = (pte_t *)start->pt_base;
	copy_table(early_root, old);
	new_root(early_root, early_l2, toolstack_l2());
	check_is("tables: the toolstack's root is unpinned while in use", mmuext_one(MMUEXT_UNPIN_TABLE, va_mfn(old), 0), 0);
	check("tables: a second unpin is refused", mmuext_one(MMUEXT_UNPIN_TABLE, va_mfn(old), 0) == -EINVAL);
	check_is("tables: the early root is pinned", mmuext_one(MMUEXT_PIN_L3_TABLE, va_mfn(early_root), 0), 0);
	check_is("tables: NEW_BASEPTR to the early root", mmuext_one(MMUEXT_NEW_BASEPTR, va_mfn(early_root), 0), 0);
	l2_in_use = early_l2;
	/* The old root and its L2 are ordinary memory now: a writable mapping is granted. */
	check_is("tables: the old root becomes writable", HYPERVISOR_update_va_mapping((u32)old, pte(va_mfn(old), KERNEL_RW), UVMF_INVLPG), 0);
	old[0] = 0;

	new_root(kernel_root, kernel_l2, early_l2);
	check_is("tables: NEW_BASEPTR to a root that is not pinned yet", mmuext_one(MMUEXT_NEW_BASEPTR, va_mfn(kernel_root), 0), 0);
	l2_in_use = kernel_l2;
	check_is("tables: then it is pinned", mmuext_one(MMUEXT_PIN_L3_TABLE, va_mfn(kernel_root), 0), 0);
	check_is("tables: the early root is unpinned", mmuext_one(MMUEXT_UNPIN_TABLE, va_mfn(early_root), 0), 0);
	set_kernel_flags(early_root, KERNEL_RW);
	set_kernel_flags(early_l2, KERNEL_RW);
	early_l2[0] = 0;
	boot_space = (struct space){ kernel_root, { 0, 0, 0, kernel_l2 }, 1 };
	check("tables: a writable mapping of a root in use is refused",
	      HYPERVISOR_update_va_mapping((u32)kernel_root, pte(va_mfn(kernel_root), KERNEL_RW), UVMF_INVLPG) < 0);
	u32 cr3;
	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	check_is("tables: mov from cr3 names the root in use", cr3 >> 12, va_mfn(kernel_root) & 0xfffff);
}

/* Everything below the kernel is free; what the toolstack did not map gets tables. */
void map_all_memory(void) {
	u32 pfn = 64, mapped;
	for (; pfn < 4096 && pooled < POOL - 256; pfn++)
		pool[pooled++] = pfn;
	for (mapped = va_pfn((void *)start->pt_base); mapped < start->nr_pages && kernel_entry((u32)pfn_va(mapped)); mapped++)
		if (!(*kernel_entry((u32)pfn_va(mapped)) & PTE_P))
			break;
	u32 first = mapped, tables = 0;
	for (; mapped < start->nr_pages; tables++) {
		pte_t *table = get_page(), *hook = &kernel_l2[l2_index((u32)pfn_va(mapped))];
		u32 end = (mapped & ~511u) + 512;
		for (; mapped < end && mapped < start->nr_pages; mapped++)
			table[mapped & 511] = pte(pfn_mfn(mapped), KERNEL_RW);
		set_kernel_flags(table, KERNEL_RO);
		must(mmuext_one(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), "flush");
		must(mmuext_one(MMUEXT_PIN_L1_TABLE, va_mfn(table), 0), "pin an L1 table");
		must(mmu_update_one(hook, pte(va_mfn(table), TABLE_FLAGS)), "hook an L1 table");
	}
	int good = 1;
	for (u32 i = first; i < start->nr_pages; i++) {
		u32 *word = pfn_va(i);
		*word = i * 7;
		good &= *word == i * 7;
	}
	check("tables: PIN_L1 tables map the rest of memory", good && tables > 0);
}
