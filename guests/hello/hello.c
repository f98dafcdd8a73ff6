/*
 * hello.c: the smallest guest that says something about itself, and then either leaves or waits.
 *
 * Command line: `hold=0xN` loads known values, derived from N, into the registers and then waits in a loop with them,
 * so that a register view can be held against what is printed here; `name=TEXT` is greeted; `wait` waits for a key.
 */
#include "guest.h"
#include "hypercall.h"
#include "mm.h"

static void print_word(const char *word) {
	while (*word && *word != ' ')
		printf("%c", *word++);
}

static void hold(u32 seed) {
	printf("holding eax %08x ebx %08x ecx %08x edx %08x\n", seed, seed + 0x1111, seed + 0x2222, seed + 0x3333);
	printf("        esi %08x edi %08x ebp %08x\n", seed + 0x4444, seed + 0x5555, seed + 0x6666);
	console_flush();
	__asm__ volatile("lea 0x1111(%%eax), %%ebx\n\t"
			 "lea 0x2222(%%eax), %%ecx\n\t"
			 "lea 0x3333(%%eax), %%edx\n\t"
			 "lea 0x4444(%%eax), %%esi\n\t"
			 "lea 0x5555(%%eax), %%edi\n\t"
			 "lea 0x6666(%%eax), %%ebp\n"
			 "1: jmp 1b"
			 :
			 : "a"(seed));
	__builtin_unreachable();
}

void guest_main(void) {
	char capabilities[1024], extra[16];
	u32 version = xen_version();
	u32 cs;
	const char *name = option("name"), *seed = option("hold");

	__asm__("mov %%cs, %0" : "=r"(cs));
	HYPERVISOR_xen_version(XENVER_extraversion, extra);
	HYPERVISOR_xen_version(XENVER_capabilities, capabilities);

	printf("Hello, ");
	if (name)
		print_word(name);
	else
		printf("ringside");
	printf("! This is ring %d.\n", cs & 3);
	printf("Xen %d.%d%s, %s, started as %s\n", version >> 16, version & 0xffff, extra, GUEST_ABI, start->magic);
	printf("capabilities: %s\n", capabilities);
	printf("%d pages (%d KiB), %d of them free\n", start->nr_pages, start->nr_pages * 4, pages_free());
	printf("pfn 0 is mfn %05x; shared_info is at machine address %08x\n", pfn_to_mfn(0), start->shared_info);
	printf("store port %d, console port %d, command line \"%s\"\n", start->store_evtchn, start->console_evtchn,
	       start->cmd_line);
	if (seed)
		hold(parse_number(seed));
	if (option_given("wait")) {
		printf("press a key\n");
		printf("got key %d\n", console_getc());
	}
	printf("Goodbye.\n");
}
