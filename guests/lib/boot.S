/*
 * boot.S: where a guest starts, and what it asks of the domain builder.
 *
 * On entry: ring 1, flat segments, ESI = start_info, ESP = top of the builder's boot stack, paging on, events masked.
 * The builder has mapped this image, the p2m, start_info, the rings and the bootstrap page tables from VIRT_BASE up.
 */
#define VIRT_BASE 0xC0000000

	.section .text.boot, "ax"
	.globl _start
_start:
	cld
	mov $boot_stack_top, %esp	/* a stack of our own: the builder's page is only 4 KiB */
	push $0				/* end of the chain of frames */
	mov %esp, %ebp
	push %esi
	call guest_start		/* void guest_start(struct start_info *), does not return */
1:	jmp 1b

/* One page, filled by the builder with a stub for each hypercall. Its PFN (1) is fixed by link.ld. */
	.section .text.hypercall, "ax"
	.globl hypercall_page
	.align 4096
hypercall_page:
	.skip 4096

	.section .bss
	.align 4096
	.globl boot_stack, boot_stack_top
boot_stack:
	.skip 16384
boot_stack_top:

#ifdef XEN_302
/* The request of 2006: a string in a section of its own. HYPERCALL_PAGE is a PFN, in hexadecimal. */
	.section __xen_guest, "a"
	.ascii "GUEST_OS=Ringside,GUEST_VER=1,XEN_VER=xen-3.0,VIRT_BASE=0xC0000000,HYPERCALL_PAGE=0x1,LOADER=generic"
#ifdef XEN_PAE
	.ascii ",PAE=yes"
#endif
	.byte 0
#else
/* The request since 3.0.3: ELF notes with the owner "Xen". */
	.section .note.Xen, "a", @note
#define NOTE_NUMBER(type, value)  .long 4, 4, type; .asciz "Xen"; .long value
#define NOTE_STRING(type, text)   .long 4, 2f - 1f, type; .asciz "Xen"; 1: .asciz text; 2: .align 4
	NOTE_STRING(6, "Ringside")
	NOTE_STRING(7, "1")
	NOTE_STRING(5, "xen-3.0")
	NOTE_NUMBER(3, VIRT_BASE)
	NOTE_NUMBER(4, VIRT_BASE)	/* p_paddr holds virtual addresses */
	NOTE_NUMBER(1, _start)
	NOTE_NUMBER(2, hypercall_page)
	NOTE_STRING(8, "generic")
#ifdef XEN_PAE
	NOTE_STRING(9, "yes")
#else
	NOTE_STRING(9, "no")
#endif
#endif
	.section .note.GNU-stack, "", @progbits
