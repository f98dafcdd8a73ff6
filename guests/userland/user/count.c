/* count.c: two processes that take turns, one line each at a time. */
#include "user.h"

int main(void) {
	u32 code;
	int child = fork();
	for (u32 i = 1; i <= 3; i++) {
		printf("%s %d\n", child ? "parent" : "child ", i);
		sleep_ms(child ? 20 : 15);
	}
	if (child)
		wait(&code);
	return 0;
}
