/* hello.c: the least a program can do. */
#include "user.h"

int main(void) {
	u32 cs;
	__asm__("mov %%cs, %0" : "=r"(cs));
	printf("hello from pid %d in ring %d\n", getpid(), cs & 3);
	return 0;
}
