/*
 * segments.c: descriptor tables under a hypervisor: a GDT page, an LDT, segments with a base, and what becomes of a
 * descriptor that asks for too much.
 *
 * Under 3.0.2 it goes on to ring 3 and shows the 4 GiB segment assist: a thread-local segment whose base lies high and
 * whose offsets are negative is truncated by the hypervisor, so an access faults, is repaired, and is told about.
 */
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "trap.h"

static u32 wrong;
static void check(int right, const char *what) {
	printf("%s  %s\n", right ? "ok   " : "WRONG", what);
	wrong += !right;
}

/* A data descriptor: base, limit in pages, DPL. */
static u64 data_descriptor(u32 base, u32 limit_pages, u32 dpl) {
	u32 low = (base & 0xffff) << 16 | (limit_pages & 0xffff);
	u32 high = (base & 0xff000000) | (base >> 16 & 0xff) | 0x00c09200 | dpl << 13 | (limit_pages & 0xf0000);
	return (u64)high << 32 | low;
}
static u32 limit_of(u64 descriptor) { return (u32)(descriptor & 0xffff) | (u32)(descriptor >> 32 & 0xf0000); }

static u32 fault, resume;
static void on_fault(struct regs *regs) {
	fault = regs->vector << 16 | (regs->error & 0xffff);
	regs->eip = resume;
}
/* Loads FS with a selector: 0, or vector << 16 | code. */
static u32 load_fs(u32 selector) {
	fault = 0;
	__asm__ volatile("movl $1f, %0\n\tmov %w1, %%fs\n1:" : "+m"(resume) : "r"(selector) : "memory");
	return fault;
}
static u32 read_fs(u32 offset) {
	u32 value = 0;
	fault = 0;
	__asm__ volatile("movl $1f, %0\n\tmovl %%fs:(%2), %1\n1:" : "+m"(resume), "+r"(value) : "r"(offset) : "memory");
	return value;
}

static void kernel_segments(void) {
	static u32 words[4] = { 0x11, 0x22, 0x33, 0x44 };
	u64 *gdt = page_alloc(), *ldt = page_alloc();
	gdt[1] = data_descriptor((u32)words, 0, 1);       /* base at words, 4 KiB */
	gdt[2] = data_descriptor(0, 0xfffff, 0);          /* flat, and of ring 0 */
	gdt[3] = 0;
	ldt[0] = data_descriptor((u32)&words[2], 0, 1);
	page_make_readonly(gdt);
	page_make_readonly(ldt);
	u32 frame = va_to_mfn(gdt);
	must(HYPERVISOR_set_gdt(&frame, 8), "set_gdt");
	printf("flat ring 0 descriptor became DPL %d, limit %05x\n", (u32)(gdt[2] >> 45) & 3, limit_of(gdt[2]));
	check(((gdt[2] >> 45) & 3) == 1, "a descriptor of ring 0 is one of ring 1 now");
	check(load_fs(1 * 8 + 1) == 0 && read_fs(4) == 0x22, "a segment with a base: offset 4 is the second word");
	check(read_fs(0x1000) == 0 && fault == 13 << 16, "an offset beyond its limit is #GP(0)");
	check(load_fs(3 * 8 + 1) == (13 << 16 | 3 * 8), "an empty descriptor cannot be loaded: #GP(selector)");
	must(HYPERVISOR_update_descriptor(va_to_maddr(&gdt[3]), data_descriptor((u32)&words[1], 0, 1)), "update_descriptor");
	check(load_fs(3 * 8 + 1) == 0 && read_fs(0) == 0x22, "update_descriptor fills it");
	must(mmuext(MMUEXT_SET_LDT, (u32)ldt, 1), "MMUEXT_SET_LDT");
	check(load_fs(0 * 8 + 5) == 0 && read_fs(4) == 0x44, "a segment of the LDT, looked at on its first use");
	check(load_fs(1 * 8 + 5) != 0, "the LDT has one entry");
	/* 3.0.2 loads the selectors in use again on the way back: a stale one would mean the failsafe callback. */
	load_fs(0);
	must(mmuext(MMUEXT_SET_LDT, 0, 0), "MMUEXT_SET_LDT");
	must(HYPERVISOR_set_gdt(NULL, 0), "set_gdt");
	page_make_writable(gdt);
	page_make_writable(ldt);
	page_free(gdt);
	page_free(ldt);
}

/* ---- ring 3 with a thread-local segment. %gs:-4 must be the word below the base. */
u32 run_user(u32 eip, u32 esp);
void back_from_user(u32 value) __attribute__((noreturn));
static volatile u32 notices, notice_length, user_fault;
static void from_user_trap(struct regs *regs) { back_from_user(regs->eax); }
static void fault_from_user(struct regs *regs) {
	if (!from_user(regs)) {
		on_fault(regs);
		return;
	}
	user_fault = regs->vector << 16 | (regs->error & 0xffff);
	back_from_user(~0u);
}
static void assist_notice(struct regs *regs) {
	notices++;
	notice_length = regs->error;
}

/* %gs is loaded from the selector in EDI; reads the word at %gs:-4 and the one at %gs:0, and adds them. */
__asm__(".text\n.globl tls_code, tls_code_end\n"
	"tls_code:\n"
	"	mov $TLS_SELECTOR, %ecx\n"
	"	mov %cx, %gs\n"
	"	mov $0, %edx\n"
	"	mov %gs:-4(%edx), %eax\n"
	"	mov %gs:(%edx), %ebx\n"
	"	add %ebx, %eax\n"
	"	int $0x80\n"
	"tls_code_end:\n"
	".set TLS_SELECTOR, 6 * 8 + 3\n");
extern char tls_code[], tls_code_end[];

static void user_segments(void) {
	static const u32 code_va = 0x08048000, data_va = 0x08050000, stack_va = 0x08060000;
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
	gdt[6] = data_descriptor(data_va + 64, 0xfffff, 3);
	page_make_readonly(gdt);
	space_switch(space);
	must(HYPERVISOR_set_gdt(&frame, 8), "set_gdt");
	must(HYPERVISOR_stack_switch(FLAT_KERNEL_DS, (u32)kernel_stack + PAGE_SIZE), "stack_switch");
	trap_set_handler(128, from_user_trap);
	trap_set_handler(13, fault_from_user);
	trap_set_handler(15, assist_notice);
	int is_302 = xen_version() >> 16 == 3;
	printf("thread-local segment: base %08x, limit %05x\n", data_va + 64, limit_of(gdt[6]));
	if (is_302) {
		u32 sum = run_user(code_va, stack_va + PAGE_SIZE);
		check(sum == ~0u && user_fault == 13 << 16, "without the assist a negative offset is #GP(0)");
		must(HYPERVISOR_vm_assist(VMASST_CMD_enable, 0), "4gb_segments");
		must(HYPERVISOR_vm_assist(VMASST_CMD_enable, 1), "4gb_segments_notify");
	}
	u32 sum = run_user(code_va, stack_va + PAGE_SIZE);
	check(sum == 42, "%gs:-4 and %gs:0 add up to 42");
	if (is_302) {
		check(notices >= 1, "and each repair was told: trap 15");
		printf("notices: %d, the last of an instruction of %d bytes\n", notices, notice_length);
	}
	__asm__ volatile("mov %w0, %%gs" : : "r"(0));
	must(HYPERVISOR_set_gdt(NULL, 0), "set_gdt");
	space_switch(boot);
	must(mmuext(MMUEXT_UNPIN_TABLE, space, 0), "unpin");
}

void guest_main(void) {
	trap_set_handler(11, on_fault);
	trap_set_handler(13, on_fault);
	kernel_segments();
	user_segments();
	printf("segments: %s\n", wrong ? "something is WRONG" : "all as expected");
}
