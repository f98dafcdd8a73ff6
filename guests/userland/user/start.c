/* start.c: the first instructions of every program, and the two functions that the kernel's printf.c asks for. */
#include "user.h"

__attribute__((section(".text.start"), used)) void _start(void) { exit(main()); }

void exit(u32 code) {
	syscall2(SYS_exit, code, 0);
	for (;;)
		;
}
void console_write(const char *text, u32 bytes) { syscall2(SYS_write, (u32)text, bytes); }
void shutdown(u32 reason) { exit(reason); }
