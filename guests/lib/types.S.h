/* types.S.h: the constants that assembly needs too. */
#define FLAT_KERNEL_DS 0xE021
