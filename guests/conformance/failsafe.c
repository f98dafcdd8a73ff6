/* failsafe.c: the hypervisor cannot load a selector on the way back to us. 3.0.2 loads all of them whenever the tables
 * have changed, 4.17 when another vcpu has run meanwhile. The bad values are on the stack, below the frame. */
#include "conformance.h"

#define FLAT_DATA_RING1 0x00cfb2000000ffffull
#define SELECTOR 9

/* DS ES FS GS EIP CS EFLAGS lie at ESP. */
__asm__(".text\n.globl failsafe_probe\n"
	"failsafe_probe:\n"
	"	push %eax; push %ecx\n"
	"	mov %ds, %ecx\n"
	"	mov $0xe021, %eax\n"
	"	mov %eax, %ds; mov %eax, %es\n"
	"	mov %ecx, ds_at_entry\n"
	"	mov %fs, %eax; mov %eax, fs_at_entry\n"
	"	mov 8(%esp), %eax; mov %eax, saved_selectors\n"
	"	mov 12(%esp), %eax; mov %eax, saved_selectors + 4\n"
	"	mov 16(%esp), %eax; mov %eax, saved_selectors + 8\n"
	"	mov 20(%esp), %eax; mov %eax, saved_selectors + 12\n"
	"	incl failsafes\n"
	"	pop %ecx; pop %eax\n"
	"	add $16, %esp\n"
	"	jmp hypercall_page + 23 * 32\n");
extern void failsafe_probe(void);
u32 failsafes, ds_at_entry, fs_at_entry, saved_selectors[4];

static u64 *table;

/* FS holds a selector whose descriptor is there, and then is not. An upcall would load FS from its own frame: none. */
static void begin(void) {
	table = page_alloc();
	table[1] = FLAT_DATA_RING1;
	page_make_readonly(table);
	u32 frame = va_to_mfn(table);
	must(HYPERVISOR_set_gdt(&frame, 16), "set_gdt");
	must(HYPERVISOR_set_callbacks(FLAT_KERNEL_CS, event_entry, FLAT_KERNEL_CS, failsafe_probe), "set_callbacks");
	failsafes = 0;
	events_disable();
	__asm__ volatile("mov %w0, %%fs" : : "r"(SELECTOR));
	must(HYPERVISOR_update_descriptor(va_to_maddr(&table[1]), 0), "update_descriptor");
}
static void end(void) {
	__asm__ volatile("mov %w0, %%fs" : : "r"(0));
	events_enable();
	must(HYPERVISOR_set_callbacks(FLAT_KERNEL_CS, event_entry, FLAT_KERNEL_CS, failsafe_entry), "set_callbacks");
	must(HYPERVISOR_set_gdt(NULL, 0), "set_gdt");
	page_make_writable(table);
	page_free(table);
}
static void judge(void) {
	expect("the failsafe callback was called", failsafes, 1);
	expect("FS in its frame", saved_selectors[2] & 0xffff, SELECTOR);
	expect("DS in its frame", saved_selectors[0] & 0xffff, FLAT_KERNEL_DS);
	expect("FS at its entry", fs_at_entry & 0xffff, 0);
	expect("DS at its entry", ds_at_entry & 0xffff, by_version(0, FLAT_KERNEL_DS));
}

void test_failsafe(void) {
	u32 word = 0x4711, seen = 0;
	row("set_callbacks");
	begin();
	long fault = TRY("mov %%fs:%[word], %%eax\n\tmov %%eax, %[seen]", [word] "m"(word), [seen] "m"(seen));
	end();
	if (is_302()) {
		judge();
		expect("the null FS then", fault, FAULT(13, 0));
	} else {
		expect("a descriptor in use goes: the failsafe callback was called", failsafes, 0);
		expect("FS goes on with what it had", fault, 0);
		holds("and reads through it", seen == word);
	}
}

void test_failsafe_at_switch(volatile u32 *counter) {
	row("set_callbacks");
	begin();
	u32 before = *counter;
	u64 until = system_time() + MILLISECONDS(500);
	while (*counter == before && system_time() < until)
		sched_yield();
	end();
	holds("another vcpu has run", *counter != before);
	judge();
}
