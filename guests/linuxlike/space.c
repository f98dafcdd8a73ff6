/*
 * space.c: the life of an address space. It has an L3 and four L2s of its own, the kernel's too: nothing is shared
 * but L1 tables. While it is built its tables are ordinary writable memory, stored to directly; pinning makes all of
 * them read-only in one batch; unpinning makes them memory again.
 */
#include "linuxlike.h"

static struct space spaces[16];

struct space *space_create(void) {
	struct space *s = spaces;
	while (s->root)
		s++;
	s->root = get_page();
	for (u32 i = 0; i < 4; i++) {
		s->l2[i] = get_page();
		s->root[i] = pte(va_mfn(s->l2[i]), PTE_P);
	}
	for (u32 i = 0; i < 512; i++)
		s->l2[3][i] = kernel_l2[i];
	s->pinned = 0;
	return s;
}

pte_t *space_entry(struct space *s, u32 va, int make) {
	pte_t *hook = &s->l2[va >> 30][va >> 21 & 511];
	if (!(*hook & PTE_P)) {
		if (!make)
			return NULL;
		pte_t *table = get_page();
		if (s->pinned) {
			batch_mapping(table, pte(va_mfn(table), KERNEL_RO), UVMF_NONE);
			batch_mmuext(MMUEXT_PIN_L1_TABLE, va_mfn(table), 0);
			batch_flush();
			must(mmu_update_one(hook, pte(va_mfn(table), TABLE_FLAGS)), "hook a user table");
		} else
			*hook = pte(va_mfn(table), TABLE_FLAGS);
	}
	return (pte_t *)pte_va(*hook) + (va >> 12 & 511);
}

void space_set(struct space *s, u32 va, pte_t entry) {
	pte_t *at = space_entry(s, va, 1);
	if (s->pinned)
		must(mmu_update_one(at, entry), "set a user entry");
	else
		*at = entry;
}

/* Calls with each table below the root: level 1 or 2. */
static void each_table(struct space *s, void (*each)(pte_t *table, int level)) {
	for (u32 i = 0; i < 4; i++) {
		for (u32 j = 0; i < 3 && j < 512; j++)
			if (s->l2[i][j] & PTE_P)
				each(pte_va(s->l2[i][j]), 1);
		each(s->l2[i], 2);
	}
}

static void make_readonly(pte_t *table, int level) {
	batch_mapping(table, pte(va_mfn(table), KERNEL_RO), UVMF_NONE);
	/* With a lock for each table, every L1 is pinned by itself too: it stays a table when it is unhooked. */
	if (level == 1)
		batch_mmuext(MMUEXT_PIN_L1_TABLE, va_mfn(table), 0);
}
static void unpin_leaf(pte_t *table, int level) {
	if (level == 1)
		batch_mmuext(MMUEXT_UNPIN_TABLE, va_mfn(table), 0);
}
static void make_writable(pte_t *table, int level) {
	(void)level;
	batch_mapping(table, pte(va_mfn(table), KERNEL_RW), UVMF_INVLPG);
}

void space_pin(struct space *s) {
	each_table(s, make_readonly);
	batch_mapping(s->root, pte(va_mfn(s->root), KERNEL_RO), UVMF_TLB_FLUSH);
	batch_mmuext(MMUEXT_PIN_L3_TABLE, va_mfn(s->root), 0);
	batch_flush();
	s->pinned = 1;
}

void space_unpin(struct space *s) {
	batch_mmuext(MMUEXT_UNPIN_TABLE, va_mfn(s->root), 0);
	each_table(s, unpin_leaf);
	batch_mapping(s->root, pte(va_mfn(s->root), KERNEL_RW), UVMF_TLB_FLUSH);
	each_table(s, make_writable);
	batch_flush();
	s->pinned = 0;
}

void space_destroy(struct space *s) {
	if (s->pinned)
		space_unpin(s);
	for (u32 i = 0; i < 3; i++)
		for (u32 j = 0; j < 512; j++)
			if (s->l2[i][j] & PTE_P) {
				pte_t *table = pte_va(s->l2[i][j]);
				for (u32 k = 0; k < 512; k++)
					if (table[k] & PTE_P)
						put_page(pte_va(table[k]));
				s->l2[i][j] = 0; /* a plain store: it is memory again */
				put_page(table);
			}
	for (u32 i = 0; i < 4; i++)
		put_page(s->l2[i]);
	put_page(s->root);
	s->root = NULL;
}

/* The parent's writable entries lose their W bit by a direct AND on the read-only table: the hypervisor emulates it. */
struct space *space_fork(struct space *parent) {
	struct space *child = space_create();
	u32 forms = 0;
	for (u32 i = 0; i < 3; i++)
		for (u32 j = 0; j < 512; j++) {
			if (!(parent->l2[i][j] & PTE_P))
				continue;
			pte_t *table = pte_va(parent->l2[i][j]);
			for (u32 k = 0; k < 512; k++) {
				if (!(table[k] & PTE_P))
					continue;
				u32 va = i << 30 | j << 21 | k << 12;
				if (table[k] & PTE_W) {
					if (forms++ & 1)
						__asm__ volatile("lock andb $0xfd, %0" : "+m"(*(u8 *)&table[k]) : : "cc");
					else
						__asm__ volatile("andb $0xfd, %0" : "+m"(*(u8 *)&table[k]) : : "cc");
				}
				share_page(pte_va(table[k]));
				space_set(child, va, table[k] & ~(pte_t)(PTE_W | PTE_D));
			}
		}
	must(mmuext_one(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), "flush");
	space_pin(child);
	return child;
}
