/* types.h: fixed-size integers and the usual small macros; there is no libc here. */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
/* On i386 a u64 inside an ABI struct is aligned to 4 bytes, as gcc -m32 does by itself. */
typedef unsigned long long u64;
typedef unsigned long size_t;

#define NULL ((void *)0)
#define PAGE_SIZE 4096u
#define PAGE_SHIFT 12
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define barrier() __asm__ volatile("" ::: "memory")

void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t most);
/* Where `needle` starts in `text`, or NULL. */
const char *strstr(const char *text, const char *needle);
/* Number at the start of text: decimal, or hexadecimal behind 0x. */
u32 parse_number(const char *text);

#endif
