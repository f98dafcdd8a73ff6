/* fault.c: three things that a program must not do; each is done by a child of its own, and ends it. */
#include "user.h"

/* An address that the compiler cannot see through: it would refuse to write there. */
static volatile u32 *hidden(u32 address) {
	__asm__("" : "+r"(address));
	return (volatile u32 *)address;
}

static int child(int which) {
	u32 code = 0;
	if (fork() == 0) {
		if (which == 0)
			*hidden(16) = 1;
		else if (which == 1)
			*hidden(0xC0000000) = 1;
		else
			__asm__ volatile("hlt");
		exit(0);
	}
	wait(&code);
	return code;
}

int main(void) {
	int null = child(0), kernel = child(1), privileged = child(2);
	printf("fault: null pointer %d, kernel memory %d, privileged instruction %d\n", null, kernel, privileged);
	return !(null == 139 && kernel == 139 && privileged == 132);
}
