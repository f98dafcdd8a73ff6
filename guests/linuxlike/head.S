/*
 * head.S: start, notes, and the ways in and out of a kernel that returns with the processor's own IRET.
 *
 * A native IRET in ring 1 cannot restore the event mask: the mask is written first, and an event may strike between
 * that store and the IRET. `return_to` tells how both halves of that race are closed.
 */
#define KERNEL_DS 0x68
#define USER_DS 0x7b
#define PERCPU 0xd8

	.text
	.globl startup
startup:
	mov %eax, entry_registers
	mov %ebx, entry_registers + 4
	mov %ecx, entry_registers + 8
	mov %edx, entry_registers + 12
	mov %esi, entry_registers + 16
	mov %edi, entry_registers + 20
	mov %ebp, entry_registers + 24
	mov %esp, entry_registers + 28
	mov %cs, entry_registers + 32
	mov %ds, entry_registers + 36
	mov %es, entry_registers + 40
	mov %fs, entry_registers + 44
	mov %gs, entry_registers + 48
	mov %ss, entry_registers + 52
	cld
	xor %eax, %eax
	mov $bss_start, %edi
	mov $bss_end, %ecx
	sub %edi, %ecx
	shr $2, %ecx
	rep stosl
	mov $boot_stack + 8192, %esp
	pushf
	pop entry_registers + 56
	mov %esi, start
	call start_kernel
1:	jmp 1b

/* ---- ways in. The frame is struct regs of lib/trap.h; FS is the kernel's own segment, GS stays the program's. */
#define SAVE_ALL                                                                                    \
	pusha;                                                                                      \
	push %ds; push %es; push %fs; push %gs;                                                     \
	mov $USER_DS, %eax;                                                                         \
	mov %eax, %ds; mov %eax, %es;                                                               \
	mov $PERCPU, %eax;                                                                          \
	mov %eax, %fs;                                                                              \
	cld

	.globl event_callback
event_callback:
	/* Did it strike inside return_to's critical region? Then the frame that was to be returned to lies right behind
	   ours, whole, since the region pushes nothing: forget ours and take the event from there. */
	cmpl $critical_start, (%esp)
	jb 1f
	cmpl $critical_end, (%esp)
	jae 1f
	testb $3, 4(%esp)
	jz 1f
	testb $2, 4(%esp)		/* from ring 3 with such an address: an ordinary one */
	jnz 1f
	add $12, %esp
	incl %ss:critical_hits
1:	push $0
	push $-1
	SAVE_ALL
	push %esp
	call upcall
	add $4, %esp
	jmp return_from_trap

	.globl failsafe_callback
failsafe_callback:
	add $16, %esp			/* the bad selectors: forgotten */
	push $0
	push $-2
	SAVE_ALL
	incl failsafe_hits
	jmp return_from_trap

trap_common:
	SAVE_ALL
	push %esp
	call trap
	add $4, %esp
	/* fall through */
	.globl return_from_trap
return_from_trap:
	movl vcpu, %eax
	movb $1, 1(%eax)		/* no events while registers are restored */
	pop %gs; pop %fs; pop %es; pop %ds
	popa
	add $8, %esp
	/* fall through */

/*
 * return_to: the frame EIP CS EFLAGS [ESP SS] is on the stack, events are masked, all registers are the program's.
 * The vcpu_info that we registered lies at a fixed address, so no register and no push is needed.
 */
	.globl return_to, critical_start, critical_end, critical_compare, critical_jump, critical_iret, critical_mask
return_to:
	testb $0x40, 10(%esp)		/* bit 22 of EFLAGS asks for the hypercall (the NMI case); never set by hardware */
	jnz return_by_hypercall
	testb $2, 9(%esp)		/* EFLAGS.IF of the frame: were events enabled? */
	setz %ss:vcpu_page_info + 1
critical_start:
critical_compare:
	cmpw $0x0001, %ss:vcpu_page_info	/* pending, and not masked: it came before the mask was opened */
critical_jump:
	je critical_mask
critical_iret:
	iret
critical_mask:
	movb $1, %ss:vcpu_page_info + 1
critical_end:
	incl %ss:critical_taken
	jmp event_callback
return_by_hypercall:
	andb $0xbf, 10(%esp)
	jmp hypercall_page + 23 * 32

/* void switch_stacks(u32 *save, u32 to): a thread of the kernel gives way to another. */
	.globl switch_stacks
switch_stacks:
	mov 4(%esp), %eax
	mov 8(%esp), %edx
	push %ebp; push %ebx; push %esi; push %edi
	mov %esp, (%eax)
	mov %edx, %esp
	pop %edi; pop %esi; pop %ebx; pop %ebp
	ret

/* 256 stubs of 16 bytes: a plain set of gates, as a kernel that fills its whole table has. */
	.balign 16
	.globl trap_stubs
trap_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
	push $0
	.endif
	pushl $vector
	jmp trap_common
	.set vector, vector + 1
	.endr

	.balign 4096
	.globl hypercall_page
hypercall_page:
	.skip 4096

	.data
	.globl entry_registers
entry_registers:
	.skip 60

	.section .bss
	.balign 4096
	.globl boot_stack
boot_stack:
	.skip 8192

	.section .note.Xen, "a", @note
#define NOTE_NUMBER(type, value)  .long 4, 4, type; .asciz "Xen"; .long value
#define NOTE_STRING(type, text)   .long 4, 2f - 1f, type; .asciz "Xen"; 1: .asciz text; 2: .align 4
	NOTE_STRING(6, "linux")
	NOTE_STRING(7, "2.6")
	NOTE_STRING(5, "xen-3.0")
	NOTE_NUMBER(3, 0xC0000000)			/* VIRT_BASE */
	NOTE_NUMBER(4, 0)				/* PADDR_OFFSET: p_paddr is pseudo-physical */
	NOTE_NUMBER(1, startup)
	NOTE_NUMBER(2, hypercall_page)
	NOTE_STRING(10, "!writable_page_tables|pae_pgdir_above_4gb")
	NOTE_NUMBER(17, 0x8801)				/* SUPPORTED_FEATURES */
	NOTE_STRING(9, "yes")				/* PAE_MODE */
	NOTE_STRING(8, "generic")
	.long 4, 16, 13; .asciz "Xen"; .quad 1, 1	/* L1_MFN_VALID: mask, value */
	NOTE_NUMBER(14, 1)				/* SUSPEND_CANCEL */
	NOTE_NUMBER(12, 0xF5800000)			/* HV_START_LOW */
	NOTE_NUMBER(16, 1)				/* MOD_START_PFN */
	.section .note.GNU-stack, "", @progbits
