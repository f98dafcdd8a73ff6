/*
 * linuxlike.h: what the chapters of this kernel share, and the part of the interface that only it uses.
 * PAE, the later hypercall forms, one processor.
 */
#ifndef LINUXLIKE_H
#define LINUXLIKE_H
#include "guest.h"
#include "hypercall.h"
#include "trap.h"

/* ---- selectors of the kernel's own descriptor table */
#define KERNEL_CS 0x60
#define KERNEL_DS 0x68
#define USER_CS 0x73
#define USER_DS 0x7b
#define PERCPU 0xd8
#define GDT_ENTRIES 32
#define GDT_TLS 6

/* ---- calls */
#define HYPERCALL_set_debugreg 8
#define HYPERCALL_callback_op 30
#define HYPERCALL_physdev_op 33
#define HYPERCALL_xenpmu_op 40
#define XENMEM_memory_map 9
#define XENMEM_machphys_mapping 12
#define MMUEXT_INVLPG_ALL 11
#define MMUEXT_TLB_FLUSH_ALL 10
#define PHYSDEVOP_set_iopl 6
#define PHYSDEVOP_pirq_eoi_gmfn_v2 28
#define VCPUOP_is_up 3
#define VCPUOP_set_singleshot_timer 8
#define VCPUOP_stop_singleshot_timer 9
#define VCPUOP_register_vcpu_info 10
#define EVTCHNOP_init_control 11
#define ENXIO 6
#define GNTTABOP_setup_table 2
#define GNTTABOP_query_size 6
#define GNTTABOP_set_version 8

/* ---- start.c: the account */
extern u32 right, wrong;
/* One line: `name: ok`, or what differed. */
void check(const char *name, int holds);
void check_is(const char *name, u64 value, u64 expected);

/* ---- mm.c */
#define KERNEL_BASE 0xC0000000u
#define TABLE_FLAGS (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)
#define KERNEL_RW (PTE_P | PTE_W | PTE_A | PTE_D)
#define KERNEL_RO (PTE_P | PTE_A | PTE_D)
static inline void *pfn_va(u32 pfn) { return (void *)(KERNEL_BASE + (pfn << PAGE_SHIFT)); }
static inline u32 va_pfn(const volatile void *va) { return ((u32)va - KERNEL_BASE) >> PAGE_SHIFT; }
u32 pfn_mfn(u32 pfn);
u32 mfn_pfn(u32 mfn);
static inline u32 va_mfn(const volatile void *va) { return pfn_mfn(va_pfn(va)); }
static inline u64 va_ma(const volatile void *va) { return (u64)va_mfn(va) << PAGE_SHIFT | ((u32)va & 4095); }
static inline pte_t pte(u32 mfn, u32 flags) { return (pte_t)mfn << PAGE_SHIFT | flags; }
static inline void *pte_va(pte_t entry) { return pfn_va(mfn_pfn((u32)(entry >> PAGE_SHIFT) & 0xffffff)); }
void *get_page(void);
void put_page(void *page);
u32 free_pages(void);
void share_page(void *page);
u32 page_users(void *page);
pte_t *kernel_entry(u32 va);
void set_kernel_flags(void *page, u32 flags);
/* A page of any machine frame, in the fixed slots under the hypervisor's hole; through mmu_update. */
void *fixmap(u32 slot, pte_t entry);
long mmu_update_one(volatile pte_t *entry, pte_t value);
long mmuext_one(u32 cmd, u32 arg1, u32 arg2);
void take_over_tables(void);
void map_all_memory(void);
extern pte_t kernel_l2[512];

struct space {
	pte_t *root;	/* L3 */
	pte_t *l2[4];
	int pinned;
};
struct space *space_create(void);
void space_pin(struct space *space);
void space_unpin(struct space *space);
void space_destroy(struct space *space);
struct space *space_fork(struct space *parent);
/* The entry of a user address; its table is made if `make`. */
pte_t *space_entry(struct space *space, u32 va, int make);
void space_set(struct space *space, u32 va, pte_t entry);
extern struct space boot_space;

/* ---- batch.c: multicalls. A batch of one is issued as the plain call. */
void batch(u32 op, u32 a, u32 b, u32 c, u32 d);
void batch_mapping(void *va, pte_t entry, u32 flags);
void batch_mmuext(u32 cmd, u32 arg1, u32 arg2);
void batch_flush(void);
extern u32 batches, batch_failures, batch_singles;

/* ---- traps.c */
void traps_early(void);
void descriptors_start(void);
void callbacks_start(void);
extern u32 failsafe_hits, critical_hits, critical_taken;
extern volatile u32 breakpoints, debug_traps;
void descriptors_checks(void);
void critical_region_checks(void);
/* An instruction that may fault: `fault` is set to vector + 1 if it did. */
#define GUARDED(instruction, fault, ...) GUARDED_OUT(instruction, fault, , __VA_ARGS__)
#define OUTPUTS(...) , __VA_ARGS__
#define GUARDED_OUT(instruction, fault, outputs, ...)                                               \
	__asm__ volatile("movl $0, %[f]\n\t"                                                        \
			 "1: " instruction "\n\t"                                                   \
			 "jmp 3f\n"                                                                 \
			 "2: movl last_fault, %[f]\n"                                               \
			 "3:\n\t"                                                                   \
			 ".pushsection __ex_table, \"a\"; .long 1b, 2b; .popsection"                 \
			 : [f] "=&S"(fault) outputs                                                         \
			 : __VA_ARGS__                                                              \
			 : "memory", "cc")
extern u32 last_fault;

/* ---- irq.c */
extern volatile struct vcpu_info *vcpu;
extern struct vcpu_info vcpu_page_info;
void irq_on(void);
void irq_off(void);
int irq_save(void);
void irq_restore(int mask);
void map_shared_info(void);
void register_vcpu_info(void);
void irq_start(void);
void irq_checks(void);
u32 irq_port(u32 cmd_virq);
void irq_handler(u32 port, void (*handler)(u32));
void irq_unmask(u32 port);
void irq_send(u32 port);
u64 clock_ns(void);
void sleep_ns(u64 ns);
extern volatile u32 timer_ticks;
extern u32 ipi_port;
extern volatile u32 ipi_count;
extern volatile struct shared_info *shared;

/* ---- console.c, store.c, probes.c, process.c */
void console_early(void);
void console_checks(void);
extern u32 console_yields;
void store_checks(void);
void cpu_checks(void);
void direct_store_checks(void);
void balloon_checks(void);
void grant_checks(void);
void version_checks(void);
void process_checks(void);
/* storms.c: true if the command line asked for one. */
int storms(void);
/* Takes a trap of the current process: 1 if it was understood. */
int process_fault(struct regs *regs, u32 address);
void process_syscall(struct regs *regs);
void process_no_fpu(void);
int in_process(void);
u32 process_clear_user(u32 va, u32 bytes);

#endif
