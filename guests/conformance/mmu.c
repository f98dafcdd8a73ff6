/* mmu.c: rows 46 to 55, and the writable page tables of row 72. */
#include "conformance.h"

#define MMUEXT_TLB_FLUSH_MULTI 8
#define MMUEXT_INVLPG_MULTI 9
#define MMUEXT_TLB_FLUSH_ALL 10
#define MMUEXT_INVLPG_ALL 11
#define MMUEXT_CLEAR_PAGE 16
#define MMUEXT_COPY_PAGE 17

static u32 *data;
static pte_t data_entry(u32 flags) { return make_pte(va_to_mfn(data), PTE_P | flags); }
/* The refusals for which 3.0.2 has one error and 4.17 several. */
static long refused(long later) { return by_version(-EINVAL, later); }

static pte_t *new_table(void) {
	pte_t *table = page_alloc();
	table[0] = data_entry(PTE_W | PTE_U);
	page_make_readonly(table);
	return table;
}
static void drop_table(pte_t *table) {
	page_make_writable(table);
	page_free(table);
}

static void test_pin(void) {
	row("MMUEXT_PIN_L1_TABLE");
	pte_t *table = page_alloc();
	expect("a page with a writable mapping", mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(table), 0), -EINVAL);
	page_free(table);
	table = new_table();
	expect("a table", mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(table), 0), 0);
	expect("a second time", mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(table), 0), -EINVAL);
	pte_t *writer = page_alloc();
	writer[0] = make_pte(va_to_mfn(table), PTE_P | PTE_W);
	page_make_readonly(writer);
	expect("one with a writable entry for a table", mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(writer), 0), refused(-EBUSY));
	drop_table(writer);
	expect("as another level", mmuext(MMUEXT_PIN_ROOT, va_to_mfn(table), 0) < 0, 1);
	expect("a frame that is not ours", mmuext(MMUEXT_PIN_L1_TABLE, 0, 0), -EINVAL);
	row("MMUEXT_UNPIN_TABLE");
	expect("that table", mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(table), 0), 0);
	expect("a second time", mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(table), 0), -EINVAL);
	expect("a frame that is not ours", mmuext(MMUEXT_UNPIN_TABLE, 0, 0), -EINVAL);
	page_make_writable(table);
	holds("an unpinned table may become writable", try_write32((u32)table, 1));
	page_free(table);

	row("MMUEXT_PIN_L2_TABLE");
	u32 boot = root_mfn();
#ifdef XEN_PAE
	pte_t *l2 = page_alloc();
	page_make_readonly(l2);
	expect("an empty table", mmuext(MMUEXT_PIN_L2_TABLE, va_to_mfn(l2), 0), 0);
	expect("unpin it: 3.0.2's PAE build pinned nothing", mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(l2), 0), by_version(-EINVAL, 0));
	drop_table(l2);
	row("MMUEXT_PIN_L3_TABLE");
	pte_t *l3 = page_alloc();
	page_make_readonly(l3);
	expect("a table whose slot 3 is empty", mmuext(MMUEXT_PIN_L3_TABLE, va_to_mfn(l3), 0), -EINVAL);
	drop_table(l3);
	expect("the root in use, pinned already", mmuext(MMUEXT_PIN_L3_TABLE, boot, 0), -EINVAL);
#else
	expect("the root in use, pinned already", mmuext(MMUEXT_PIN_L2_TABLE, boot, 0), -EINVAL);
	row("MMUEXT_PIN_L3_TABLE");
	expect("in a 2-level domain nothing happens", mmuext(MMUEXT_PIN_L3_TABLE, boot, 0), 0);
#endif
	row("MMUEXT_UNPIN_TABLE");
	expect("the root in use", mmuext(MMUEXT_UNPIN_TABLE, boot, 0), 0);
	expect("pin it again", mmuext(MMUEXT_PIN_ROOT, boot, 0), 0);
}

/* Makes `page` show another frame through a stale entry, unless the flush under test works. */
static void test_flushes(void) {
	static const struct { u32 cmd; const char *name; int address, mask; } ops[] = {
		{ MMUEXT_TLB_FLUSH_LOCAL, "MMUEXT_TLB_FLUSH_LOCAL", 0, 0 },
		{ MMUEXT_INVLPG_LOCAL, "MMUEXT_INVLPG_LOCAL", 1, 0 },
		{ MMUEXT_TLB_FLUSH_MULTI, "MMUEXT_TLB_FLUSH_MULTI", 0, 1 },
		{ MMUEXT_INVLPG_MULTI, "MMUEXT_INVLPG_MULTI", 1, 1 },
		{ MMUEXT_TLB_FLUSH_ALL, "MMUEXT_TLB_FLUSH_ALL", 0, 0 },
		{ MMUEXT_INVLPG_ALL, "MMUEXT_INVLPG_ALL", 1, 0 },
	};
	volatile u32 *page = page_alloc();
	u32 *other = page_alloc();
	u32 vcpus = 1, first = va_to_mfn((void *)page), second = va_to_mfn(other);
	page[0] = 1;
	other[0] = 2;
	for (u32 i = 0; i < ARRAY_LENGTH(ops); i++) {
		row(ops[i].name);
		struct mmuext_op op = { ops[i].cmd, ops[i].address ? (u32)page : 0, ops[i].mask ? (u32)&vcpus : 0 };
		u32 before = page[0];
		must(HYPERVISOR_update_va_mapping((u32)page, make_pte(before == 1 ? second : first, PTE_P | PTE_W), UVMF_NONE), "remap");
		expect("the call", HYPERVISOR_mmuext_op(&op, 1, NULL, DOMID_SELF), 0);
		holds("the new frame is seen", page[0] == 3 - before);
		if (ops[i].mask) {
			op.arg2 = (u32)UNMAPPED_ADDRESS;
			expect("an unreadable vcpu mask", HYPERVISOR_mmuext_op(&op, 1, NULL, DOMID_SELF), -EINVAL);
		}
	}
	must(HYPERVISOR_update_va_mapping((u32)page, make_pte(first, PTE_P | PTE_W), UVMF_INVLPG), "remap");
	page_free((void *)page);
	page_free(other);

	if (!is_302()) {
		static const struct { u32 cmd; const char *name; } own[] = {
			{ MMUEXT_TLB_FLUSH_LOCAL, "MMUEXT_TLB_FLUSH_LOCAL" }, { MMUEXT_INVLPG_LOCAL, "MMUEXT_INVLPG_LOCAL" },
			{ MMUEXT_TLB_FLUSH_ALL, "MMUEXT_TLB_FLUSH_ALL" }, { MMUEXT_INVLPG_ALL, "MMUEXT_INVLPG_ALL" },
			{ MMUEXT_SET_LDT, "MMUEXT_SET_LDT" }, { MMUEXT_NEW_BASEPTR, "MMUEXT_NEW_BASEPTR" },
		};
		for (u32 i = 0; i < ARRAY_LENGTH(own); i++) {
			struct mmuext_op op = { own[i].cmd, own[i].cmd == MMUEXT_NEW_BASEPTR ? root_mfn() : 0, 0 };
			row(own[i].name);
			expect("with another owner of the frames", HYPERVISOR_mmuext_op(&op, 1, NULL, DOMID_IO), -EPERM);
		}
	}
	row("mmuext_op");
	struct mmuext_op batch[3] = { { MMUEXT_TLB_FLUSH_LOCAL, 0, 0 }, { 14, 0, 0 }, { MMUEXT_TLB_FLUSH_LOCAL, 0, 0 } };
	u32 done = 99;
	expect("an unknown command in the middle of three", HYPERVISOR_mmuext_op(batch, 3, &done, DOMID_SELF), by_version(-EINVAL, -ENOSYS));
	expect("the number done", done, 1);
	expect("an unreadable list", HYPERVISOR_mmuext_op(UNMAPPED_ADDRESS, 1, NULL, DOMID_SELF), -EFAULT);
	expect("a domain that does not exist", HYPERVISOR_mmuext_op(batch, 1, NULL, 0x7000), -ESRCH);
}

static void test_update_va_mapping(void) {
	volatile u32 *page = page_alloc();
	pte_t *table = new_table();
	u32 vcpus = 1;
	row("update_va_mapping");
	expect("another frame, INVLPG", HYPERVISOR_update_va_mapping((u32)page, data_entry(PTE_W), UVMF_INVLPG), 0);
	holds("is seen", page[0] == data[0]);
	expect("whole flush", HYPERVISOR_update_va_mapping((u32)page, data_entry(PTE_W), UVMF_TLB_FLUSH), 0);
	expect("flush on all vcpus", HYPERVISOR_update_va_mapping((u32)page, data_entry(PTE_W), UVMF_INVLPG | 4), 0);
	expect("flush on a set of vcpus", HYPERVISOR_update_va_mapping((u32)page, data_entry(PTE_W), UVMF_INVLPG | (u32)&vcpus), 0);
	expect("flush on a set of vcpus that cannot be read",
	       HYPERVISOR_update_va_mapping((u32)page, data_entry(PTE_W), UVMF_INVLPG | (u32)UNMAPPED_ADDRESS), -EFAULT);
	expect("not present", HYPERVISOR_update_va_mapping((u32)page, 0, UVMF_INVLPG), 0);
	expect("a read of it", TRY("mov (%[at]), %%eax", [at] "r"(page)), FAULT(14, 0));
	must(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(table), 0), "pin");
	expect("a page table, writable", HYPERVISOR_update_va_mapping((u32)page, make_pte(va_to_mfn(table), PTE_P | PTE_W), UVMF_INVLPG),
	       refused(-EBUSY));
	expect("a page table, read-only", HYPERVISOR_update_va_mapping((u32)page, make_pte(va_to_mfn(table), PTE_P), UVMF_INVLPG), 0);
	expect("a frame that is not ours", HYPERVISOR_update_va_mapping((u32)page, make_pte(0x7ffff, PTE_P), UVMF_INVLPG) < 0, 1);
	expect("an address in the hypervisor", HYPERVISOR_update_va_mapping(HYPERVISOR_VIRT_START, data_entry(0), UVMF_INVLPG), -EINVAL);
	expect("an address without tables", HYPERVISOR_update_va_mapping(0x10000000, data_entry(0), UVMF_INVLPG), -EINVAL);
	must(HYPERVISOR_update_va_mapping((u32)page, 0, UVMF_INVLPG), "unmap");
	must(mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(table), 0), "unpin");
	drop_table(table);
	row("update_va_mapping_otherdomain");
	register u32 edi __asm__("edi") = 0x7000;
	long result;
	u32 a = (u32)page, b = 0, c = 0, d = UVMF_INVLPG;
	__asm__ volatile("call hypercall_page + 22 * 32" : "=a"(result), "+b"(a), "+c"(b), "+d"(c), "+S"(d), "+r"(edi) : : "memory");
	expect("a domain that does not exist", result, is_302() && !privileged() ? -EPERM : -ESRCH);
}

static void test_mmu_update(void) {
	pte_t *table = new_table();
	u32 done = 99;
	must(mmuext(MMUEXT_PIN_L1_TABLE, va_to_mfn(table), 0), "pin");
	row("MMU_NORMAL_PT_UPDATE");
	expect("an entry of an L1", set_entry(&table[1], data_entry(PTE_W)), 0);
	holds("is stored", (table[1] & ~(pte_t)(PTE_A | PTE_D)) == data_entry(PTE_W));
	expect("a page table, writable", set_entry(&table[2], make_pte(va_to_mfn(table), PTE_P | PTE_W)), refused(-EBUSY));
	holds("and nothing is stored", table[2] == 0);
	expect("a page table, read-only", set_entry(&table[2], make_pte(va_to_mfn(table), PTE_P)), 0);
	expect("not present, whatever else", set_entry(&table[2], (pte_t)0xfffff000), 0);
	struct mmu_update batch[3] = {
		{ va_to_maddr(&table[3]), data_entry(0) },
		{ va_to_maddr(&table[4]), make_pte(va_to_mfn(table), PTE_P | PTE_W) },
		{ va_to_maddr(&table[5]), data_entry(0) },
	};
	expect("a bad second entry of three", HYPERVISOR_mmu_update(batch, 3, &done, DOMID_SELF), refused(-EBUSY));
	expect("the number done", done, 1);
	holds("entries before it stay, those behind it do not come", (table[3] & PTE_P) && !(table[5] & PTE_P));
	done = 99;
	expect("no entries", HYPERVISOR_mmu_update(batch, 0, &done, DOMID_SELF), 0);
	expect("the number done of none", done, 0);
	expect("a list in the hypervisor", HYPERVISOR_mmu_update(HYPERVISOR_ADDRESS, 1, NULL, DOMID_SELF), -EFAULT);
	expect("an unreadable list", HYPERVISOR_mmu_update(UNMAPPED_ADDRESS, 1, NULL, DOMID_SELF), -EFAULT);
	struct mmu_update foreign = { 0x1000, 0 };
	expect("a table that is not ours", HYPERVISOR_mmu_update(&foreign, 1, NULL, DOMID_SELF) < 0, 1);
	expect("a domain that does not exist", HYPERVISOR_mmu_update(batch, 1, NULL, 0x7000), -ESRCH);
	struct mmu_update plain = { va_to_maddr(&data[8]), 0x5ca1ab1e };
	expect("a word of an ordinary page", HYPERVISOR_mmu_update(&plain, 1, NULL, DOMID_SELF), 0);
	holds("is stored", data[8] == 0x5ca1ab1e);
	pte_t *slot = table_entry(root_mfn(), HYPERVISOR_VIRT_START, 2);
	expect("the hypervisor's slot of an L2", set_entry(slot, 0), refused(-EPERM));
#ifdef XEN_PAE
	expect("slot 3 of an L3", set_entry(&((pte_t *)mfn_to_va(root_mfn()))[3], 0), -EINVAL);
#endif
	struct mmu_update unknown = { va_to_maddr(&table[3]) | 3, 0 };
	if (is_302())
		expect("an unknown command", HYPERVISOR_mmu_update(&unknown, 1, NULL, DOMID_SELF), -EINVAL);

	row("MMU_MACHPHYS_UPDATE");
	u32 *m2p = (u32 *)HYPERVISOR_VIRT_START, mfn = va_to_mfn(data), pfn = va_to_pfn(data);
	struct mmu_update machphys = { (u64)mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 0x12345 };
	expect("a frame of ours", HYPERVISOR_mmu_update(&machphys, 1, NULL, DOMID_SELF), 0);
	expect("the table shows it", m2p[mfn], 0x12345);
	machphys.val = pfn;
	expect("back", HYPERVISOR_mmu_update(&machphys, 1, NULL, DOMID_SELF), 0);
	machphys.ptr = 0x1000 | MMU_MACHPHYS_UPDATE;
	expect("a frame that is not ours", HYPERVISOR_mmu_update(&machphys, 1, NULL, DOMID_SELF) < 0, 1);
	must(mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(table), 0), "unpin");
	drop_table(table);
}

/* The assist works on a table through which the address space is seen, so hook one. */
static void test_writable_page_tables(void) {
	static const u32 va = 0x10000000;
	u32 space = space_new(), boot = root_mfn();
	space_map(space, va, va_to_mfn(data), PTE_P | PTE_A);
	space_switch(space);
	pte_t *entry = table_entry(space, va, 1);
	row("VMASST_TYPE_writable_pagetables");
	expect("a store to an L1 without it", TRY("movl $0, (%[at])", [at] "r"(entry + 1)), FAULT(14, 3));
	expect("enable", HYPERVISOR_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
	u32 low = (u32)data_entry(PTE_W);
#ifdef XEN_PAE
	expect("store an entry, high half first", TRY("movl $0, 4(%[at])\n\tmovl %[v], (%[at])", [at] "r"(entry + 1), [v] "r"(low)), 0);
#else
	expect("store an entry", TRY("movl %[v], (%[at])", [at] "r"(entry + 1), [v] "r"(low)), 0);
#endif
	u32 value = 0;
	holds("the page is there", try_read32(va + 4096, &value) && value == data[0]);
	expect("write-protect with a byte AND", TRY("andb $0xfd, (%[at])", [at] "r"(entry + 1)), 0);
	must(mmuext(MMUEXT_INVLPG_LOCAL, va + 4096, 0), "invlpg");
	expect("a store through it then", TRY("movl $0, (%[at])", [at] "r"(va + 4096)), FAULT(14, 3));
	expect("clear it", TRY("movl $0, (%[at])", [at] "r"(entry + 1)), 0);
	holds("it is clear", !(entry[1] & PTE_P));
	expect("exchange", TRY("xchgl %%ecx, (%[at])", [at] "r"(entry + 1), "c"(0)), 0);
	expect("disable", HYPERVISOR_vm_assist(VMASST_CMD_disable, VMASST_TYPE_writable_pagetables), 0);
	expect("a store without it again", TRY("movl $0, (%[at])", [at] "r"(entry + 1)), FAULT(14, 3));
	expect("a store to the root, always", TRY("movl $0, (%[at])", [at] "r"(mfn_to_va(space))), FAULT(14, 3));
	space_switch(boot);
	must(mmuext(MMUEXT_UNPIN_TABLE, space, 0), "unpin");
}

void test_mmu(void) {
	data = page_alloc();
	data[0] = 0xda7a;
	test_pin();
	test_flushes();
	test_update_va_mapping();
	test_mmu_update();
	test_writable_page_tables();
	if (!is_302()) {
		u32 *page = page_alloc(), *copy = page_alloc();
		page[5] = 55;
		row("MMUEXT_COPY_PAGE");
		struct mmuext_op op = { MMUEXT_COPY_PAGE, va_to_mfn(copy), va_to_mfn(page) };
		expect("to another page", HYPERVISOR_mmuext_op(&op, 1, NULL, DOMID_SELF), 0);
		expect("a word of it", copy[5], 55);
		row("MMUEXT_CLEAR_PAGE");
		expect("that page", mmuext(MMUEXT_CLEAR_PAGE, va_to_mfn(copy), 0), 0);
		expect("a word of it", copy[5], 0);
		expect("the root table", mmuext(MMUEXT_CLEAR_PAGE, root_mfn(), 0) < 0, 1);
		page_free(page);
		page_free(copy);
	}
}
