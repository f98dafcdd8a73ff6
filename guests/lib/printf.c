/* printf.c: formatted output, and the last words of a guest that cannot go on. */
#include "console.h"
#include "guest.h"
#include "hypercall.h"

typedef __builtin_va_list va_list;

struct buffer {
	char text[160];
	u32 used;
};

static void put(struct buffer *b, char c) {
	if (b->used == sizeof b->text) {
		console_write(b->text, b->used);
		b->used = 0;
	}
	b->text[b->used++] = c;
}

/* value / base by 32-bit steps: gcc's own 64-bit division lives in a library that we do not link. */
static u32 divide(u64 *value, u32 base) {
	u32 high = *value >> 32, low = *value, remainder;
	u32 high_quotient = high / base;
	__asm__("divl %4" : "=a"(low), "=d"(remainder) : "a"(low), "d"(high % base), "r"(base));
	*value = (u64)high_quotient << 32 | low;
	return remainder;
}

static void put_number(struct buffer *b, u64 value, u32 base, int negative, int width, char pad) {
	char digits[24];
	int n = 0;
	do
		digits[n++] = "0123456789abcdef"[divide(&value, base)];
	while (value);
	if (negative && pad == '0')
		put(b, '-');
	for (int i = n + negative; i < width; i++)
		put(b, pad);
	if (negative && pad != '0')
		put(b, '-');
	while (n)
		put(b, digits[--n]);
}

static void format_into(struct buffer *b, const char *format, va_list args) {
	for (; *format; format++) {
		char pad = ' ';
		int width = 0, wide = 0, left = 0;
		if (*format != '%') {
			put(b, *format);
			continue;
		}
		format++;
		if (*format == '-') {
			left = 1;
			format++;
		}
		if (*format == '0')
			pad = '0';
		for (; *format >= '0' && *format <= '9'; format++)
			width = width * 10 + *format - '0';
		for (; *format == 'l'; format++)
			wide++;
		switch (*format) {
		case 'd': {
			s32 value = __builtin_va_arg(args, s32);
			put_number(b, value < 0 ? -(u32)value : (u32)value, 10, value < 0, width, pad);
			break;
		}
		case 'u':
		case 'x': {
			u64 value = wide > 1 ? __builtin_va_arg(args, u64) : __builtin_va_arg(args, u32);
			put_number(b, value, *format == 'x' ? 16 : 10, 0, width, pad);
			break;
		}
		case 'p':
			put_number(b, __builtin_va_arg(args, u32), 16, 0, 8, '0');
			break;
		case 's': {
			const char *s = __builtin_va_arg(args, const char *);
			int length = strlen(s);
			for (int i = length; !left && i < width; i++)
				put(b, ' ');
			while (*s)
				put(b, *s++);
			for (int i = length; left && i < width; i++)
				put(b, ' ');
			break;
		}
		case 'c':
			put(b, __builtin_va_arg(args, int));
			break;
		default:
			put(b, *format);
		}
	}
}

void printf(const char *format, ...) {
	struct buffer b = { .used = 0 };
	va_list args;
	__builtin_va_start(args, format);
	format_into(&b, format, args);
	__builtin_va_end(args);
	console_write(b.text, b.used);
}

void panic(const char *format, ...) {
	struct buffer b = { .used = 0 };
	va_list args;
	__builtin_va_start(args, format);
	console_write("panic: ", 7);
	format_into(&b, format, args);
	__builtin_va_end(args);
	put(&b, '\n');
	console_write(b.text, b.used);
	shutdown(SHUTDOWN_crash);
}
