/*
 * swtch.S
 *
 *   void swtch(struct context **old, struct context *new);
 *
 * Saves the callee-saved registers on the stack in use, stores its address in *old, and goes on with `new`.
 */
	.text
	.globl swtch
swtch:
	mov 4(%esp), %eax
	mov 8(%esp), %edx
	push %ebp
	push %ebx
	push %esi
	push %edi
	mov %esp, (%eax)
	mov %edx, %esp
	pop %edi
	pop %esi
	pop %ebx
	pop %ebp
	ret
	.section .note.GNU-stack, "", @progbits
