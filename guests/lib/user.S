/*
 * user.S
 *
 *   u32 run_user(void (*code)(void), u32 stack_top);
 *
 * Goes to ring 3 at `code` through the iret hypercall. The code comes back with `int $0x80`; its EAX is the result.
 * The trap from ring 3 lands on the stack that stack_switch named: kernel_entry takes us back to the caller's frame.
 */
	.text
	.globl run_user, back_from_user
run_user:
	mov 4(%esp), %eax
	mov 8(%esp), %edx
	push %ebp; push %ebx; push %esi; push %edi
	mov %esp, saved_esp
	mov $0xE033, %ecx
	mov %ecx, %ds; mov %ecx, %es
	push $0xE033			/* SS */
	push %edx			/* ESP */
	push $0x202			/* EFLAGS: IF set, so the event mask becomes 0 */
	push $0xE02B			/* CS */
	push %eax			/* EIP */
	jmp hypercall_page + 23 * 32

/* Called by C in a trap from ring 3: leaves the trap's stack and returns `value` from run_user. */
back_from_user:
	mov 4(%esp), %eax
	mov saved_esp, %esp
	mov $0xE021, %ecx
	mov %ecx, %ds; mov %ecx, %es
	pop %edi; pop %esi; pop %ebx; pop %ebp
	ret

	.bss
saved_esp: .long 0
	.section .note.GNU-stack, "", @progbits
