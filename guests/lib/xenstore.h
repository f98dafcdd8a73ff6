/* xenstore.h: the small shared tree through which domains find one another. Paths may be relative to our own. */
#ifndef LIB_XENSTORE_H
#define LIB_XENSTORE_H
#include "types.h"

/* Reads a value, NUL-terminated. 0, or -1 if there is no such node. */
int store_read(const char *path, char *value, u32 size);
/* 0, or -1 if we may not. */
int store_write(const char *path, const char *value);
/* Lets another domain read (and, if asked, write) a node of ours. */
int store_allow(const char *path, u32 domid, int may_write);
/* Lets every domain read a node of ours. */
int store_publish(const char *path);
/* Names below a path, each with its NUL. The number of bytes, -1 if there is no such node. */
int store_list(const char *path, char *names, u32 size);

#endif
