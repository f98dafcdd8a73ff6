/* segment-assist.c: rows 70 and 71 under 3.0.2: ring-3 code with a thread-local segment, whose word below the base is
 * reached by a negative offset. The processor truncates segments below the hypervisor, so that it faults; the assist
 * turns the segment over, and its notice is trap 15. */
#include "conformance.h"

u32 run_user(void (*code)(void), u32 stack_top);
void back_from_user(u32 value) __attribute__((noreturn));

__asm__(".text\n.globl tls_code, tls_code_end\n"
	"tls_code:\n"
	"	mov $6 * 8 + 3, %ecx\n"
	"	mov %ecx, %gs\n"
	"	xor %edx, %edx\n"
	"	mov %gs:-4(%edx), %eax\n"
	"	add %gs:(%edx), %eax\n"
	"	int $0x80\n"
	"tls_code_end:\n");
extern char tls_code[], tls_code_end[];

static u32 notices;
static void from_ring3(struct regs *regs) {
	if (!from_user(regs))
		trap_report(regs);
	back_from_user(regs->vector == 128 ? regs->eax : FAULT(regs->vector, regs->error & 0xffff));
}
static void notice(struct regs *regs) {
	(void)regs;
	notices++;
}

void test_segment_assist(void) {
	static const u32 code_va = 0x08048000, data_va = 0x08050000, stack_va = 0x08060000;
	static const u8 vectors[] = { 13, 15, 128 };
	trap_handler before[3];
	u8 *code = page_alloc(), *stack = page_alloc(), *kernel_stack = page_alloc();
	u32 *data = page_alloc();
	u64 *gdt = page_alloc();
	u32 space = space_new(), boot = root_mfn(), frame = va_to_mfn(gdt);
	memcpy(code, tls_code, tls_code_end - tls_code);
	data[15] = 40;
	data[16] = 2;
	space_map(space, code_va, va_to_mfn(code), PTE_P | PTE_U | PTE_A);
	space_map(space, data_va, va_to_mfn(data), PTE_P | PTE_W | PTE_U | PTE_A | PTE_D);
	space_map(space, stack_va, va_to_mfn(stack), PTE_P | PTE_W | PTE_U | PTE_A | PTE_D);
	u32 base = data_va + 64; /* 4 GiB, writable data, DPL 3 */
	gdt[6] = 0x00cff2000000ffffull | (u64)(base & 0xffffff) << 16 | (u64)(base >> 24) << 56;
	page_make_readonly(gdt);
	space_switch(space);
	must(HYPERVISOR_set_gdt(&frame, 8), "set_gdt");
	must(HYPERVISOR_stack_switch(FLAT_KERNEL_DS, (u32)kernel_stack + PAGE_SIZE), "stack_switch");
	for (u32 i = 0; i < 3; i++)
		before[i] = trap_set_handler(vectors[i], vectors[i] == 15 ? notice : from_ring3);
#define SUM() (long)run_user((void (*)(void))code_va, stack_va + PAGE_SIZE)
	row("VMASST_TYPE_4gb_segments");
	expect("a negative offset in ring 3 without it", SUM(), FAULT(13, 0));
	must(HYPERVISOR_vm_assist(VMASST_CMD_enable, 0), "4gb_segments");
	notices = 0;
	expect("with it: the words below and above the base add up to", SUM(), 42);
	row("VMASST_TYPE_4gb_segments_notify");
	expect("notices without it", notices, 0);
	must(HYPERVISOR_vm_assist(VMASST_CMD_enable, 1), "4gb_segments_notify");
	expect("with it, the same sum", SUM(), 42);
	holds("and notices came", notices >= 1);
	must(HYPERVISOR_vm_assist(VMASST_CMD_disable, 1), "4gb_segments_notify");
	must(HYPERVISOR_vm_assist(VMASST_CMD_disable, 0), "4gb_segments");
	row("VMASST_TYPE_4gb_segments");
	__asm__ volatile("mov %w0, %%gs" : : "r"(0));
	for (u32 i = 0; i < 3; i++)
		trap_set_handler(vectors[i], before[i]);
	must(HYPERVISOR_set_gdt(NULL, 0), "set_gdt");
	space_switch(boot);
	must(mmuext(MMUEXT_UNPIN_TABLE, space, 0), "unpin");
}
