/* vcpus.c: rows 19 to 24, as far as one vcpu can try them. */
#include "conformance.h"

#define VCPUOP_initialise 0
#define VCPUOP_up 1
#define VCPUOP_down 2
#define VCPUOP_is_up 3
#define VCPUOP_set_periodic_timer 6
#define VCPUOP_set_singleshot_timer 8
#define VCPUOP_stop_singleshot_timer 9
#define VCPUOP_register_vcpu_info 10

/* Of a vcpu number that is too large: 3.0.2 knows two errors. */
static long no_such_vcpu(u32 vcpu) { return is_302() && vcpu >= 32 ? -EINVAL : -ENOENT; }

void test_vcpus(void) {
	static struct runstate_info area;
	struct runstate_info info;
	u64 address = (u32)&area;
	u64 bad_address = (u32)HYPERVISOR_ADDRESS;

	row("VCPUOP_is_up");
	expect("vcpu 0", HYPERVISOR_vcpu_op(VCPUOP_is_up, 0, NULL), 1);
	expect("vcpu 31", HYPERVISOR_vcpu_op(VCPUOP_is_up, 31, NULL), no_such_vcpu(31));
	expect("vcpu 32", HYPERVISOR_vcpu_op(VCPUOP_is_up, 32, NULL), no_such_vcpu(32));
	row("VCPUOP_up");
	expect("a vcpu that is up", HYPERVISOR_vcpu_op(VCPUOP_up, 0, NULL), 0);
	expect("one that does not exist", HYPERVISOR_vcpu_op(VCPUOP_up, 31, NULL), no_such_vcpu(31));
	row("VCPUOP_down");
	expect("one that does not exist", HYPERVISOR_vcpu_op(VCPUOP_down, 31, NULL), no_such_vcpu(31));
	expect("vcpu 32", HYPERVISOR_vcpu_op(VCPUOP_down, 32, NULL), no_such_vcpu(32));
	row("VCPUOP_up");
	expect("vcpu 32", HYPERVISOR_vcpu_op(VCPUOP_up, 32, NULL), no_such_vcpu(32));
	row("VCPUOP_initialise");
	expect("vcpu 32", HYPERVISOR_vcpu_op(VCPUOP_initialise, 32, &info), no_such_vcpu(32));
	expect("one that does not exist", HYPERVISOR_vcpu_op(VCPUOP_initialise, 31, &info), no_such_vcpu(31));
	expect("an unreadable context", HYPERVISOR_vcpu_op(VCPUOP_initialise, 0, UNMAPPED_ADDRESS), -EFAULT);

	row("VCPUOP_get_runstate_info");
	sleep_until(system_time() + MILLISECONDS(1));
	u64 before = system_time();
	expect("vcpu 0", HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, 0, &info), 0);
	u64 after = system_time();
	expect("state", info.state, 0);
	holds("it was entered before now", info.state_entry_time <= before);
	u64 sum = info.time[0] + info.time[1] + info.time[2] + info.time[3];
	holds("the times do not exceed the time since start", sum <= after);
	holds("it has run, and it has been blocked", info.time[0] > 0 && info.time[2] > 0);
	expect("vcpu 32", HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, 32, &info), no_such_vcpu(32));
	expect("an unwritable argument", HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, 0, UNMAPPED_ADDRESS), -EFAULT);
	expect("one that does not exist", HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, 31, &info), no_such_vcpu(31));

	row("VCPUOP_register_runstate_memory_area");
	expect("for ourselves", HYPERVISOR_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &address), 0);
	expect("the area is written at once: state", area.state, 0);
	u64 entered = area.state_entry_time;
	sleep_until(system_time() + MILLISECONDS(5));
	holds("and again when the vcpu is scheduled", area.state == 0 && area.state_entry_time > entered);
	expect("one that does not exist", HYPERVISOR_vcpu_op(VCPUOP_register_runstate_memory_area, 31, &address), no_such_vcpu(31));
	expect("vcpu 32", HYPERVISOR_vcpu_op(VCPUOP_register_runstate_memory_area, 32, &address), no_such_vcpu(32));
	expect("an address of the hypervisor", HYPERVISOR_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &bad_address),
	       -EFAULT);
	expect("an unreadable argument", HYPERVISOR_vcpu_op(VCPUOP_register_runstate_memory_area, 0, UNMAPPED_ADDRESS),
	       -EFAULT);

	if (!is_302()) {
		u64 period = 999999;
		row("VCPUOP_set_periodic_timer");
		expect("a period below a millisecond", HYPERVISOR_vcpu_op(VCPUOP_set_periodic_timer, 0, &period), -EINVAL);
		period = 10000000;
		expect("ten milliseconds", HYPERVISOR_vcpu_op(VCPUOP_set_periodic_timer, 0, &period), 0);
		row("VCPUOP_stop_periodic_timer");
		expect("stop", HYPERVISOR_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
		struct { u64 deadline; u32 flags; } once = { system_time() + MILLISECONDS(5), 0 };
		u32 ticks = timer_events;
		row("VCPUOP_set_singleshot_timer");
		expect("five milliseconds ahead", HYPERVISOR_vcpu_op(VCPUOP_set_singleshot_timer, 0, &once), 0);
		while (system_time() < once.deadline + MILLISECONDS(1))
			;
		expect("events at its time", timer_events - ticks, 1);
		once.deadline = 1;
		expect("in the past", HYPERVISOR_vcpu_op(VCPUOP_set_singleshot_timer, 0, &once), 0);
		while (system_time() < before + MILLISECONDS(20))
			;
		row("VCPUOP_stop_singleshot_timer");
		expect("stop", HYPERVISOR_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
		row("VCPUOP_register_vcpu_info");
		struct { u64 mfn; u32 offset, reserved; } place = { va_to_mfn(&area), 4096 - 60, 0 };
		expect("an offset too near to the page's end", HYPERVISOR_vcpu_op(VCPUOP_register_vcpu_info, 0, &place), -ENXIO);
		place.offset = 2;
		expect("an offset that is not a multiple of four", HYPERVISOR_vcpu_op(VCPUOP_register_vcpu_info, 0, &place), -ENXIO);
		place.offset = 0;
		place.mfn = 0x7ffff;
		expect("a frame that is not ours", HYPERVISOR_vcpu_op(VCPUOP_register_vcpu_info, 0, &place), -EINVAL);
	}
	if (HYPERVISOR_vcpu_op(VCPUOP_is_up, 1, NULL) >= 0)
		test_second_vcpu();
	row("vcpu_op");
	expect("an unknown command", HYPERVISOR_vcpu_op(99, 0, NULL), -ENOSYS);
}
