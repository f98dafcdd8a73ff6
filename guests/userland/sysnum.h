/* sysnum.h: system call numbers, shared by kernel and programs. */
#define SYS_exit 1
#define SYS_fork 2
#define SYS_write 3
#define SYS_getc 4
#define SYS_wait 5
#define SYS_getpid 6
#define SYS_exec 7
#define SYS_sleep 8
#define SYS_ps 9
#define SYS_memory 10
#define SYS_frame 11
