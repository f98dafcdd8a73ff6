/* guest.h: what every guest may rely on once guest_start has run. */
#ifndef LIB_GUEST_H
#define LIB_GUEST_H
#include "xen.h"

/* The guest itself. start_info is also in `start`. Returning from it powers the domain off. */
void guest_main(void);

extern struct start_info *start;
struct shared_info *shared_info(void);
/* True for the domain that the hypervisor starts by itself: no console ring, no xenstore, console_io instead. */
int is_initial_domain(void);
/* Version of the hypervisor, major << 16 | minor. */
u32 xen_version(void);
/* The value behind "name=" in the command line, or NULL. It ends at a blank or at the end. */
const char *option(const char *name);
/* True if `word` stands in the command line as a word of its own. */
int option_given(const char *word);

/* printf knows %d %u %x %s %c %p %%, zero padding and width, and ll for 64 bits. */
void printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* One character of input, or -1 when none is waiting. */
int console_poll(void);
/* Waits (blocked, not spinning) for one character. */
int console_getc(void);
/* Reads and echoes a line, with backspace; without its end. Returns its length. */
u32 console_gets(char *line, u32 size);
/* Waits until the daemon has taken all output. */
void console_flush(void);

/* A hypercall that cannot fail in a correct program: report and crash if it does. */
void must(long result, const char *what);
void panic(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
