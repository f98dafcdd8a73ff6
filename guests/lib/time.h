/* time.h: system time, in nanoseconds since the hypervisor started. */
#ifndef LIB_TIME_H
#define LIB_TIME_H
#include "types.h"

u64 system_time(void);
/* Blocks until the given system time. Binds VIRQ_TIMER on first use. */
void sleep_until(u64 deadline);
#define MILLISECONDS(n) ((u64)(n) * 1000000)
/* Timer events taken so far, by all vcpus. */
extern volatile u32 timer_events;
/* The port of the calling vcpu's timer. */
u32 timer_port(void);
/* Divides by a 32-bit number; gcc's own 64-bit division is in a library that we do not link. */
u64 divide64(u64 value, u32 by);

#endif
