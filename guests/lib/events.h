/*
 * events.h: event channels, Xen's virtual interrupts.
 *
 * A pending event shows at three levels: a bit per port (evtchn_pending), a bit per 32 ports (evtchn_pending_sel),
 * and a byte per vcpu (evtchn_upcall_pending). evtchn_upcall_mask is what IF is on bare hardware.
 */
#ifndef LIB_EVENTS_H
#define LIB_EVENTS_H
#include "types.h"

struct regs;

typedef void (*event_handler)(u32 port);

/* Everything about masks and upcalls is the calling vcpu's own. Masks every port and enables upcalls. */
void events_start(void);
void events_disable(void);
/* Unmasks upcalls and takes what is pending at once. */
void events_enable(void);
/* Before it, the mask; pass it to events_restore. */
u32 events_save_and_disable(void);
void events_restore(u32 mask);

/* Called after each upcall's events were handled, with the interrupted program; for a scheduler. */
extern void (*after_upcall)(struct regs *regs);
void event_set_handler(u32 port, event_handler handler);
void event_mask(u32 port);
/* Unmasks a port; an event that came meanwhile is delivered. */
void event_unmask(u32 port);
/* Forgets an event that is pending. */
void event_clear(u32 port);
void event_send(u32 port);
u32 bind_virq(u32 virq);
u32 bind_virq_on(u32 virq, u32 vcpu);
/* A port that interrupts that vcpu whenever any vcpu of ours sends to it. */
u32 event_bind_ipi(u32 vcpu);
/* A port that waits for remote_dom to bind it. */
u32 event_alloc_unbound(u32 remote_dom);
u32 event_bind_interdomain(u32 remote_dom, u32 remote_port);
/* Waits, blocked, until *condition is not 0; handlers run meanwhile. */
void wait_until(volatile u32 *condition);

#endif
