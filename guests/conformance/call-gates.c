/* call-gates.c: call gates in the descriptor table: by the processor under 3.0.2, by the hypervisor under 4.17. */
#include "conformance.h"

u32 run_user(void (*code)(void), u32 stack_top);
void back_from_user(u32 value) __attribute__((noreturn));

/* The gates' own code in ring 1, and pieces that ring 3 runs, which may lie anywhere. */
__asm__(".text\n.globl gate_with_parameter, gate_alone, gate_callers, gate_callers_end, call_gate, call_kernel_gate, call_absent_gate\n"
	"gate_with_parameter:\n" /* EIP CS parameter ESP SS */
	"	mov 4(%esp), %eax; mov %eax, gate_frame\n"
	"	mov 12(%esp), %eax; mov %eax, gate_frame + 8\n"
	"	mov 16(%esp), %eax; mov %eax, gate_frame + 12\n"
	"	mov 8(%esp), %eax; mov %eax, gate_frame + 4\n"
	"	inc %eax; lret $4\n"
	"gate_alone:\n" /* EIP CS */
	"	mov %cs, %eax; lret\n"
	"gate_callers:\n"
	"call_gate: push $41; lcall $0x0b, $0; int $0x80\n"
	"call_kernel_gate: lcall $0x13, $0; int $0x80\n"
	"call_absent_gate: lcall $0x1b, $0; int $0x80\n"
	"gate_callers_end:\n");
extern char gate_with_parameter[], gate_alone[], gate_callers[], gate_callers_end[], call_gate[], call_kernel_gate[],
	call_absent_gate[];

/* What was above the return address: CS, parameter, ESP, SS. */
u32 gate_frame[4];

static u64 gate(const char *target, u32 dpl, u32 present, u32 parameters) {
	u32 at = (u32)target;
	return (u64)((at & 0xffff0000) | present << 15 | dpl << 13 | 0xc00 | parameters) << 32 | (u64)FLAT_KERNEL_CS << 16
	       | (at & 0xffff);
}

static void from_ring3(struct regs *regs) {
	if (!from_user(regs))
		trap_report(regs);
	back_from_user(regs->vector == 128 ? regs->eax : FAULT(regs->vector, regs->error & 0xffff));
}

void test_call_gates(void) {
	static const u32 code_va = 0x08048000, stack_va = 0x08050000;
	static const u8 vectors[] = { 11, 13, 128 };
	trap_handler before[3];
	u8 *code = page_alloc(), *stack = page_alloc(), *kernel_stack = page_alloc();
	u64 *gdt = page_alloc();
	u32 space = space_new(), boot = root_mfn(), frame = va_to_mfn(gdt), cs = 0;
	memcpy(code, gate_callers, gate_callers_end - gate_callers);
	gdt[1] = gate(gate_with_parameter, 3, 1, 1);
	gdt[2] = gate(gate_alone, 1, 1, 0);
	gdt[3] = gate(gate_alone, 3, 0, 0);
	page_make_readonly(gdt);
	row("call gate");
	expect("three of them in a table", HYPERVISOR_set_gdt(&frame, 16), 0);
	expect("a far call in ring 1", TRY("lcall $0x10, $0\n\tmov %%eax, %[out]", [out] "m"(cs)), 0);
	expect("its code runs with CS", cs, FLAT_KERNEL_CS);
	cs = 0;
	expect("a far call by a pointer", TRY("lcall *%[at]\n\tmov %%eax, %[out]", [out] "m"(cs),
					     [at] "m"(*(struct { u32 offset; u16 cs; } __attribute__((packed)) *)&(u64){ 0x1000000000ull })), 0);
	expect("its code runs with CS", cs, FLAT_KERNEL_CS);
	expect("an absent one", TRY("lcall $0x18, $0", "r"(0)), FAULT(11, 0x18));

	space_map(space, code_va, va_to_mfn(code), PTE_P | PTE_U | PTE_A);
	space_map(space, stack_va, va_to_mfn(stack), PTE_P | PTE_W | PTE_U | PTE_A | PTE_D);
	space_switch(space);
	must(HYPERVISOR_stack_switch(FLAT_KERNEL_DS, (u32)kernel_stack + PAGE_SIZE), "stack_switch");
	for (u32 i = 0; i < ARRAY_LENGTH(vectors); i++)
		before[i] = trap_set_handler(vectors[i], from_ring3);
#define RUN(piece) (long)run_user((void (*)(void))(code_va + ((piece) - gate_callers)), stack_va + PAGE_SIZE)
	expect("ring 3 calls with 41, ring 1 returns one more", RUN(call_gate), 42);
	expect("on the kernel's stack: CS of the caller", gate_frame[0], 0xe02b);
	expect("the parameter", gate_frame[1], 41);
	holds("ESP of the caller, where the parameter lies too", gate_frame[2] == stack_va + PAGE_SIZE - 4);
	expect("SS of the caller", gate_frame[3], 0xe033);
	expect("ring 3, through a gate of ring 1", RUN(call_kernel_gate), FAULT(13, 0x10));
	expect("ring 3, through an absent one", RUN(call_absent_gate), FAULT(11, 0x18));
	for (u32 i = 0; i < ARRAY_LENGTH(vectors); i++)
		trap_set_handler(vectors[i], before[i]);
	space_switch(boot);
	must(mmuext(MMUEXT_UNPIN_TABLE, space, 0), "unpin");
	must(HYPERVISOR_set_gdt(NULL, 0), "set_gdt");
	page_make_writable(gdt);
	page_free(gdt);
}
