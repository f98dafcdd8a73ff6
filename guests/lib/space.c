/*
 * space.c: address spaces. Each has a root of its own. The kernel's part, from VIRT_BASE up, is the same in all of
 * them: in 2-level paging its L2 entries are copied; in PAE, where slot 3 of an L3 must be an L2 that no other L3
 * uses, the kernel's whole L2 is copied. Hypervisor-owned slots are copied along and ignored.
 */
#include "guest.h"
#include "hypercall.h"
#include "mm.h"

void set_root_mfn(u32 mfn);

static const u32 table_flags = PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;

u32 space_new(void) {
	pte_t *root = page_alloc();
#ifdef XEN_PAE
	pte_t *kernel = page_alloc();
	memcpy(kernel, mfn_to_va(pte_mfn(*table_entry(root_mfn(), VIRT_BASE, 3))), PAGE_SIZE);
	page_make_readonly(kernel);
	root[3] = make_pte(va_to_mfn(kernel), PTE_P);
	/* A PAE root without its lower three L2s would need an L3 update for the first mapping; give it all of them. */
	for (u32 i = 0; i < 3; i++) {
		void *table = page_alloc();
		page_make_readonly(table);
		root[i] = make_pte(va_to_mfn(table), PTE_P);
	}
#else
	const pte_t *kernel = mfn_to_va(root_mfn());
	memcpy(&root[VIRT_BASE >> L2_SHIFT], &kernel[VIRT_BASE >> L2_SHIFT], PAGE_SIZE / 4);
#endif
	page_make_readonly(root);
	must(mmuext(MMUEXT_PIN_ROOT, va_to_mfn(root), 0), "pin a root");
	return va_to_mfn(root);
}

void space_map(u32 root, u32 va, u32 mfn, u32 flags) {
	if (!table_entry(root, va, 1)) {
		void *table = page_alloc();
		page_make_readonly(table);
		must(set_entry(table_entry(root, va, 2), make_pte(va_to_mfn(table), table_flags)), "hook a user L1");
	}
	must(set_entry(table_entry(root, va, 1), make_pte(mfn, flags)), "map a user page");
}

pte_t space_lookup(u32 root, u32 va) {
	pte_t *leaf = table_entry(root, va, 1);
	return leaf ? *leaf : 0;
}

void space_set(u32 root, u32 va, pte_t entry) {
	must(set_entry(table_entry(root, va, 1), entry), "change a user page");
	if (root == root_mfn())
		must(mmuext(MMUEXT_INVLPG_LOCAL, va, 0), "invlpg");
}

void space_switch(u32 root) {
	must(mmuext(MMUEXT_NEW_BASEPTR, root, 0), "switch address spaces");
	set_root_mfn(root);
}

void space_each(u32 root, void (*each)(u32 va, pte_t entry)) {
	for (u32 va = 0; va < VIRT_BASE; va += PAGE_SIZE * L1_ENTRIES) {
		pte_t *leaf = table_entry(root, va, 1);
		for (u32 i = 0; leaf && i < L1_ENTRIES; i++)
			if (leaf[i] & PTE_P)
				each(va + i * PAGE_SIZE, leaf[i]);
	}
}

static void free_table(u32 mfn) {
	void *table = mfn_to_va(mfn);
	page_make_writable(table);
	page_free(table);
}

void space_free(u32 root, void (*each)(u32 va, pte_t entry)) {
	static u32 tables[64]; /* L1s and L2s of the space that is being freed */
	u32 n = 0;
	space_each(root, each);
	for (u32 va = 0; va < VIRT_BASE; va += PAGE_SIZE * L1_ENTRIES) {
		pte_t *hook = table_entry(root, va, 2);
		if (hook && (*hook & PTE_P) && n < ARRAY_LENGTH(tables) - 4)
			tables[n++] = pte_mfn(*hook);
	}
#ifdef XEN_PAE
	for (u32 i = 0; i < 4; i++)
		tables[n++] = pte_mfn(((pte_t *)mfn_to_va(root))[i]);
#endif
	/* Unpinning drops the last use of every table: they are ordinary pages again. */
	must(mmuext(MMUEXT_UNPIN_TABLE, root, 0), "unpin a root");
	for (u32 i = 0; i < n; i++)
		free_table(tables[i]);
	free_table(root);
}
