/*
 * mm.h: pages and page tables of a paravirtual guest.
 *
 * Three numberings meet here. A pfn counts the guest's own pages from 0; an mfn names the machine frame behind one;
 * a va is where the kernel sees it: va = VIRT_BASE + pfn * 4096 for every page of ours. Page tables hold mfns, and the
 * guest may read its tables but not write them: every change is a request to the hypervisor.
 */
#ifndef LIB_MM_H
#define LIB_MM_H
#include "xen.h"

#define VIRT_BASE 0xC0000000u

static inline void *pfn_to_va(u32 pfn) { return (void *)(VIRT_BASE + (pfn << PAGE_SHIFT)); }
static inline u32 va_to_pfn(const void *va) { return ((u32)va - VIRT_BASE) >> PAGE_SHIFT; }
u32 pfn_to_mfn(u32 pfn);
/* ~0 if the frame is not one of ours. */
u32 mfn_to_pfn(u32 mfn);
static inline u32 va_to_mfn(const void *va) { return pfn_to_mfn(va_to_pfn(va)); }
static inline void *mfn_to_va(u32 mfn) { return pfn_to_va(mfn_to_pfn(mfn)); }
/* Machine address of a byte of ours. */
static inline u64 va_to_maddr(const void *va) { return (u64)va_to_mfn(va) << PAGE_SHIFT | ((u32)va & 4095); }
static inline u32 pte_mfn(pte_t entry) { return (u32)((entry >> PAGE_SHIFT) & 0xffffff); }
static inline pte_t make_pte(u32 mfn, u32 flags) { return (pte_t)mfn << PAGE_SHIFT | flags; }

/* Maps all of the domain's memory and makes the allocator ready. */
void mm_start(void);
/* A zeroed page, mapped writable in the kernel. Panics when there is none left. */
void *page_alloc(void);
void page_free(void *page);
u32 pages_free(void);

/* mfn of the root table in use. */
u32 root_mfn(void);
/* The entry of `level` (1 is the leaf's) that maps va under a root, as a kernel address; NULL if a table is missing. */
pte_t *table_entry(u32 root, u32 va, int level);
/* One mmu_update; the hypervisor's answer. `entry` is a kernel address inside a table. */
long set_entry(pte_t *entry, pte_t value);
/* Changes the kernel's own mapping of a page: read-only before it becomes a table, writable after it was one. */
void page_make_readonly(void *page);
void page_make_writable(void *page);
/* One mmuext_op. */
long mmuext(u32 cmd, u32 arg1, u32 arg2);

/* ---- address spaces: space.c */
/* A pinned root that maps the kernel and nothing below it; its mfn. */
u32 space_new(void);
/* Maps one page; makes the tables that are missing. `flags` are PTE_*. */
void space_map(u32 root, u32 va, u32 mfn, u32 flags);
/* The leaf entry of va, 0 if there is none. */
pte_t space_lookup(u32 root, u32 va);
void space_set(u32 root, u32 va, pte_t entry);
void space_switch(u32 root);
/* Calls each(va, entry) for every present user page, then frees all tables. Must not be the current one. */
void space_free(u32 root, void (*each)(u32 va, pte_t entry));
void space_each(u32 root, void (*each)(u32 va, pte_t entry));

#endif
