/*
 * vm.c: demand paging and copy-on-write.
 *
 * A user page is in one of four states: absent (the next touch loads or zeroes it), present and ours alone (writable),
 * shared since a fork (read-only, PTE_COW), or not ours to touch at all. Counts say how many processes map a page of
 * ours; the last one that writes to a shared page just takes it over.
 */
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "proc.h"

static u8 *shares; /* by pfn: how many processes map it */
u32 vm_copies, vm_loads;

void vm_start(void) {
	static u8 counts[65536];
	if (start->nr_pages > sizeof counts)
		panic("userland manages at most %d pages", (u32)sizeof counts);
	shares = counts;
}

static const u32 writable_page = PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;

static int in_program(u32 va) { return va >= USER_BASE && va < USER_END; }
static int in_stack(u32 va) { return va >= STACK_BOTTOM && va < STACK_TOP; }

static void load_page(u32 va) {
	u8 *page = page_alloc();
	u32 offset = va - USER_BASE, size = current->program->end - current->program->start;
	if (in_program(va) && offset < size)
		memcpy(page, current->program->start + offset, size - offset < PAGE_SIZE ? size - offset : PAGE_SIZE);
	shares[va_to_pfn(page)] = 1;
	space_map(current->root, va, va_to_mfn(page), writable_page);
	vm_loads++;
}

static void copy_page(u32 va, pte_t entry) {
	u32 pfn = mfn_to_pfn(pte_mfn(entry));
	if (shares[pfn] == 1) {
		space_set(current->root, va, make_pte(pte_mfn(entry), writable_page));
		return;
	}
	void *copy = page_alloc();
	memcpy(copy, pfn_to_va(pfn), PAGE_SIZE);
	shares[pfn]--;
	shares[va_to_pfn(copy)] = 1;
	space_set(current->root, va, make_pte(va_to_mfn(copy), writable_page));
	vm_copies++;
}

int vm_fault(u32 va, u32 error) {
	pte_t entry;
	va &= PAGE_MASK;
	if (!in_program(va) && !in_stack(va))
		return -1;
	entry = space_lookup(current->root, va);
	if (!(entry & PTE_P))
		load_page(va);
	else if ((error & 2) && (entry & PTE_COW))
		copy_page(va, entry);
	else
		return -1;
	current->faults++;
	return 0;
}

static u32 child_root;
static void share_page(u32 va, pte_t entry) {
	pte_t shared = (entry & ~(pte_t)PTE_W) | PTE_COW;
	shares[mfn_to_pfn(pte_mfn(entry))]++;
	space_map(child_root, va, pte_mfn(entry), (u32)shared & 4095);
	space_set(current->root, va, shared);
}

u32 vm_fork(void) {
	child_root = space_new();
	space_each(current->root, share_page);
	return child_root;
}

static void drop_page(u32 va, pte_t entry) {
	u32 pfn = mfn_to_pfn(pte_mfn(entry));
	(void)va;
	/* The entry still maps the page, read-only or writable, until the tables are unpinned; the allocator may chain
	   it meanwhile, nobody reads it through the dying space. */
	if (--shares[pfn] == 0)
		page_free(pfn_to_va(pfn));
}

void vm_free(u32 root) { space_free(root, drop_page); }

u32 vm_shared_frames(void) {
	u32 n = 0;
	for (u32 pfn = 0; pfn < start->nr_pages; pfn++)
		n += shares[pfn] > 1;
	return n;
}
