/*
 * smp.c: one kernel on several vcpus.
 *
 * vcpu 0 starts the others; then all of them go through the same stages, each beginning when all have finished the
 * one before. Every number that is printed is exact: an event, an addition or a turn that got lost would show.
 */
#include "smp.h"
#include "events.h"
#include "guest.h"
#include "hypercall.h"
#include "mm.h"
#include "time.h"

#define ROUNDS 10	/* IPIs from each vcpu to each other */
#define ADDITIONS 5000	/* of each vcpu, to one word */
#define LAPS 25		/* of the lock around all vcpus */
#define NAPS 4		/* of each vcpu, 2 ms each */

static u32 vcpus, wrong, console_lock;

static void check(int right, const char *what) {
	if (right)
		return;
	spin_lock(&console_lock);
	printf("WRONG on vcpu %d: %s\n", this_vcpu(), what);
	spin_unlock(&console_lock);
	fetch_and_add(&wrong, 1);
}

/* ---- everybody waits for everybody */
static volatile u32 arrived, stage;

static void all_here(void) {
	u32 now = stage;
	if (fetch_and_add(&arrived, 1) + 1 == vcpus) {
		arrived = 0;
		stage = now + 1;
	}
	while (stage == now)
		sched_yield();
}

/* ---- interrupts between vcpus. A port remembers one event only: who sends waits until it was seen. */
static u32 ipi_port[MAX_VCPUS];
static volatile u32 senders[MAX_VCPUS];		/* bit s: vcpu s has sent */
static volatile u32 received[MAX_VCPUS][MAX_VCPUS]; /* [receiver][sender] */

static void on_ipi(u32 port) {
	u32 me = this_vcpu();
	check(port == ipi_port[me], "an IPI came to a vcpu that it was not for");
	for (u32 from = exchange(&senders[me], 0); from; from &= from - 1)
		received[me][__builtin_ctz(from)]++;
}

static void send_ipis(void) {
	u32 me = this_vcpu();
	for (u32 round = 1; round <= ROUNDS; round++)
		for (u32 to = 0; to < vcpus; to++) {
			if (to == me)
				continue;
			__asm__ volatile("lock orl %1, %0" : "+m"(senders[to]) : "r"(1u << me) : "memory");
			event_send(ipi_port[to]);
			while (received[to][me] != round)
				sched_yield();
		}
}

static u32 ipis_received(void) {
	u32 sum = 0;
	for (u32 to = 0; to < vcpus; to++)
		for (u32 from = 0; from < vcpus; from++) {
			check(received[to][from] == (to == from ? 0 : ROUNDS), "the IPIs of one pair");
			sum += received[to][from];
		}
	return sum;
}

/* ---- one word that all add to; two words that only a lock keeps equal */
static volatile u32 total, turn, laps, left, right;
static u32 lock;

static void add_together(void) {
	for (u32 i = 0; i < ADDITIONS; i++)
		fetch_and_add(&total, 1);
}

static void hand_round(void) {
	u32 me = this_vcpu();
	for (u32 lap = 0; lap < LAPS;) {
		spin_lock(&lock);
		check(left == right, "two words that change under one lock");
		if (turn == me) {
			left++;
			turn = (me + 1) % vcpus;
			lap++;
			laps++;
			right++;
		}
		spin_unlock(&lock);
		sched_yield();
	}
}

/* ---- a page that changes behind everybody's back */
static u8 window[PAGE_SIZE] __attribute__((aligned(4096)));
static volatile u32 pages_seen;

static void look_at_pages(u32 *first, u32 *second) {
	volatile u32 *word = (volatile u32 *)window;
	u32 me = this_vcpu(), mask = ~0u;
	if (me == 0) {
		check(HYPERVISOR_update_va_mapping((u32)window, make_pte(va_to_mfn(first), PTE_P | PTE_W), UVMF_INVLPG | UVMF_ALL) == 0,
		      "map the first page");
	}
	all_here();
	u32 before = *word;
	all_here();
	if (me == vcpus - 1) {
		check(HYPERVISOR_update_va_mapping((u32)window, make_pte(va_to_mfn(second), PTE_P | PTE_W),
						   UVMF_INVLPG | (u32)&mask) == 0, "map the second page");
		check(mmuext(MMUEXT_INVLPG_MULTI, (u32)window, (u32)&mask) == 0, "INVLPG_MULTI");
		check(mmuext(MMUEXT_TLB_FLUSH_MULTI, 0, (u32)&mask) == 0, "TLB_FLUSH_MULTI");
		check(mmuext(MMUEXT_INVLPG_ALL, (u32)window, 0) == 0, "INVLPG_ALL");
		check(mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0) == 0, "TLB_FLUSH_ALL");
	}
	all_here();
	if (before == 1 && *word == 2)
		fetch_and_add(&pages_seen, 1);
}

/* ---- timers: each vcpu its own */
static volatile u32 naps;

static void sleep_a_while(void) {
	u64 last = system_time();
	for (u32 i = 0; i < NAPS; i++) {
		u64 until = system_time() + MILLISECONDS(2);
		sleep_until(until);
		check(system_time() >= until, "a sleep is not too short");
		check(system_time() >= last, "time runs forward");
		last = system_time();
		fetch_and_add(&naps, 1);
	}
}

/* ---- down and up: the last vcpu goes, vcpu 0 brings it back */
static volatile u32 leaving, back;

static void leave_and_return(void) {
	u32 me = this_vcpu(), last = vcpus - 1;
	if (vcpus > 1 && me == last) {
		leaving = 1;
		must(HYPERVISOR_vcpu_op(VCPUOP_down, me, NULL), "VCPUOP_down");
		back = 1;
	}
	if (me == 0 && vcpus > 1) {
		struct runstate_info early, late;
		while (!leaving || HYPERVISOR_vcpu_op(VCPUOP_is_up, last, NULL) != 0)
			sched_yield();
		/* It is down from its call on, but offline only once it has left its processor, whose clock may be ahead. */
		do
			must(HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, last, &early), "VCPUOP_get_runstate_info");
		while (early.state != RUNSTATE_offline || early.state_entry_time > system_time());
		sleep_until(system_time() + MILLISECONDS(3));
		must(HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, last, &late), "VCPUOP_get_runstate_info");
		check(late.time[3] - early.time[3] >= MILLISECONDS(3), "a vcpu that is down is offline all the time");
		check(late.time[0] == early.time[0] && !back, "it does not run");
		must(HYPERVISOR_vcpu_op(VCPUOP_up, last, NULL), "VCPUOP_up");
	}
	all_here();
	check(vcpus == 1 || (back && HYPERVISOR_vcpu_op(VCPUOP_is_up, last, NULL) == 1), "it came back where it left");
}

/* ---- what all of them do */
static volatile u32 present;

static void stages(u32 *first, u32 *second) {
	events_enable();
	all_here();
	send_ipis();
	all_here();
	add_together();
	all_here();
	hand_round();
	all_here();
	look_at_pages(first, second);
	all_here();
	sleep_a_while();
	all_here();
	leave_and_return();
	all_here();
}

static u32 *first_page, *second_page;

static void introduce(void) {
	u32 me = this_vcpu();
	spin_lock(&console_lock);
	printf("vcpu %d is here, on a stack of its own%s\n", me,
	       me == 0 ? "" : vcpu_of_segment() == me ? "; its FS knows it" : "; its FS is WRONG");
	spin_unlock(&console_lock);
	check(me == present, "vcpus come one after the other");
	present = me + 1;
}

static void secondary(void) {
	introduce();
	stages(first_page, second_page);
}

static u64 age(u32 id) {
	struct runstate_info info;
	must(HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, id, &info), "VCPUOP_get_runstate_info");
	return info.time[0] + info.time[1] + info.time[2] + info.time[3];
}

void guest_main(void) {
	vcpus = count_vcpus();
	printf("smp: %d vcpus\n", vcpus);
	first_page = page_alloc();
	second_page = page_alloc();
	*first_page = 1;
	*second_page = 2;
	for (u32 id = 1; id < vcpus; id++) {
		check(HYPERVISOR_vcpu_op(VCPUOP_is_up, id, NULL) == 0, "a new vcpu is down");
		check(HYPERVISOR_vcpu_op(VCPUOP_up, id, NULL) == -EINVAL, "without a context it does not come up");
	}
	if (vcpus < MAX_VCPUS)
		check(HYPERVISOR_vcpu_op(VCPUOP_up, vcpus, NULL) == -ENOENT, "there are no more");

	introduce();
	for (u32 id = 0; id < vcpus; id++) {
		ipi_port[id] = event_bind_ipi(id);
		event_set_handler(ipi_port[id], on_ipi);
		event_unmask(ipi_port[id]);
	}
	for (u32 id = 1; id < vcpus; id++) {
		vcpu_start(id, secondary);
		while (present != id + 1)
			sched_yield();
	}
	stages(first_page, second_page);

	printf("IPIs: %d pairs, %d sent and seen by each: %d\n", vcpus * (vcpus - 1), ROUNDS, ipis_received());
	printf("lock xadd: %d times %d is %d\n", vcpus, ADDITIONS, total);
	printf("one lock, handed round: %d times %d is %d, %d, %d\n", vcpus, LAPS, laps, left, right);
	printf("a page changed by one vcpu was seen by %d\n", pages_seen);
	printf("timers: %d times %d is %d\n", vcpus, NAPS, naps);
	check(timer_events >= vcpus * NAPS, "a timer event for each sleep");
	if (vcpus > 1)
		printf("vcpu %d went down and came back\n", vcpus - 1);
	/* All were created in one moment: what each has lived through adds up to the same age. */
	u32 agree = 0;
	for (u32 id = 0; id < vcpus; id++) {
		u64 before = age(0), its = age(id), after = age(0);
		agree += its >= before && its <= after + MILLISECONDS(1);
	}
	printf("runstates: the times of %d vcpus add up to their age\n", agree);
	for (u32 id = 1; id < vcpus; id++)
		while (HYPERVISOR_vcpu_op(VCPUOP_is_up, id, NULL) == 1)
			sched_yield();
	check(total == vcpus * ADDITIONS && laps == vcpus * LAPS && left == laps && right == laps, "the sums");
	check(pages_seen == vcpus && naps == vcpus * NAPS && agree == vcpus, "what all have seen");
	printf("smp: %d vcpus, %s\n", vcpus, wrong ? "something is WRONG" : "all as expected");
}
