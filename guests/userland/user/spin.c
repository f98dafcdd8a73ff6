/* spin.c: never gives the processor up by itself; the timer takes it. Ends after a while. */
#include "user.h"

int main(void) {
	for (volatile u32 i = 0; i < 30000000; i++)
		;
	printf("spin: done\n");
	return 0;
}
