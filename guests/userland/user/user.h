/* user.h: what a program in ring 3 has. */
#ifndef USERLAND_USER_H
#define USERLAND_USER_H
#include "../sysnum.h"
#include "types.h"

static inline int syscall2(u32 number, u32 a, u32 b) {
	int result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b) : "memory");
	return result;
}
static inline int fork(void) { return syscall2(SYS_fork, 0, 0); }
static inline int wait(u32 *code) { return syscall2(SYS_wait, (u32)code, 0); }
static inline int getpid(void) { return syscall2(SYS_getpid, 0, 0); }
static inline int exec(const char *name) { return syscall2(SYS_exec, (u32)name, 0); }
static inline void sleep_ms(u32 ms) { syscall2(SYS_sleep, ms, 0); }
/* mfn behind an address; bit 31: writable. */
static inline u32 frame_of(const void *va) { return syscall2(SYS_frame, (u32)va, 0); }
void exit(u32 code) __attribute__((noreturn));
void printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int main(void);

#endif
