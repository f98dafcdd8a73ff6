/*
 * nmi.S: where the hypervisor enters on a non-maskable interrupt: EIP, CS and EFLAGS are on the kernel stack, events
 * are masked. Only the iret hypercall ends the NMI; until then further ones wait. We never leave ring 1, so the
 * segments are ours already.
 */
	.text
	.globl nmi_entry
nmi_entry:
	pusha
	cld
	call nmi_taken
	popa
	jmp hypercall_page + 23 * 32	/* iret */
	.section .note.GNU-stack, "", @progbits
