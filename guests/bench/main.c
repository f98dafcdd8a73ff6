/*
 * main.c: the benchmark kernels as a guest of Xen.
 *
 * The command line is a list of `name:n`; `reps=N` repeats each. For every run it prints the checksum, which must be
 * the same on every machine, and the virtual microseconds that it took.
 */
#include "guest.h"
#include "time.h"

/* bench.h has its own integer types; these are the two names of it that we need. */
struct bench { const char *name; u32 (*fn)(u32); };
extern const struct bench bench_table[];
extern const int bench_count;

static const char default_list[] = "intmix:200 sieve:2 matmul:2 string:500 qsort:1 bytecode:10 sha256:20 crc32:50 "
				   "chase:50 arith64:50 mandel:10 fib:50";

static const struct bench *find(const char *word, u32 length) {
	for (int i = 0; i < bench_count; i++)
		if (strlen(bench_table[i].name) == length && strncmp(bench_table[i].name, word, length) == 0)
			return &bench_table[i];
	return NULL;
}

static int run_list(const char *list, u32 reps) {
	int runs = 0;
	while (*list) {
		const char *word = list;
		u32 length = 0;
		while (*list && *list != ' ')
			list++;
		while (word + length < list && word[length] != ':')
			length++;
		const struct bench *bench = word + length < list ? find(word, length) : NULL;
		for (u32 i = 0; bench && i < reps; i++) {
			u64 begin = system_time();
			u32 checksum = bench->fn(parse_number(word + length + 1));
			printf("bench %s %u: checksum %08x, %u us\n", bench->name, parse_number(word + length + 1), checksum,
			       (u32)divide64(system_time() - begin, 1000));
			runs++;
		}
		while (*list == ' ')
			list++;
	}
	return runs;
}

void guest_main(void) {
	u32 reps = option("reps") ? parse_number(option("reps")) : 1;
	int runs = run_list(start->cmd_line, reps);
	if (!runs)
		runs = run_list(default_list, reps);
	printf("bench: %d runs done\n", runs);
}
