/* sh.c: a shell. A line is the name of a program, `&` behind it does not wait; a few words it knows itself. */
#include "user.h"

static u32 read_line(char *line, u32 size) {
	u32 length = 0;
	for (;;) {
		int c = syscall2(SYS_getc, 0, 0);
		if (c == '\r' || c == '\n') {
			printf("\n");
			line[length] = 0;
			return length;
		}
		if ((c == 8 || c == 127) && length) {
			length--;
			printf("\b \b");
		} else if (c >= ' ' && c < 127 && length + 1 < size) {
			line[length++] = c;
			printf("%c", c);
		}
	}
}

static void run(const char *name, int background) {
	u32 code;
	int pid = fork();
	if (pid == 0) {
		if (exec(name) < 0)
			printf("sh: no program \"%s\"\n", name);
		exit(127);
	}
	if (pid < 0) {
		printf("sh: cannot fork\n");
		return;
	}
	if (background) {
		printf("pid %d\n", pid);
		return;
	}
	while (wait(&code) != pid)
		;
	if (code)
		printf("pid %d ended with %d\n", pid, code);
}

int main(void) {
	static char line[16 + 64];
	printf("sh: pid %d in ring 3; try help\n", getpid());
	for (;;) {
		printf("$ ");
		u32 length = read_line(line, sizeof line);
		int background = length > 1 && line[length - 1] == '&';
		if (background)
			line[--length] = 0;
		while (length && line[length - 1] == ' ')
			line[--length] = 0;
		if (!length)
			continue;
		if (strcmp(line, "exit") == 0)
			return 0;
		if (strcmp(line, "help") == 0)
			printf("programs: cow count fault hello primes spin; words: echo TEXT, ps, mem, exit, help; NAME & for background\n");
		else if (strncmp(line, "echo ", 5) == 0)
			printf("%s\n", line + 5);
		else if (strcmp(line, "ps") == 0)
			syscall2(SYS_ps, 0, 0);
		else if (strcmp(line, "mem") == 0)
			syscall2(SYS_memory, 0, 0);
		else
			run(line, background);
	}
}
