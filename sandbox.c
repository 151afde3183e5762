/* wshub: ISC licence, see LICENSE. */
/*
 * pledge(2) and unveil(2): OpenBSD's own, and the same two for Linux.
 *
 * There a pledge is a filter of system calls (seccomp): a list for each
 * promise, and any other call is SIGSYS, whose handler names it on standard
 * error before the process dies of it. Our promises are narrower than
 * OpenBSD's: "inet" and "unix" accept from sockets that are there, they make no
 * new ones and connect none, and no memory becomes executable. unveil is a set
 * of Landlock rules. Neither needs a library, and where the kernel has them
 * not, or this is a machine whose numbers are not known here, they fail with
 * ENOSYS.
 *
 * System calls have other names on other machines, and a C library takes now
 * the one and now the other (poll, ppoll, ppoll_time64): each list has all that
 * do the same, and the headers say which exist.
 */
#define _GNU_SOURCE
#include <sys/types.h>
#include <sys/resource.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

static void
no_core_file(void)
{
	struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
}

#if defined(__OpenBSD__)

/* see ws.h */
int
ws_pledge(const char *promises)
{
	return pledge(promises, NULL);
}

/* see ws.h */
int
ws_unveil(const char *path, const char *permissions)
{
	return unveil(path, permissions);
}

/* see ws.h */
void
ws_no_core(void)
{
	no_core_file(); /* who has changed users cannot be traced */
}

#elif defined(__linux__)

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

/* Sanitizers make calls that no promise of ours has, and trace themselves. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static int
unwanted(void)
{
	return SANITIZED || getenv("WSHUB_NO_SANDBOX") != NULL;
}

/* No program that is executed later gains what this process has not. */
static int
no_new_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* see ws.h */
void
ws_no_core(void)
{
	no_core_file();
	/* Nor one by a pipe, which has no limit, nor a look by a debugger. */
	if (!unwanted())
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* ------------------------------------------------------------------ pledge */

/*
 * linux/audit.h, filter.h and seccomp.h, as far as they are needed: a C library
 * that is not the system's own (musl-gcc) does not find the kernel's headers.
 * An architecture is its number in ELF, with bits for its width and order.
 */
#define WIDE 0x80000000u
#define LITTLE 0x40000000u
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define ORDER 0u
#else
#define ORDER LITTLE
#endif

#if defined(__x86_64__) && !defined(__ILP32__)
#define ARCH (62 | WIDE | ORDER)
#elif defined(__i386__)
#define ARCH (3 | ORDER)
#elif defined(__aarch64__)
#define ARCH (183 | WIDE | ORDER)
#elif defined(__arm__) && defined(__ARM_EABI__)
#define ARCH (40 | ORDER)
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH (243 | WIDE | ORDER)
#elif defined(__mips__) && defined(_ABIO32) && _MIPS_SIM == _ABIO32
#define ARCH (8 | ORDER)
#elif defined(__s390x__)
#define ARCH (22 | WIDE | ORDER)
#elif defined(__powerpc64__)
#define ARCH (21 | WIDE | ORDER)
#else
#define ARCH 0
#endif

enum { /* of a filter's instructions */
	LOAD = 0x20, EQUAL = 0x15, MASK = 0x54, RETURN = 0x06
};

#define ALLOW 0x7fff0000u /* SECCOMP_RET_ALLOW */
#define TRAP 0x00030000u  /* SECCOMP_RET_TRAP */
#define SET_MODE_FILTER 1 /* SECCOMP_SET_MODE_FILTER */
#define SPEC_ALLOW 4u     /* SECCOMP_FILTER_FLAG_SPEC_ALLOW */
#define MODE_FILTER 2     /* SECCOMP_MODE_FILTER */

struct instruction { /* sock_filter */
	uint16_t code;
	uint8_t yes, no;
	uint32_t k;
};

struct filter { /* sock_fprog */
	unsigned short n;
	struct instruction *code;
};

struct call { /* seccomp_data */
	int32_t nr;
	uint32_t arch;
	uint64_t at, args[6];
};


/* The often called first. */
static const int stdio_calls[] = {
#ifdef SYS_poll
	SYS_poll,
#endif
#ifdef SYS_ppoll
	SYS_ppoll,
#endif
#ifdef SYS_ppoll_time64
	SYS_ppoll_time64,
#endif
#ifdef SYS_clock_gettime
	SYS_clock_gettime,
#endif
#ifdef SYS_clock_gettime64
	SYS_clock_gettime64,
#endif
#ifdef SYS_gettimeofday
	SYS_gettimeofday,
#endif
#ifdef SYS_time
	SYS_time,
#endif
	SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_close, SYS_brk,
	/* With a socket that is there. */
#ifdef SYS_send
	SYS_send,
#endif
#ifdef SYS_recv
	SYS_recv,
#endif
#ifdef SYS_sendto
	SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_shutdown,
	SYS_getsockname, SYS_getpeername, SYS_setsockopt, SYS_getsockopt,
#endif
#ifdef SYS_munmap
	SYS_munmap,
#endif
	SYS_mremap, SYS_madvise,
#ifdef SYS_fcntl
	SYS_fcntl,
#endif
#ifdef SYS_fcntl64
	SYS_fcntl64,
#endif
	SYS_ioctl,
#ifdef SYS_lseek
	SYS_lseek,
#endif
#ifdef SYS__llseek
	SYS__llseek,
#endif
#ifdef SYS_fstat
	SYS_fstat,
#endif
#ifdef SYS_fstat64
	SYS_fstat64,
#endif
	SYS_getrandom, SYS_getpid, SYS_gettid, SYS_getuid, SYS_geteuid,
#ifdef SYS_getuid32
	SYS_getuid32, SYS_geteuid32,
#endif
	SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_rt_sigreturn,
#ifdef SYS_sigreturn
	SYS_sigreturn,
#endif
#ifdef SYS_restart_syscall
	SYS_restart_syscall,
#endif
#ifdef SYS_futex
	SYS_futex,
#endif
#ifdef SYS_futex_time64
	SYS_futex_time64,
#endif
#ifdef SYS_waitpid
	SYS_waitpid,
#endif
	SYS_wait4, SYS_waitid,
	SYS_exit, SYS_exit_group
};

static const int accept_calls[] = {
#ifdef SYS_accept
	SYS_accept,
#endif
#ifdef SYS_accept4
	SYS_accept4,
#endif
};

#ifdef SYS_socketcall
/* The same behind one number; linux/net.h has these names, too. */
static const unsigned char stdio_socketcalls[] = {
	9, 10, 11, 12, 16, 17, /* send recv sendto recvfrom sendmsg recvmsg */
	6, 7, 13, 14, 15 /* getsockname getpeername shutdown set-, getsockopt */
};
static const unsigned char accept_socketcalls[] = { 5, 18 };
#endif

static const int rpath_calls[] = {
#ifdef SYS_open
	SYS_open,
#endif
	SYS_openat,
#ifdef SYS_stat
	SYS_stat, SYS_lstat,
#endif
#ifdef SYS_stat64
	SYS_stat64, SYS_lstat64,
#endif
#ifdef SYS_newfstatat
	SYS_newfstatat,
#endif
#ifdef SYS_fstatat64
	SYS_fstatat64,
#endif
#ifdef SYS_statx
	SYS_statx,
#endif
};

static const int cpath_calls[] = {
#ifdef SYS_unlink
	SYS_unlink,
#endif
	SYS_unlinkat
};

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *name;
	const int *calls;
	size_t n;
} promise[] = {
	{ "stdio", stdio_calls, LEN(stdio_calls) },
	{ "inet", accept_calls, LEN(accept_calls) },
	{ "unix", accept_calls, LEN(accept_calls) },
	{ "rpath", rpath_calls, LEN(rpath_calls) },
	{ "cpath", cpath_calls, LEN(cpath_calls) },
};

#define MOST 256 /* instructions */

struct program {
	struct instruction code[MOST];
	unsigned short n;
};

static void
add(struct program *p, unsigned code, uint32_t k, int yes, int no)
{
	struct instruction f = { (uint16_t)code, (uint8_t)yes, (uint8_t)no, k };

	if (p->n < MOST)
		p->code[p->n++] = f;
}

static void
load(struct program *p, size_t offset)
{
	add(p, LOAD, (uint32_t)offset, 0, 0);
}

static void
end(struct program *p, uint32_t what)
{
	add(p, RETURN, what, 0, 0);
}

/* Where the lower half of argument i is. */
static size_t
argument(int i)
{
	const union { uint16_t n; uint8_t first; } one = { 1 };

	return offsetof(struct call, args) + (size_t)i * 8 +
	    (one.first ? 0 : 4);
}

/* Allows call nr if its argument i, masked, is value. */
static void
add_if(struct program *p, int nr, int i, uint32_t mask, uint32_t value)
{
	add(p, EQUAL, (uint32_t)nr, 0, 5);
	load(p, argument(i));
	add(p, MASK, mask, 0, 0);
	add(p, EQUAL, value, 0, 1);
	end(p, ALLOW);
	end(p, TRAP);
}

#ifdef SYS_socketcall
static void
add_socketcalls(struct program *p, const unsigned char *calls, size_t n)
{
	size_t i;

	add(p, EQUAL, SYS_socketcall, 0, (int)(2 * n + 2));
	load(p, argument(0));
	for (i = 0; i < n; i++) {
		add(p, EQUAL, calls[i], 0, 1);
		end(p, ALLOW);
	}
	load(p, offsetof(struct call, nr));
}
#endif

static void
add_special(struct program *p, int sockets)
{
	/* Memory, but none that is executed. */
#if defined(SYS_mmap2)
	add_if(p, SYS_mmap2, 2, PROT_EXEC, 0);
#elif defined(__s390x__) /* its arguments are in memory */
	add(p, EQUAL, SYS_mmap, 0, 1);
	end(p, ALLOW);
#else
	add_if(p, SYS_mmap, 2, PROT_EXEC, 0);
#endif
	add_if(p, SYS_mprotect, 2, PROT_EXEC, 0);
	add_if(p, SYS_tgkill, 0, 0xffffffff, (uint32_t)getpid()); /* abort */
#ifdef SYS_socketcall
	add_socketcalls(p, stdio_socketcalls, LEN(stdio_socketcalls));
	if (sockets)
		add_socketcalls(p, accept_socketcalls,
		    LEN(accept_socketcalls));
#else
	(void)sockets;
#endif
}

/* Names a call, for those that somebody would try. */
static const char *
call_name(int nr)
{
	static const struct {
		int nr;
		const char *name;
	} known[] = {
		{ SYS_openat, "openat" }, { SYS_execve, "execve" },
		{ SYS_clone, "clone" }, { SYS_kill, "kill" },
		{ SYS_ptrace, "ptrace" },
#ifdef SYS_open
		{ SYS_open, "open" },
#endif
#ifdef SYS_socket
		{ SYS_socket, "socket" }, { SYS_connect, "connect" },
#endif
	};
	size_t i;

	for (i = 0; i < LEN(known); i++)
		if (known[i].nr == nr)
			return known[i].name;
	return "?";
}

/* Only what may be called in a handler: no printf. */
static void
on_violation(int signal_number, siginfo_t *info, void *context)
{
	char line[96] = "wshub: not pledged: system call ", digits[12];
	const char *name = call_name(info->si_syscall);
	size_t n = strlen(line), d = sizeof digits;
	unsigned nr = (unsigned)info->si_syscall;
	struct pollfd err = { STDERR_FILENO, POLLOUT, 0 };
	ssize_t written = 0;

	(void)context;
	do
		digits[--d] = (char)('0' + nr % 10);
	while ((nr /= 10) != 0);
	memcpy(line + n, digits + d, sizeof digits - d);
	n += sizeof digits - d;
	line[n++] = ',';
	line[n++] = ' ';
	memcpy(line + n, name, strlen(name));
	n += strlen(name);
	line[n++] = '\n';
	/* Not for another's signal, nor into a pipe that is full. */
	if (info->si_code > 0 && poll(&err, 1, 0) == 1 &&
	    (err.revents & POLLOUT) != 0)
		written = write(STDERR_FILENO, line, n);
	(void)written;
	(void)signal(signal_number, SIG_DFL);
	/* Not raise(3), whose calls differ. It is pending until we return. */
	(void)syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid),
	    signal_number);
}

/* see ws.h */
int
ws_pledge(const char *promises)
{
	static struct program p; /* not for a small stack */
	struct sigaction sa;
	struct filter f;
	const char *word = promises;
	size_t len, i, k;
	int sockets = 0;

	if (no_new_privileges() == -1 || ARCH == 0 || unwanted()) {
		errno = ENOSYS;
		return -1;
	}
	memset(&p, 0, sizeof p);
	load(&p, offsetof(struct call, arch));
	add(&p, EQUAL, ARCH, 1, 0);
	end(&p, TRAP);
	load(&p, offsetof(struct call, nr));
	for (; *word != '\0'; word += len + (word[len] == ' ')) {
		len = strcspn(word, " ");
		for (i = 0; i < LEN(promise); i++)
			if (strncmp(promise[i].name, word, len) == 0 &&
			    promise[i].name[len] == '\0')
				break;
		if (i == LEN(promise)) {
			errno = EINVAL;
			return -1;
		}
		if (promise[i].calls == accept_calls && sockets++ != 0)
			continue;
		for (k = 0; k < promise[i].n; k++) {
			add(&p, EQUAL,
			    (uint32_t)promise[i].calls[k], 0, 1);
			end(&p, ALLOW);
		}
	}
	add_special(&p, sockets);
	end(&p, TRAP);
	if (p.n == MOST) {
		errno = E2BIG;
		return -1;
	}
	memset(&sa, 0, sizeof sa);
	sa.sa_flags = SA_SIGINFO;
	sa.sa_sigaction = on_violation;
	f.n = p.n;
	f.code = p.code;
	if (sigaction(SIGSYS, &sa, NULL) == -1)
		return -1;
	/* The mitigation that comes without the flag costs every call. */
#ifdef SYS_seccomp
	if (syscall(SYS_seccomp, SET_MODE_FILTER, SPEC_ALLOW, &f) == 0)
		return 0;
#endif
	if (prctl(PR_SET_SECCOMP, MODE_FILTER, &f, 0, 0) == 0)
		return 0;
	errno = ENOSYS;
	return -1;
}

/* ------------------------------------------------------------------ unveil */

/* linux/landlock.h is younger than many systems' headers. */
#if defined(__mips__) && defined(_ABIO32) && _MIPS_SIM == _ABIO32
#define LANDLOCK_CREATE 4444 /* its calls begin with 4000 */
#else
#define LANDLOCK_CREATE 444
#endif
#define LANDLOCK_ADD (LANDLOCK_CREATE + 1)
#define LANDLOCK_RESTRICT (LANDLOCK_CREATE + 2)
#define LANDLOCK_PATH_BENEATH 1

#define FS_EXECUTE (1u << 0)
#define FS_WRITE_FILE (1u << 1)
#define FS_READ_FILE (1u << 2)
#define FS_READ_DIR (1u << 3)
#define FS_ALL 0x1fffu /* those, removing and making: all of version 1 */
#define FS_CHANGE (FS_ALL & ~(FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | \
    FS_READ_DIR))

static int rules = -1;

static int
open_rules(void)
{
	uint64_t all = FS_ALL;

	if (rules != -1)
		return 0;
	if (no_new_privileges() == -1 || unwanted()) {
		errno = ENOSYS;
		return -1;
	}
	rules = (int)syscall(LANDLOCK_CREATE, &all, sizeof all, 0);
	if (rules == -1)
		errno = ENOSYS; /* built without, or not enabled */
	return rules == -1 ? -1 : 0;
}

/* see ws.h */
int
ws_unveil(const char *path, const char *permissions)
{
	/* The kernel's struct, which is packed: twelve bytes. */
	unsigned char rule[12];
	uint64_t allowed = 0;
	struct stat st;
	int32_t fd;
	int failed;

	if (open_rules() != 0)
		return -1;
	if (path == NULL) {
		failed = syscall(LANDLOCK_RESTRICT, rules, 0) != 0;
		close(rules);
		rules = -1;
		return failed ? -1 : 0;
	}
	if (strchr(permissions, 'r') != NULL)
		allowed |= FS_READ_FILE | FS_READ_DIR;
	if (strchr(permissions, 'w') != NULL)
		allowed |= FS_WRITE_FILE;
	if (strchr(permissions, 'x') != NULL)
		allowed |= FS_EXECUTE;
	if (strchr(permissions, 'c') != NULL)
		allowed |= FS_CHANGE;
	if (allowed == 0)
		return 0;
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		allowed &= FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE;
	memcpy(rule, &allowed, sizeof allowed);
	memcpy(rule + sizeof allowed, &fd, sizeof fd);
	failed = syscall(LANDLOCK_ADD, rules, LANDLOCK_PATH_BENEATH, rule, 0)
	    != 0;
	close(fd);
	return failed ? -1 : 0;
}

#else

#ifdef __FreeBSD__
#include <sys/capsicum.h>
#endif

/* see ws.h */
int
ws_pledge(const char *promises)
{
#ifdef __FreeBSD__
	/* No name of anything can be looked up any more. */
	if (strstr(promises, "path") == NULL)
		return cap_enter();
#endif
	(void)promises;
	errno = ENOSYS;
	return -1;
}

/* see ws.h */
int
ws_unveil(const char *path, const char *permissions)
{
	(void)path;
	(void)permissions;
	errno = ENOSYS;
	return -1;
}

/* see ws.h */
void
ws_no_core(void)
{
	no_core_file();
}

#endif
