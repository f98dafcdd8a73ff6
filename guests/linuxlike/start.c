/* start.c: the start-up in Linux's order, and the account of what was checked. */
#include "linuxlike.h"

struct start_info *start;
extern u32 entry_registers[15];
u32 right, wrong;

void check(const char *name, int holds) {
	if (holds)
		right++;
	else
		wrong++;
	printf("%s: %s\n", name, holds ? "ok" : "WRONG");
}

void check_is(const char *name, u64 value, u64 expected) {
	if (value == expected) {
		check(name, 1);
		return;
	}
	wrong++;
	printf("%s: WRONG, %llx instead of %llx\n", name, value, expected);
}

void must(long result, const char *what) {
	if (result < 0)
		panic("%s failed: %d", what, (int)result);
}

static void entry_checks(void) {
	const u32 *r = entry_registers;
	static const pte_t *root;
	check_is("entry: cs", r[8] & 0xffff, FLAT_KERNEL_CS);
	check("entry: ss ds es fs gs", (r[13] & 0xffff) == FLAT_KERNEL_DS && (r[9] & 0xffff) == FLAT_KERNEL_DS &&
		(r[10] & 0xffff) == FLAT_KERNEL_DS && (r[11] & 0xffff) == FLAT_KERNEL_DS && (r[12] & 0xffff) == FLAT_KERNEL_DS);
	check("entry: general registers are 0 but ESI",
	      (r[0] | r[1] | r[2] | r[3] | r[5] | r[6]) == 0 && r[4] == (u32)start);
	check_is("entry: esp is the top of the boot stack", r[7], start->pt_base + (start->nr_pt_frames + 1) * PAGE_SIZE);
	check_is("entry: eflags IF, IOPL, DF", r[14] & 0x3600, 0x200);
	check("start_info: magic", strncmp(start->magic, "xen-3.0-x86_32p", 15) == 0);
	check_is("start_info: shared_info is a machine address of a page", start->shared_info & 4095, 0);
	root = (const pte_t *)start->pt_base;
	check("start_info: of the root only slot 3 is present", !(root[0] & 1) && !(root[1] & 1) && !(root[2] & 1) && (root[3] & 1));
	check_is("start_info: events are masked", vcpu->evtchn_upcall_mask, 1);
	if (start->mod_len) {
		/* With flag 8 the ramdisk is named by its pfn and not mapped; else by its address. */
		const char *text = start->flags & 8 ? (const char *)pfn_va(start->mod_start) : (const char *)start->mod_start;
		check("ramdisk: a newc archive with our file", strncmp(text, "070701", 6) == 0 && strcmp(text + 110, "greeting") == 0);
		printf("ramdisk: %d bytes: %s", start->mod_len, text + 120);
	}
}

void start_kernel(void) {
	console_early();
	map_shared_info();
	printf("linuxlike: %d pages, command line \"%s\"\n", start->nr_pages, start->cmd_line);
	entry_checks();
	version_checks();
	{
		static char text[] = "earlyprintk";
		long result = HYPERVISOR_console_io(CONSOLEIO_write, sizeof text - 1, text);
		check("console_io write: taken or refused, no more", result == 0 || result == -EPERM);
	}
	descriptors_start();
	traps_early();
	/* Results are ignored by a kernel that can live without; type 2 must work all the same (direct stores below). */
	check_is("vm_assist 0", HYPERVISOR_vm_assist(VMASST_CMD_enable, 0), 0);
	check_is("vm_assist 2", HYPERVISOR_vm_assist(VMASST_CMD_enable, 2), 0);
	check_is("vm_assist 3", HYPERVISOR_vm_assist(VMASST_CMD_enable, 3), 0);
	check_is("vm_assist 5", HYPERVISOR_vm_assist(VMASST_CMD_enable, 5), 0);
	callbacks_start();
	take_over_tables();
	map_all_memory();
	descriptors_checks();
	cpu_checks();
	register_vcpu_info();
	irq_start();
	if (storms())
		shutdown(SHUTDOWN_poweroff);
	irq_checks();
	critical_region_checks();
	direct_store_checks();
	process_checks();
	grant_checks();
	balloon_checks();
	store_checks();
	console_checks();
	check_is("multicall: entries that failed", batch_failures, 0);
	check("multicall: batches and single calls were both used", batches > 20 && batch_singles > 2);
	check_is("failsafe callback: never needed", failsafe_hits, 0);
	printf("linuxlike: %d of %d as a PV Linux needs it\n", right, right + wrong);
	shutdown(SHUTDOWN_poweroff);
}
