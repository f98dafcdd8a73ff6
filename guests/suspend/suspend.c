/*
 * suspend.c: saved on one machine, restored on another.
 *
 * What survives: our pages by pfn, page tables (the tools exchange every mfn in them), start_info's addresses, the
 * registers, trap table, callbacks and FPU of the vcpu. What does not: mfns that we remembered, shared_info, event
 * ports, timers. The hypercall that suspends comes back twice over, as it were: it is made here, and returns there.
 */
#include "console.h"
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "time.h"
#include "trap.h"
#include "xenstore.h"

#define DATA_PAGES 64
#define USER_VA 0x00400000u

void set_root_mfn(u32 mfn); /* mm.c */

static u32 checks, wrong;
static u32 *data[DATA_PAGES];
static u32 space_pfn, user_pfn;
static volatile u32 ticked;

static void check(int right, const char *what) {
	checks++;
	if (right)
		return;
	wrong++;
	printf("WRONG: %s\n", what);
}

static u32 pattern(u32 page, u32 word, u32 round) { return (page * 1024 + word + 1) * 2654435761u + round; }

static void fill_data(u32 round) {
	for (u32 page = 0; page < DATA_PAGES; page++)
		for (u32 word = 0; word < 1024; word++)
			data[page][word] = pattern(page, word, round);
}

static int data_is_right(u32 round) {
	for (u32 page = 0; page < DATA_PAGES; page++)
		for (u32 word = 0; word < 1024; word++)
			if (data[page][word] != pattern(page, word, round))
				return 0;
	return 1;
}

/* Where the tools find our p2m: a page of mfns of pages of mfns of its pages. They are new after each restore. */
static void publish_p2m(void) {
	static u32 *list_list, *list;
	u32 pages = (start->nr_pages + 1023) / 1024;
	if (!list_list) {
		list_list = page_alloc();
		list = page_alloc(); /* enough for 4 GiB */
	}
	for (u32 i = 0; i < pages; i++)
		list[i] = va_to_mfn((char *)start->mfn_list + i * PAGE_SIZE);
	list_list[0] = va_to_mfn(list);
	shared_info()->max_pfn = start->nr_pages;
	shared_info()->pfn_to_mfn_frame_list_list = va_to_mfn(list_list);
}

static u32 port_status(u32 port) {
	struct evtchn_status status = { .dom = DOMID_SELF, .port = port };
	must(event_channel_op(EVTCHNOP_status, &status, sizeof status), "EVTCHNOP_status");
	return status.status;
}

/* The form of 2006 passes the frame of start_info in the third register; later tools find it themselves. */
static long ask_for_suspend(void) {
#ifdef XEN_302
	return hypercall3(HYPERCALL_sched_op_compat, SCHEDOP_shutdown, SHUTDOWN_suspend, va_to_mfn(start));
#else
	u32 reason = SHUTDOWN_suspend;
	return hypercall2(HYPERCALL_sched_op, SCHEDOP_shutdown, &reason);
#endif
}

static void store_event(u32 port) { (void)port; }
static void timer_event(u32 port) {
	(void)port;
	ticked = 1;
}

/* Until this is done there is no shared_info: no events, no clock, no printf that could wait. */
static void come_back(void) {
	must(HYPERVISOR_update_va_mapping((u32)shared_info(), (u64)start->shared_info | PTE_P | PTE_W | PTE_A | PTE_D,
					  UVMF_INVLPG),
	     "map the new shared_info");
	set_root_mfn(va_to_mfn((void *)start->pt_base));
	events_start(); /* masks every port, enables upcalls */
	console_listen();
	event_set_handler(start->store_evtchn, store_event);
	event_unmask(start->store_evtchn);
}

static void wait_for_timer(u32 milliseconds) {
	u32 port = bind_virq(VIRQ_TIMER);
	ticked = 0;
	event_set_handler(port, timer_event);
	event_unmask(port);
	must(HYPERVISOR_set_timer_op(system_time() + MILLISECONDS(milliseconds)), "set_timer_op");
	wait_until(&ticked);
}

static void one_suspend(u32 round, int publish) {
	static const char *const names[] = { "hypercall page", "start_info", "console page", "root table",
					     "a table of our own", "a page of data", "the first page of the p2m" };
	u32 pfns[] = { 1, va_to_pfn(start), mfn_to_pfn(start->console_mfn), va_to_pfn((void *)start->pt_base),
		       space_pfn, va_to_pfn(data[0]), va_to_pfn((void *)start->mfn_list) };
	u32 before[ARRAY_LENGTH(pfns)], same = 0, debug_port, value = 0, text_length;
	char domid[16];
	double kept = 2.718281828459045 + round, now = 0;
	u32 us = (u32)divide64(system_time(), 1000);

	for (u32 i = 0; i < ARRAY_LENGTH(pfns); i++)
		before[i] = pfn_to_mfn(pfns[i]);
	fill_data(round);
	debug_port = bind_virq(VIRQ_DEBUG);
	must(store_read("domid", domid, sizeof domid), "read our domid");
	printf("suspend %d: domain %s, console port %d, store port %d, VIRQ_DEBUG port %d, shared_info %08x, %d us\n", round,
	       domid, start->console_evtchn, start->store_evtchn, debug_port, start->shared_info, us);
	if (publish)
		publish_p2m();
	console_flush();
	events_disable();
	/* A number that only the FPU knows. */
	__asm__ volatile("fninit; fldl %0" : : "m"(kept));
	long result = ask_for_suspend();
	come_back();
	__asm__ volatile("fstpl %0" : "=m"(now));

	us = (u32)divide64(system_time(), 1000);
	printf("resumed %d: console port %d, store port %d, shared_info %08x, %d us\n", round, start->console_evtchn,
	       start->store_evtchn, start->shared_info, us);
	for (u32 i = 0; i < ARRAY_LENGTH(pfns); i++) {
		u32 after = pfn_to_mfn(pfns[i]);
		printf("  pfn %5d: mfn %05x was %05x  %s\n", pfns[i], after, before[i], names[i]);
		same += after == before[i];
		check(mfn_to_pfn(after) == pfns[i], "the m2p knows the new frame");
	}
	printf("%d of %d mfns differ\n", (u32)ARRAY_LENGTH(pfns) - same, (u32)ARRAY_LENGTH(pfns));
	check(same == 0, "every frame is another one");
	check(result == 0, "the hypercall answers 0 in a new domain");
	check(now == kept, "the FPU kept its number");
	check(data_is_right(round), "64 pages of data are as they were");
	check(shared_info()->pfn_to_mfn_frame_list_list == 0, "nothing is published in the new shared_info");
	check(start->nr_pages == 2048, "start_info says how many pages we have");
	check(start->flags == 0, "start_info says that we are an ordinary domain");
	check(port_status(debug_port) == EVTCHNSTAT_closed || debug_port == start->console_evtchn ||
		      debug_port == start->store_evtchn, "the port of VIRQ_DEBUG is closed");
	check(port_status(start->console_evtchn) == EVTCHNSTAT_interdomain, "the console's port is connected");
	check(port_status(start->store_evtchn) == EVTCHNSTAT_interdomain, "the xenstore's port is connected");

	/* Our own tables came along, pinned, and lead to the same page. */
	u32 space = pfn_to_mfn(space_pfn), kernel = root_mfn();
	check(pte_mfn(space_lookup(space, USER_VA)) == pfn_to_mfn(user_pfn), "our own table holds the new mfn");
	space_switch(space);
	check(try_read32(USER_VA, &value) && value == pattern(0, 0, 77), "memory behind our own table is as it was");
	check(!try_write32((u32)pfn_to_va(space_pfn), 0), "the table may still not be written");
	space_switch(kernel);
	check(!try_read32(0x10, &value), "a page fault still finds its handler");
	check(mmuext(MMUEXT_UNPIN_TABLE, space, 0) == 0, "our own root was pinned again");
	must(mmuext(MMUEXT_PIN_ROOT, space, 0), "pin it once more");

	text_length = strlen(domid);
	check(store_read("domid", domid, sizeof domid) == 0 && text_length > 0, "the xenstore answers");
	wait_for_timer(5);
	check(ticked, "a timer fires");
	printf("resumed %d: domain %s, the clock ticks\n", round, domid);
}

void guest_main(void) {
	u32 times = option("times") ? parse_number(option("times")) : 1, space;
	u32 *user = page_alloc();
	for (u32 i = 0; i < DATA_PAGES; i++)
		data[i] = page_alloc();
	user[0] = pattern(0, 0, 77);
	user_pfn = va_to_pfn(user);
	space = space_new();
	space_map(space, USER_VA, va_to_mfn(user), PTE_P | PTE_W | PTE_U | PTE_A | PTE_D);
	space_pfn = mfn_to_pfn(space);
	for (u32 round = 1; round <= times; round++)
		one_suspend(round, !option_given("unpublished"));
	printf("suspend: %d times, %d checks, %s\n", times, checks, wrong ? "something is WRONG" : "all as expected");
}
