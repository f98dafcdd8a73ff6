/* stack.c: rows 35 and 36, with a few instructions of ring 3. */
#include "conformance.h"

u32 run_user(void (*code)(void), u32 stack_top);
void back_from_user(u32 value) __attribute__((noreturn));

static u32 trap_esp, trap_cs, trap_mask;
static void from_ring3(struct regs *regs) {
	if (!from_user(regs))
		trap_report(regs);
	trap_esp = (u32)(regs + 1);
	trap_cs = regs->cs & 0xffff;
	trap_mask = regs->cs >> 16 & 0xff;
	back_from_user(regs->vector == 128 ? regs->eax : FAULT(regs->vector, regs->error & 0xffff));
}

/* Position-independent pieces of code that ring 3 runs; the page is mapped for it. */
__asm__(".text\n.globl user_code, user_code_end, user_cs, user_cli, user_hypercall, user_int, user_spin\n"
	"user_code:\n"
	"user_cs: mov %cs, %eax; int $0x80\n"
	"user_cli: cli; mov $1, %eax; int $0x80\n"
	"user_hypercall: mov $17, %eax; xor %ebx, %ebx; int $0x82; int $0x80\n"
	"user_int: int $0x21; int $0x80\n"
	"user_code_end:\n");
extern char user_code[], user_code_end[], user_cs[], user_cli[], user_hypercall[], user_int[];

void test_stack(void) {
	static const u32 code_va = 0x08048000, stack_va = 0x08050000;
	u8 *code = page_alloc(), *stack = page_alloc(), *kernel_stack = page_alloc();
	u32 space = space_new(), boot = root_mfn();
	static const u8 vectors[] = { 13, 14, 128 };
	trap_handler before[3];
	memcpy(code, user_code, user_code_end - user_code);
	space_map(space, code_va, va_to_mfn(code), PTE_P | PTE_U | PTE_A);
	space_map(space, stack_va, va_to_mfn(stack), PTE_P | PTE_W | PTE_U | PTE_A | PTE_D);
	space_switch(space);
	for (u32 i = 0; i < 3; i++)
		before[i] = trap_set_handler(vectors[i], from_ring3);
#define RUN(piece) (long)run_user((void (*)(void))(code_va + ((piece) - user_code)), stack_va + 4096)

	row("stack_switch");
	expect("the call", HYPERVISOR_stack_switch(FLAT_KERNEL_DS, (u32)kernel_stack + 4096), 0);
	row("iret");
	expect("to ring 3: its CS", RUN(user_cs) & 0xffff, 0xe02b);
	row("stack_switch");
	holds("a trap from ring 3 lands on that stack", trap_esp == (u32)kernel_stack + 4096);
	expect("with SS 0 it is raised to ring 1", HYPERVISOR_stack_switch(FLAT_KERNEL_DS & ~3u, (u32)kernel_stack + 2048), 0);
	RUN(user_cs);
	holds("the next trap lands where it says", trap_esp == (u32)kernel_stack + 2048);
	row("iret");
	expect("the saved mask of a trap from ring 3", trap_mask, 0);
	expect("cli in ring 3", RUN(user_cli), FAULT(13, 0));
	expect("a hypercall from ring 3", RUN(user_hypercall), FAULT(13, 0x82 * 8 + 2));
	expect("an int whose gate ring 3 may not use", RUN(user_int), FAULT(13, 0x21 * 8 + 2));
	events_disable();
	RUN(user_cs);
	expect("IF set in the frame has cleared the mask", shared_info()->vcpu_info[0].evtchn_upcall_mask, 0);
	events_enable();

	for (u32 i = 0; i < 3; i++)
		trap_set_handler(vectors[i], before[i]);
	space_switch(boot);
	must(mmuext(MMUEXT_UNPIN_TABLE, space, 0), "unpin");
}
