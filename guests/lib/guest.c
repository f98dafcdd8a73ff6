/* guest.c: start-up in the order in which things become possible, and the end. */
#include "guest.h"
#include "console.h"
#include "events.h"
#include "hypercall.h"
#include "mm.h"
#include "trap.h"

struct start_info *start;
static u8 shared_info_page[PAGE_SIZE] __attribute__((aligned(4096)));

struct shared_info *shared_info(void) { return (struct shared_info *)shared_info_page; }
int is_initial_domain(void) { return (start->flags & SIF_INITDOMAIN) != 0; }
u32 xen_version(void) { return HYPERVISOR_xen_version(XENVER_version, NULL); }

/* Called by boot.S with events masked and nothing but flat memory. */
void guest_start(struct start_info *info) {
	start = info;
	console_start();
	/* shared_info is given by machine address only: put its frame where a page of ours was. */
	must(HYPERVISOR_update_va_mapping((u32)shared_info_page, (u64)info->shared_info | PTE_P | PTE_W | PTE_A | PTE_D,
					  UVMF_INVLPG),
	     "map shared_info");
	traps_start();
	events_start();
	mm_start();
	console_listen();
	guest_main();
	shutdown(SHUTDOWN_poweroff);
}

void shutdown(u32 reason) {
	console_flush();
#ifdef XEN_302
	HYPERVISOR_sched_op_compat(SCHEDOP_shutdown, reason);
#else
	HYPERVISOR_sched_op(SCHEDOP_shutdown, &reason);
#endif
	for (;;)
		;
}

void must(long result, const char *what) {
	if (result < 0)
		panic("%s failed: %d", what, (int)result);
}

static int ends_word(char c) { return c == 0 || c == ' '; }

const char *option(const char *name) {
	u32 length = strlen(name);
	const char *at = start->cmd_line;
	for (; *at; at++)
		if ((at == start->cmd_line || at[-1] == ' ') && strncmp(at, name, length) == 0 && at[length] == '=')
			return at + length + 1;
	return NULL;
}

int option_given(const char *word) {
	u32 length = strlen(word);
	const char *at = start->cmd_line;
	for (; *at; at++)
		if ((at == start->cmd_line || at[-1] == ' ') && strncmp(at, word, length) == 0 && ends_word(at[length]))
			return 1;
	return 0;
}
