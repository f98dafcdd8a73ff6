/*
 * entry.S: the ways into the kernel from below: exceptions, software interrupts, event upcalls; and the one way out.
 *
 * What the hypervisor has pushed, lowest address first (cpu-and-events: "bounce"):
 *     [error code] EIP CS|mask<<16 EFLAGS            from ring 1
 *     [error code] EIP CS|mask<<16 EFLAGS ESP SS     from ring 3
 * Each stub completes it to `struct regs` of trap.h and calls C. Every return goes through the iret hypercall, which
 * restores the event mask from EFLAGS.IF in the same step; a plain iret could not.
 */
#include "types.S.h"

#define SAVE_ALL                                                                                    \
	pusha;                                                                                      \
	push %ds; push %es; push %fs; push %gs;                                                     \
	mov $FLAT_KERNEL_DS, %eax;                                                                  \
	mov %eax, %ds; mov %eax, %es;                                                               \
	cld

	.text
	.globl return_from_trap
return_from_trap:
	pop %gs; pop %fs; pop %es; pop %ds
	popa
	add $8, %esp			/* vector and error code */
	jmp hypercall_page + 23 * 32	/* the iret hypercall: pops EIP CS EFLAGS [ESP SS] */

/* void upcall(struct regs *) is called with events masked: the hypervisor has set the mask on the way in. */
	.globl event_entry
event_entry:
	push $0
	push $-1
	SAVE_ALL
	push %esp
	call upcall
	add $4, %esp
	jmp return_from_trap

/* Failsafe: DS ES FS GS lie below the frame. Xen could not load them, or could not return: we drop the bad values. */
	.globl failsafe_entry
failsafe_entry:
	add $16, %esp
	push $0
	push $-2
	SAVE_ALL
	push %esp
	call failsafe
	add $4, %esp
	jmp return_from_trap

trap_common:
	SAVE_ALL
	push %esp
	call trap
	add $4, %esp
	jmp return_from_trap

#define STUB(n)      trap_##n: push $0; push $n; jmp trap_common
#define STUB_CODE(n) trap_##n:          push $n; jmp trap_common
	STUB(0)
	STUB(1)
	STUB(3)
	STUB(4)
	STUB(5)
	STUB(6)
	STUB(7)
	STUB(9)
	STUB_CODE(10)
	STUB_CODE(11)
	STUB_CODE(12)
	STUB_CODE(13)
	STUB_CODE(14)
	STUB_CODE(15)
	STUB(16)
	STUB_CODE(17)
	STUB(19)
	STUB(128)

	.section .rodata
	.globl trap_stubs
/* { vector, address } pairs for traps.c, ended by address 0. */
trap_stubs:
	.long 0, trap_0, 1, trap_1, 3, trap_3, 4, trap_4, 5, trap_5, 6, trap_6, 7, trap_7, 9, trap_9
	.long 10, trap_10, 11, trap_11, 12, trap_12, 13, trap_13, 14, trap_14, 15, trap_15, 16, trap_16
	.long 17, trap_17, 19, trap_19, 128, trap_128
	.long 0, 0
	.section .note.GNU-stack, "", @progbits
