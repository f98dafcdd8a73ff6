/* probes.c: what a start-up asks the hypervisor and the processor, including what is refused and survived. */
#include "linuxlike.h"

void version_checks(void) {
	struct { u32 index, bits; } features = { 0, 0 };
	static char text[1024];
	u32 virt_start = 0, v[3];
	struct { u64 address, size; u32 type; } __attribute__((packed)) map[8];
	struct { u32 entries; void *buffer; } arg = { 8, map };
	check_is("xen_version: version", HYPERVISOR_xen_version(XENVER_version, NULL), 0x40011);
	check_is("xen_version: get_features", HYPERVISOR_xen_version(XENVER_get_features, &features), 0);
	check_is("xen_version: bits 0 to 3 are clear", features.bits & 15, 0);
	check_is("xen_version: extraversion", HYPERVISOR_xen_version(XENVER_extraversion, text), 0);
	check_is("xen_version: capabilities", HYPERVISOR_xen_version(XENVER_capabilities, text), 0);
	check("xen_version: capabilities name our kind", strstr(text, "xen-3.0-x86_32p") != NULL);
	check_is("xen_version: platform_parameters", HYPERVISOR_xen_version(XENVER_platform_parameters, &virt_start), 0);
	check_is("xen_version: start of the hole", virt_start, HYPERVISOR_VIRT_START);
	check_is("machphys_mapping", HYPERVISOR_memory_op(XENMEM_machphys_mapping, v), 0);
	check("machphys_mapping: begins with the hole", v[0] == HYPERVISOR_VIRT_START && v[1] > v[0] && v[2] > start->nr_pages);
	int good = 1;
	for (u32 pfn = 0; pfn < start->nr_pages; pfn++)
		good &= mfn_pfn(pfn_mfn(pfn)) == pfn;
	check("machphys_mapping: ring 1 reads it, and it agrees with the p2m", good);
	long result = HYPERVISOR_memory_op(XENMEM_memory_map, &arg);
	if (result == -ENOSYS)
		check("memory_map: ENOSYS, 0..nr_pages is taken", 1);
	else
		check("memory_map: one entry of RAM", result == 0 && arg.entries == 1 && map[0].address == 0 && map[0].type == 1 &&
			map[0].size >= (u64)start->nr_pages * PAGE_SIZE);
}

static void cpuid(u32 leaf, u32 sub, u32 r[4]) {
	__asm__ volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "0"(leaf), "2"(sub));
}

static u32 in8(u32 port) {
	u8 value;
	__asm__ volatile("inb %w1, %0" : "=a"(value) : "d"(port));
	return value;
}
static void out8(u32 port, u32 value) { __asm__ volatile("outb %b0, %w1" : : "a"(value), "d"(port)); }

void cpu_checks(void) {
	static const u32 leaves[] = { 0, 1, 6, 7, 0xd, 0x40000000, 0x40000005, 0x80000000, 0x80000001, 0x80000002, 0x80000003,
		0x80000004, 0x80000005, 0x80000006, 0x80000007, 0x80000008, 0x8000000a, 0x8000001f, 0x80000021 };
	static const u32 reads[] = { 0x1b, 0x8b, 0x277, 0xc0010000, 0xc0010001, 0xc0010002, 0xc0010003, 0xc0010004, 0xc0010005,
		0xc0010006, 0xc0010007, 0xc0010055, 0xc0011029, 0x10a, 0x140, 0x1a0, 0xce };
	static const u32 writes[] = { 0xc0010007, 0xc0010015, 0x140, 0x8b };
	u32 r[4], fault, value, answered = 0, good = 1;
	for (u32 i = 0; i < ARRAY_LENGTH(leaves); i++)
		cpuid(leaves[i], 0, r);
	check("cpuid: 19 leaves behind the prefix", 1);
	cpuid(0x40000000, 0, r);
	check("cpuid: XenVMMXenVMM", r[1] == 0x566e6558 && r[2] == 0x65584d4d && r[3] == 0x4d4d566e);
	cpuid(0x40000001, 0, r);
	check_is("cpuid: leaf 40000001 has the version", r[0], 0x40011);
	cpuid(1, 0, r);
	check("cpuid: TSC PAE CX8 CMOV FXSR", (r[3] & (1 << 4 | 1 << 6 | 1 << 8 | 1 << 15 | 1 << 24)) ==
		(1 << 4 | 1 << 6 | 1 << 8 | 1 << 15 | 1 << 24));
	check("cpuid: no PSE, no PGE, a hypervisor", !(r[3] & (1 << 3 | 1 << 13)) && (r[2] >> 31));
	for (u32 i = 0; i < ARRAY_LENGTH(reads); i++) {
		GUARDED_OUT("rdmsr", fault, OUTPUTS("=&a"(r[0]), "=&d"(r[3])), "c"(reads[i]));
		answered += fault == 0;
		good &= fault == 0 || fault == 14;
	}
	printf("rdmsr: %d of %d answered\n", answered, (int)ARRAY_LENGTH(reads));
	check("rdmsr: an answer or #GP for each", good);
	for (u32 i = 0; i < ARRAY_LENGTH(writes); i++) {
		GUARDED("wrmsr", fault, "c"(writes[i]), "a"(0), "d"(0));
		good &= fault == 0 || fault == 14;
	}
	check("wrmsr: taken or #GP", good);
	/* I/O: without virtual IOPL it is #GP, with it harmless although nothing is there. */
	GUARDED_OUT("inb %%dx, %%al", fault, OUTPUTS("=&a"(r[0])), "d"(0x61));
	check_is("in: #GP with IOPL 0", fault, 14);
	u32 iopl = 1;
	check_is("physdev_op: set_iopl(1)", hypercall2(HYPERCALL_physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
	out8(0x43, 0xb0);
	out8(0x42, 0xff);
	out8(0x61, 1);
	good = 1;
	for (u32 i = 0; i < 1000; i++)
		good &= in8(0x61) == 0xff && in8(0x42) == 0xff;
	out8(0x21, 0xff);
	out8(0xa1, 0xff);
	good &= in8(0x21) == 0xff && in8(0xa1) == 0xff && in8(0x87) == 0xff;
	check("in, out: 42h 43h 61h 21h a1h 87h read as ones, writes vanish", good);
	GUARDED("cli; sti", fault, "i"(0));
	check_is("cli, sti: nothing with IOPL 1", fault, 0);
	__asm__ volatile("pushf; pop %0" : "=r"(value));
	check_is("pushf: IF 1, IOPL 0", value & 0x3200, 0x200);
	__asm__ volatile("mov %%cr0, %0" : "=r"(value));
	check("mov from cr0: PE PG WP, not TS", (value & 0x80010009) == 0x80010001);
	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	check("mov from cr4: PAE", (value & 0x20) != 0);
	GUARDED("mov %[v], %%cr4", fault, [v] "r"(value | 0x600));
	check_is("mov to cr4: no fault", fault, 0);
	hypercall1(HYPERCALL_fpu_taskswitch, 1);
	__asm__ volatile("mov %%cr0, %0" : "=r"(value));
	check_is("fpu_taskswitch(1): shows as CR0.TS", value & 8, 8);
	__asm__ volatile("clts");
	__asm__ volatile("mov %%cr0, %0" : "=r"(value));
	check_is("clts", value & 8, 0);
}

/* ---- stores of the kernel into tables that it may only read */
static volatile u32 *low(volatile pte_t *entry) { return (volatile u32 *)entry; }
static volatile u32 *high(volatile pte_t *entry) { return (volatile u32 *)entry + 1; }

void direct_store_checks(void) {
	struct space *s = space_create();
	static u32 other[1024] __attribute__((aligned(4096)));
	void *page = get_page();
	u32 mfn = va_mfn(page), fault;
	pte_t full = pte(mfn, PTE_P | PTE_W | PTE_U | PTE_A | PTE_D);
	space_set(s, 0x08000000, full);
	space_pin(s);
	volatile pte_t *at = space_entry(s, 0x08000000, 0);
	check("stores: the table is read-only to us", !(*kernel_entry((u32)at) & PTE_W));
	GUARDED("movl $0, (%[p])", fault, [p] "r"(low(at)));
	check("stores: movl $0 low", fault == 0 && *low(at) == 0);
	/* Between the two stores the entry is not present; its upper half is whatever it was. */
	GUARDED("movl $0, (%[p])", fault, [p] "r"(high(at)));
	check("stores: movl $0 high", fault == 0 && *at == 0);

	must(mmu_update_one(at, full), "mmu_update");
	GUARDED("movl $0x123, (%[p])", fault, [p] "r"(high(at)));
	check("stores: the high half first: tolerated, not present", fault == 0 && !(*at & PTE_P));
	GUARDED("movl $0, (%[p])", fault, [p] "r"(low(at)));
	GUARDED("movl $0, (%[p])", fault, [p] "r"(high(at)));
	check("stores: then nothing is left", fault == 0 && *at == 0);

	GUARDED("movl %[v], (%[p])", fault, [p] "r"(high(at)), [v] "r"((u32)(full >> 32)));
	GUARDED("movl %[v], (%[p])", fault, [p] "r"(low(at)), [v] "r"((u32)full));
	check("stores: high then low builds an entry", fault == 0 && *at == full);

	GUARDED("andb $0xfd, (%[p])", fault, [p] "r"(low(at)));
	check("stores: andb $0xfd", fault == 0 && *at == (full & ~(pte_t)PTE_W));
	must(mmu_update_one(at, full), "mmu_update");
	GUARDED("lock andb $0xfd, (%[p])", fault, [p] "r"(low(at)));
	check("stores: lock andb $0xfd", fault == 0 && *at == (full & ~(pte_t)PTE_W));
	GUARDED("orb $2, (%[p])", fault, [p] "r"(low(at)));
	check("stores: orb", fault == 0 && *at == full);
	GUARDED("lock btrl $6, (%[p])", fault, [p] "r"(low(at)));
	check("stores: lock btrl (young)", fault == 0 && *at == (full & ~(pte_t)PTE_D));
	GUARDED("lock btsl $6, (%[p])", fault, [p] "r"(low(at)));
	check("stores: lock btsl", fault == 0 && *at == full);

	u32 a = (u32)full, d = full >> 32;
	GUARDED("lock cmpxchg8b (%[p])", fault, [p] "D"(at), "a"(a), "d"(d), "b"(0), "c"(0));
	check("stores: lock cmpxchg8b clears a whole entry", fault == 0 && *at == 0);
	GUARDED("lock cmpxchg8b (%[p])", fault, [p] "D"(at), "a"(0), "d"(0), "b"(a & ~2u), "c"(d));
	check("stores: lock cmpxchg8b sets one", fault == 0 && *at == (full & ~(pte_t)PTE_W));
	u8 zero;
	__asm__ volatile("lock cmpxchg8b (%[p]); setz %[z]" : [z] "=m"(zero) : [p] "D"(at), "a"(1), "d"(d), "b"(a), "c"(d) : "memory", "cc");
	check("stores: lock cmpxchg8b that does not compare", zero == 0 && *at == (full & ~(pte_t)PTE_W));

	u32 old = 0;
	__asm__ volatile("xchgl %0, (%1)" : "+r"(old), "+D"(at) : : "memory");
	check("stores: xchg", old == ((u32)full & ~2u) && *low(at) == 0);
	must(mmu_update_one(at, 0), "mmu_update");

	/* What is not an entry that we may have is a fault of ours, and changes nothing. */
	GUARDED("movl %[v], (%[p])", fault, [p] "r"(low(at)), [v] "r"(va_mfn(at) << 12 | 3));
	check("stores: a writable mapping of the table itself is refused", fault == 15 && *at == 0);
	GUARDED("movl $0, (%[p])", fault, [p] "r"(&s->l2[0][5]));
	check("stores: into an L2 a fault", fault == 15);
	GUARDED("movl $0, (%[p])", fault, [p] "r"(s->root));
	check("stores: into an L3 a fault", fault == 15);
	volatile pte_t *to = at;
	u32 halves = 4;
	GUARDED_OUT("rep stosl", fault, OUTPUTS("+D"(to), "+c"(halves)), "a"(0));
	check("stores: REP STOS over four halves", fault == 0);

	/* mmu_update on an L1 that is not in use, INVLPG after it, and a move of entries. */
	must(mmu_update_one(at, full), "mmu_update");
	check_is("mmuext: INVLPG_LOCAL", mmuext_one(MMUEXT_INVLPG_LOCAL, 0x08000000, 0), 0);
	check_is("mmuext: INVLPG_ALL", mmuext_one(MMUEXT_INVLPG_ALL, 0x08000000, 0), 0);
	check_is("mmuext: TLB_FLUSH_ALL", mmuext_one(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);

	/* Single entries inside a batch, as set_pte makes them in lazy mode; the command that keeps A and D, as mprotect. */
	struct mmu_update updates[2] = { { va_ma(at), full }, { va_ma(at) | 2, full & ~(pte_t)(PTE_W | PTE_A | PTE_D) } };
	must(mmu_update_one(at, 0), "mmu_update");
	batch(HYPERCALL_mmu_update, (u32)&updates[0], 1, 0, DOMID_SELF);
	batch(HYPERCALL_mmu_update, (u32)&updates[1], 1, 0, DOMID_SELF);
	batch_mmuext(MMUEXT_INVLPG_LOCAL, 0x08000000, 0);
	batch_flush();
	check("mmu_update: in a batch, PRESERVE_AD keeps A and D", *at == (full & ~(pte_t)PTE_W));

	/* An alias of a page changes with its mapping: stale entries must not let a store through. */
	other[0] = 1;
	must(HYPERVISOR_update_va_mapping((u32)other, pte(va_mfn(other), KERNEL_RO), UVMF_INVLPG), "read-only");
	GUARDED("movl $2, (%[p])", fault, [p] "r"(other));
	check("update_va_mapping: INVLPG makes read-only at once", fault == 15 && other[0] == 1);
	must(HYPERVISOR_update_va_mapping((u32)other, pte(va_mfn(other), KERNEL_RW), UVMF_INVLPG), "writable");
	other[0] = 3;
	space_destroy(s);
}

/* ---- balloon: pages leave the kernel's map, go, and come back */
void balloon_checks(void) {
	enum { PAGES = 16 };
	static u32 frames[PAGES], pfns[PAGES];
	static void *pages[PAGES];
	u32 *p2m = (u32 *)start->mfn_list;
	u16 self = DOMID_SELF;
	struct xen_memory_reservation r = { frames, PAGES, 0, 0, DOMID_SELF };
	long before = HYPERVISOR_memory_op(XENMEM_current_reservation, &self), count;
	for (u32 i = 0; i < PAGES; i++) {
		pages[i] = get_page();
		pfns[i] = va_pfn(pages[i]);
		frames[i] = va_mfn(pages[i]);
		batch_mapping(pages[i], 0, UVMF_NONE);
	}
	batch_flush();
	must(mmuext_one(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), "flush");
	for (u32 i = 0; i < PAGES; i++)
		p2m[pfns[i]] = ~0u;
	count = HYPERVISOR_memory_op(XENMEM_decrease_reservation, &r);
	check_is("balloon: decrease counts every extent", count, PAGES);
	check_is("balloon: the reservation shrank", before - HYPERVISOR_memory_op(XENMEM_current_reservation, &self), PAGES);
	for (u32 i = 0; i < PAGES; i++)
		frames[i] = pfns[i];
	count = HYPERVISOR_memory_op(XENMEM_populate_physmap, &r);
	check_is("balloon: populate gives them back", count, PAGES);
	int good = 1;
	for (u32 i = 0; i < (u32)count; i++) {
		p2m[pfns[i]] = frames[i];
		good &= mfn_pfn(frames[i]) == pfns[i];
		batch_mapping(pages[i], pte(frames[i], KERNEL_RW), UVMF_NONE);
	}
	batch_flush();
	check("balloon: the M2P knows the new frames", good);
	for (u32 i = 0; i < (u32)count; i++) {
		u32 *word = pages[i];
		for (u32 j = 0; j < 1024; j++)
			good &= word[j] == 0;
		word[5] = i;
		good &= word[5] == i;
		put_page(pages[i]);
	}
	check("balloon: the new frames are empty and usable", good);
	/* A frame that is still mapped counts as done. */
	void *mapped = get_page();
	u32 frame = va_mfn(mapped);
	r = (struct xen_memory_reservation){ &frame, 1, 0, 0, DOMID_SELF };
	check_is("balloon: a frame still mapped counts as done", HYPERVISOR_memory_op(XENMEM_decrease_reservation, &r), 1);
	must(HYPERVISOR_update_va_mapping((u32)mapped, 0, UVMF_INVLPG), "unmap");
	frame = va_pfn(mapped);
	check_is("balloon: and can be replaced", HYPERVISOR_memory_op(XENMEM_populate_physmap, &r), 1);
	p2m[va_pfn(mapped)] = frame;
	must(HYPERVISOR_update_va_mapping((u32)mapped, pte(frame, KERNEL_RW), UVMF_INVLPG), "map");
	put_page(mapped);
}

/* ---- grant table */
void grant_checks(void) {
	u32 version = 1, frames[2] = { 0, 0 };
	struct { u16 dom; u32 nr, max; s32 status; } size = { DOMID_SELF, 0, 0, 1 };
	struct { u16 dom; u32 nr; s32 status; u32 *list; } setup = { DOMID_SELF, 1, 1, frames };
	check_is("grants: set_version(1)", hypercall3(HYPERCALL_grant_table_op, GNTTABOP_set_version, &version, 1), 0);
	check_is("grants: query_size", hypercall3(HYPERCALL_grant_table_op, GNTTABOP_query_size, &size, 1), 0);
	check("grants: query_size status and limit", (short)size.status == 0 && size.max >= 2);
	check_is("grants: setup_table of 1", hypercall3(HYPERCALL_grant_table_op, GNTTABOP_setup_table, &setup, 1), 0);
	check("grants: setup_table status", (short)setup.status == 0 && frames[0] != 0);
	u32 first = frames[0];
	volatile u32 *table = fixmap(8, pte(frames[0], KERNEL_RW));
	check("grants: entries 0 and 1 are the console's and the store's", table[1] == start->console_mfn && table[3] == start->store_mfn);
	table[2 * 8 + 1] = va_mfn((void *)start);
	table[2 * 8] = 1;
	check_is("grants: an entry is ours to write", table[2 * 8] & 0xffff, 1);
	table[2 * 8] = 0;
	setup.nr = 2;
	setup.status = 1;
	check_is("grants: setup_table of 2", hypercall3(HYPERCALL_grant_table_op, GNTTABOP_setup_table, &setup, 1), 0);
	check("grants: the first frame stays, a second comes", (short)setup.status == 0 && frames[0] == first && frames[1] != 0 && frames[1] != first);
	table = fixmap(9, pte(frames[1], KERNEL_RW));
	table[0] = 0;
	fixmap(9, 0);
	fixmap(8, 0);
}
