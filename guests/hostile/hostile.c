/*
 * hostile.c: ways to break out of a paravirtual cage, each tried once.
 *
 * The hypervisor must refuse every one of them, and the guest, which has done nothing worse than ask, goes on living.
 * Each attempt is a function that returns what came back: a hypercall's result, or FAULT(vector, code) of the fault
 * that a plain instruction raised. An attempt counts as a breach when it worked.
 */
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "trap.h"

#define FAULTED 0x40000000
#define FAULT(vector, code) (FAULTED | (vector) << 16 | (code))

/* What a probe met, as an attempt's result; 0, success, if nothing. */
static long store(u32 va) { return try_write32(va, 0x0badf00d) ? 0 : (long)(FAULTED | probe_fault); }

/* One of our L1 tables: the one that maps our code. */
static pte_t *own_l1(void) { return (pte_t *)((u32)table_entry(root_mfn(), VIRT_BASE, 1) & PAGE_MASK); }
static pte_t *own_l2(void) { return (pte_t *)((u32)table_entry(root_mfn(), VIRT_BASE, 2) & PAGE_MASK); }
static u32 *scratch; /* a page that attempts may use; writable */
static pte_t scratch_entry(u32 flags) { return make_pte(va_to_mfn(scratch), PTE_P | flags); }
static long map_scratch_at(u32 mfn, u32 flags) {
	return HYPERVISOR_update_va_mapping((u32)scratch, make_pte(mfn, PTE_P | flags), UVMF_INVLPG);
}

/* A frame that is RAM but not ours: no pfn of ours leads to it. */
static u32 foreign_mfn(void) {
	u32 top = HYPERVISOR_memory_op(XENMEM_maximum_ram_page, NULL);
	for (u32 mfn = 300; mfn < top; mfn++)
		if (mfn_to_pfn(mfn) == ~0u)
			return mfn;
	return 300;
}

static long map_l1_writable(void) { return map_scratch_at(va_to_mfn(own_l1()), PTE_W); }
static long map_root_writable(void) { return map_scratch_at(root_mfn(), PTE_W); }
static long map_foreign_frame(void) { return map_scratch_at(foreign_mfn(), PTE_W); }
static long map_first_megabyte(void) { return map_scratch_at(0xb8, PTE_W); }
static long map_hypervisor_frame(void) {
	/* The M2P's own frame: it is mapped into our tables by Xen, where we can read its number. */
	pte_t *entry = table_entry(root_mfn(), HYPERVISOR_VIRT_START, 2);
	return map_scratch_at(pte_mfn(*entry), PTE_W);
}
static long map_beyond_ram(void) { return map_scratch_at(0x7ffff, PTE_W); }
static long store_to_l1(void) { return store((u32)&own_l1()[L1_ENTRIES - 1]); }
static long store_to_l2(void) { return store((u32)&own_l2()[5]); }
static long store_to_m2p(void) { return store(HYPERVISOR_VIRT_START); }
static long store_to_hypervisor(void) { return store(0xff000000); }
static long map_in_the_hole(void) {
	return HYPERVISOR_update_va_mapping(HYPERVISOR_VIRT_START, scratch_entry(PTE_W), UVMF_INVLPG);
}
static long replace_hypervisor_slot(void) {
	return set_entry(table_entry(root_mfn(), HYPERVISOR_VIRT_START, 2), scratch_entry(PTE_W | PTE_U));
}
static long map_superpage(void) { return set_entry(&own_l2()[5], make_pte(va_to_mfn(scratch) & ~1023u, PTE_P | PTE_W | 0x80)); }
static long hook_data_as_table(void) { return set_entry(&own_l2()[5], scratch_entry(PTE_W | PTE_U)); }
static long pin_writable_page(void) { return mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(scratch), 0); }
static long pin_foreign_frame(void) { return mmuext(MMUEXT_PIN_L1_TABLE, foreign_mfn(), 0); }
static long pin_forged_table(void) {
	/* A table that maps its neighbour, a live table, writable. */
	pte_t *table = page_alloc();
	long result;
	table[0] = make_pte(va_to_mfn(own_l1()), PTE_P | PTE_W | PTE_U);
	page_make_readonly(table);
	result = mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(table), 0);
	page_make_writable(table);
	page_free(table);
	return result;
}
static long unpin_never_pinned(void) { return mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(scratch), 0); }
static long gdt_of_writable_page(void) {
	u32 frame = va_to_mfn(scratch);
	return HYPERVISOR_set_gdt(&frame, 8);
}
static long gdt_with_hypervisor_gate(void) {
	u64 *gdt = page_alloc();
	u32 frame = va_to_mfn(gdt);
	long result;
	gdt[1] = 0x0000ec00e0080000ull; /* call gate, DPL 3, to the hypervisor's own code segment */
	page_make_readonly(gdt);
	result = HYPERVISOR_set_gdt(&frame, 8);
	page_make_writable(gdt);
	page_free(gdt);
	return result;
}
static long descriptor_into_table(void) { return HYPERVISOR_update_descriptor(va_to_maddr(own_l1()), 0); }
static long tss_descriptor(void) { return HYPERVISOR_update_descriptor(va_to_maddr(scratch), 0x0000890000000067ull); }
static long m2p_of_foreign_frame(void) {
	struct mmu_update update = { (u64)foreign_mfn() << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 0 };
	return HYPERVISOR_mmu_update(&update, 1, NULL, DOMID_SELF);
}
static long arguments_in_hypervisor(void) {
	return HYPERVISOR_mmu_update((struct mmu_update *)HYPERVISOR_VIRT_START, 1, NULL, DOMID_SELF);
}
static long version_into_table(void) { return HYPERVISOR_xen_version(XENVER_extraversion, own_l1()); }
static long free_foreign_frame(void) {
	u32 mfn = foreign_mfn();
	struct xen_memory_reservation reservation = { &mfn, 1, 0, 0, DOMID_SELF };
	long freed = HYPERVISOR_memory_op(XENMEM_decrease_reservation, &reservation);
	return freed == 0 ? -EINVAL : 0; /* the call counts what it freed: none */
}
static long act_on_another_domain(void) {
	struct mmu_update update = { va_to_maddr(&own_l1()[0]), 0 };
	return HYPERVISOR_mmu_update(&update, 0, NULL, DOMID_XEN);
}

/* ---- instructions of ring 0; each probe's own fault handler skips it */
static u32 skip_to, skipped_fault;
static void skip(struct regs *regs) {
	skipped_fault = FAULT(regs->vector, regs->error & 0xffff);
	regs->eip = skip_to;
}
#define TRY_INSTRUCTION(name, text, ...)                                                            \
	static long name(void) {                                                                    \
		skipped_fault = 0;                                                                  \
		__asm__ volatile("movl $1f, %0\n\t" text "\n1:" : "+m"(skip_to) : __VA_ARGS__ : "memory"); \
		return skipped_fault;                                                               \
	}
TRY_INSTRUCTION(disable_interrupts, "cli", "a"(0))
TRY_INSTRUCTION(halt, "hlt", "a"(0))
TRY_INSTRUCTION(load_gdtr, "lgdt (%1)", "r"(scratch))
TRY_INSTRUCTION(load_idtr, "lidt (%1)", "r"(scratch))
TRY_INSTRUCTION(clear_paging, "movl %1, %%cr0", "r"(0))
TRY_INSTRUCTION(output_byte, "outb %%al, $0x80", "a"(0))
TRY_INSTRUCTION(load_ring0_stack, "mov %w1, %%ss", "r"(0xE010))
TRY_INSTRUCTION(jump_to_ring0, "ljmp $0xE008, $0xff000000", "a"(0))

static const struct {
	const char *what;
	long (*attempt)(void);
} attempts[] = {
	{ "map an L1 table writable", map_l1_writable },
	{ "map the root table writable", map_root_writable },
	{ "map a frame of nobody's or somebody else's", map_foreign_frame },
	{ "map the first megabyte", map_first_megabyte },
	{ "map a frame of the hypervisor", map_hypervisor_frame },
	{ "map a frame beyond RAM", map_beyond_ram },
	{ "store into an L1 table", store_to_l1 },
	{ "store into an L2 table", store_to_l2 },
	{ "store into the M2P", store_to_m2p },
	{ "store into the hypervisor", store_to_hypervisor },
	{ "map a page in the hypervisor's hole", map_in_the_hole },
	{ "replace the hypervisor's slot of an L2", replace_hypervisor_slot },
	{ "map a superpage", map_superpage },
	{ "hook a writable page as a table", hook_data_as_table },
	{ "pin a writable page as a table", pin_writable_page },
	{ "pin a frame that is not ours", pin_foreign_frame },
	{ "pin a forged table", pin_forged_table },
	{ "unpin what was never pinned", unpin_never_pinned },
	{ "a GDT in a writable page", gdt_of_writable_page },
	{ "a call gate into the hypervisor", gdt_with_hypervisor_gate },
	{ "a descriptor over a table's entry", descriptor_into_table },
	{ "a TSS descriptor", tss_descriptor },
	{ "an M2P entry of a frame that is not ours", m2p_of_foreign_frame },
	{ "hypercall arguments in the hypervisor", arguments_in_hypervisor },
	{ "a hypercall's result over a table", version_into_table },
	{ "free a frame that is not ours", free_foreign_frame },
	{ "act on the hypervisor's own memory", act_on_another_domain },
	{ "cli", disable_interrupts },
	{ "hlt", halt },
	{ "lgdt", load_gdtr },
	{ "lidt", load_idtr },
	{ "switch paging off", clear_paging },
	{ "out to a port", output_byte },
	{ "load a ring 0 stack segment", load_ring0_stack },
	{ "jump to ring 0", jump_to_ring0 },
};

static const char *error_name(long error) {
	switch (-error) {
	case EPERM: return "EPERM";
	case ENOENT: return "ENOENT";
	case ESRCH: return "ESRCH";
	case EFAULT: return "EFAULT";
	case EBUSY: return "EBUSY";
	case EINVAL: return "EINVAL";
	case ENOSYS: return "ENOSYS";
	default: return "?";
	}
}

void guest_main(void) {
	u32 refused = 0, n = ARRAY_LENGTH(attempts);
	scratch = page_alloc();
	trap_set_handler(13, skip);
	trap_set_handler(14, skip);
	trap_set_handler(11, skip);
	for (u32 i = 0; i < n; i++) {
		long result = attempts[i].attempt();
		printf("%2d %s: ", i + 1, attempts[i].what);
		if (result < 0)
			printf("%s\n", error_name(result));
		else if (result & FAULTED)
			printf("#%s(%x)\n", (result >> 16 & 0xff) == 14 ? "PF" : (result >> 16 & 0xff) == 13 ? "GP" : "NP",
			       (u32)result & 0xffff);
		else
			printf("WORKED, result %d\n", (int)result);
		if (result < 0 || (result & FAULTED))
			refused++;
	}
	printf("hostile: %d of %d attempts refused, %s\n", refused, n,
	       refused == n ? "and the guest lives on" : "the cage is BROKEN");
}
