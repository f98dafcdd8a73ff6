/* storms.c: `storm=NAME count=N`: one call, again and again, for who measures the host (bench/hypercalls.ts). */
#include "linuxlike.h"

void process_fork_storm(u32 count);
static volatile u32 word;

static void storm(const char *name, u32 count) {
	struct space *s = space_create();
	void *page = get_page();
	pte_t full = pte(va_mfn(page), PTE_P | PTE_W | PTE_U | PTE_A | PTE_D), clean = full & ~(pte_t)PTE_W;
	space_set(s, 0x08000000, full);
	space_pin(s);
	volatile pte_t *at = space_entry(s, 0x08000000, 0);
	if (strncmp(name, "null", 4) == 0)
		for (u32 i = 0; i < count; i++)
			HYPERVISOR_xen_version(XENVER_version, NULL);
	else if (strncmp(name, "mmu_update", 10) == 0)
		for (u32 i = 0; i < count; i++)
			mmu_update_one(at, i & 1 ? full : clean);
	else if (strncmp(name, "clear_set", 9) == 0)
		for (u32 i = 0; i < count; i++)
			mmu_update_one(at, i & 1 ? full : 0);
	else if (strncmp(name, "invlpg", 6) == 0)
		for (u32 i = 0; i < count; i++) {
			word = i;
			mmuext_one(MMUEXT_INVLPG_LOCAL, 0x08000000, 0);
		}
	else if (strncmp(name, "flush", 5) == 0)
		for (u32 i = 0; i < count; i++) {
			word = i;
			mmuext_one(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
		}
	else if (strncmp(name, "va_mapping", 10) == 0)
		for (u32 i = 0; i < count; i++)
			HYPERVISOR_update_va_mapping((u32)page, pte(va_mfn(page), i & 1 ? KERNEL_RW : KERNEL_RO), UVMF_INVLPG);
	else if (strncmp(name, "stack_switch", 12) == 0)
		for (u32 i = 0; i < count; i++)
			HYPERVISOR_stack_switch(KERNEL_DS, 0xc1000000);
	else if (strncmp(name, "store", 5) == 0)
		for (u32 i = 0; i < count; i++)
			*(volatile u32 *)at = (u32)(i & 1 ? full : clean);
	else if (strncmp(name, "int3", 4) == 0)
		for (u32 i = 0; i < count; i++)
			__asm__ volatile("int3" : : : "memory");
	else if (strncmp(name, "upcall", 6) == 0)
		for (u32 i = 0; i < count; i++)
			irq_send(ipi_port);
	else if (strncmp(name, "root", 4) == 0)
		for (u32 i = 0; i < count; i++)
			mmuext_one(MMUEXT_NEW_BASEPTR, va_mfn(i & 1 ? boot_space.root : s->root), 0);
	else if (strncmp(name, "fork", 4) == 0)
		process_fork_storm(count);
	else
		for (u32 i = 0; i < count; i++)
			word = i;
}

int storms(void) {
	const char *name = option("storm"), *count = option("count");
	if (!name)
		return 0;
	printf("storm begins\n");
	storm(name, count ? parse_number(count) : 1000);
	printf("storm ends\n");
	return 1;
}

const char *option(const char *name) {
	u32 length = strlen(name);
	for (const char *at = start->cmd_line; *at; at++)
		if ((at == start->cmd_line || at[-1] == ' ') && strncmp(at, name, length) == 0 && at[length] == '=')
			return at + length + 1;
	return NULL;
}
