/* console.h: between printf and the outside; guest.h has what guests call. */
#ifndef LIB_CONSOLE_H
#define LIB_CONSOLE_H
#include "types.h"

/* Finds the ring. Output works from here on. */
void console_start(void);
/* Binds the console's event, so that console_getc can block. Needs events. */
void console_listen(void);
void console_write(const char *text, u32 bytes);

#endif
