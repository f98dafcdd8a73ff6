/* cow.c: parent and child share a frame until one of them writes; then they do not, and each keeps its own value. */
#include "user.h"

static volatile u32 value[1024] __attribute__((aligned(4096))) = { 17 };

static void show(const char *who) {
	u32 frame = frame_of((void *)value);
	printf("%s: value %d in frame %05x, %s\n", who, value[0], frame & 0xfffff, frame >> 31 ? "writable" : "read-only");
}

int main(void) {
	u32 code = 0, before, after;
	value[0] = 17;
	before = frame_of((void *)value) & 0xfffff;
	show("before fork ");
	if (fork() == 0) {
		show("child       ");
		if ((frame_of((void *)value) & 0xfffff) != before)
			exit(1);
		value[0] = 42;
		show("child wrote ");
		exit((frame_of((void *)value) & 0xfffff) != before && value[0] == 42 ? 0 : 2);
	}
	wait(&code);
	show("parent      ");
	value[0]++;
	after = frame_of((void *)value) & 0xfffff;
	show("parent wrote");
	printf("cow: %s\n", code == 0 && value[0] == 18 && after == before ? "the child got a copy, the parent kept its frame"
								   : "WRONG");
	return code;
}
