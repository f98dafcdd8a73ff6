/*
 * program.S: the one program that runs in ring 3, at 0x08048000 with a page of data behind it. It forks; parent and
 * child then each own a number, keep it in copied memory, in a TLS segment and in the FPU, and give way to one another.
 * EXIT(number) ends a process; 0xbad.... names the check that failed.
 */
#define DATA 0x08049000
#define EXIT 1
#define FORK 2
#define YIELD 158
#define SET_TLS 243
#define CLEAR_USER 300
#define PUT_USER 301

#define CHECK(n) je 1f; mov $0xbad0000 + n, %ebx; jmp leave; 1:

	.section .rodata
	.balign 16
	.globl program, program_end
program:
	movl $0x1111, DATA
	mov $FORK, %eax
	int $0x80
	mov %eax, %ebp
	mov $0x3333, %ebx
	mov $DATA + 0x40, %edi
	test %ebp, %ebp
	jnz 2f
	mov $0x2222, %ebx
	mov $DATA + 0x80, %edi
2:	cmpl $0x1111, DATA		/* the other one's store must not show */
	CHECK(1)
	/* The kernel stores first for one of them (a fault in ring 1), the program itself for the other. */
	test %ebp, %ebp
	jz 3f
	push %ebx
	mov $DATA, %ecx
	mov $PUT_USER, %eax
	int $0x80
	pop %ebx
	test %eax, %eax
	CHECK(2)
	jmp 4f
3:	mov %ebx, DATA
4:	cmp %ebx, DATA
	CHECK(3)
	/* A TLS segment: selector 0x33, another base in each process. */
	mov %ebx, (%edi)
	push %ebx
	mov %edi, %ebx
	mov $SET_TLS, %eax
	int $0x80
	pop %ebx
	mov $0x33, %eax
	mov %eax, %gs
	cmp %gs:0, %ebx
	CHECK(4)
	fninit
	fildl DATA
	mov $10, %esi
5:	mov $YIELD, %eax
	int $0x80
	cmp %gs:0, %ebx
	CHECK(5)
	cmp %ebx, DATA
	CHECK(6)
	fistl DATA + 0x100
	cmp %ebx, DATA + 0x100
	CHECK(7)
	dec %esi
	jnz 5b
	fistpl DATA + 0x104
	cmp %ebx, DATA + 0x104
	CHECK(8)
	/* 3 pages that do not exist yet, cleared by the kernel: each faults inside a REP STOS. */
	push %ebx
	mov $0x0a000800, %ebx
	mov $0x2000, %ecx
	mov $CLEAR_USER, %eax
	int $0x80
	test %eax, %eax
	pop %ebx
	CHECK(9)
	/* The second page of two is nobody's: so many bytes are left. */
	push %ebx
	mov $0x0a00fff0, %ebx
	mov $0x20, %ecx
	mov $CLEAR_USER, %eax
	int $0x80
	cmp $0x10, %eax
	pop %ebx
	CHECK(10)
	/* The forced-emulation prefix works here too. */
	push %ebx
	mov $0x40000000, %eax
	.byte 0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2
	cmp $0x566e6558, %ebx		/* "XenV" */
	pop %ebx
	CHECK(11)
	pushf
	pop %eax
	test $0x200, %eax		/* real IF is always 1 */
	setnz %al
	cmp $1, %al
	CHECK(12)
leave:
	mov $EXIT, %eax
	int $0x80
	ud2
program_end:
	.section .note.GNU-stack, "", @progbits
