/* batch.c: multicalls, as lazy MMU and lazy CPU mode make them. */
#include "linuxlike.h"

#define LONGEST 16
static struct multicall_entry entries[LONGEST];
static struct mmuext_op ops[LONGEST];
static u32 used;
u32 batches, batch_failures, batch_singles;

void batch(u32 op, u32 a, u32 b, u32 c, u32 d) {
	if (used == LONGEST)
		batch_flush();
	entries[used++] = (struct multicall_entry){ op, 0x5a5a5a5a, { a, b, c, d, 0, 0 } };
}

void batch_mapping(void *va, pte_t entry, u32 flags) {
	batch(HYPERCALL_update_va_mapping, (u32)va, entry, entry >> 32, flags);
}

void batch_mmuext(u32 cmd, u32 arg1, u32 arg2) {
	if (used == LONGEST)
		batch_flush();
	ops[used] = (struct mmuext_op){ cmd, arg1, arg2 };
	batch(HYPERCALL_mmuext_op, (u32)&ops[used], 1, 0, DOMID_SELF);
}

/* The hypercall page is called by number, as for an entry of which only the number is known. */
static long plain(struct multicall_entry *e) {
	long result;
	u32 b = e->args[0], c = e->args[1], d = e->args[2], s = e->args[3], to = (u32)hypercall_page + e->op * 32;
	__asm__ volatile("call *%[to]" : "=a"(result), "+b"(b), "+c"(c), "+d"(d), "+S"(s) : [to] "0"(to) : "memory");
	return result;
}

void batch_flush(void) {
	int mask = irq_save();
	if (used == 1) {
		batch_singles++;
		if (plain(&entries[0]) != 0)
			batch_failures++;
	} else if (used) {
		batches++;
		must(HYPERVISOR_multicall(entries, used), "multicall");
		for (u32 i = 0; i < used; i++)
			if (entries[i].result != 0) {
				printf("multicall: entry %d of %d, op %d (%x %x %x %x): %d\n", i, used, entries[i].op,
				       entries[i].args[0], entries[i].args[1], entries[i].args[2], entries[i].args[3],
				       (int)entries[i].result);
				batch_failures++;
			}
	}
	used = 0;
	irq_restore(mask);
}
