/* wshub: ISC licence, see LICENSE. */
/*
 * pledge(2) and unveil(2): OpenBSD's own, and the same two for Linux.
 *
 * There a pledge is a filter of system calls and their arguments (seccomp): a
 * table for each promise, and any other call is SIGSYS, whose handler names it
 * on standard error before the process dies of it. Our promises are narrower
 * than OpenBSD's: "inet" and "unix" accept from sockets that are there, they
 * make no new ones and connect none, and no memory becomes executable. unveil
 * is a set of Landlock rules. Neither needs a library, and where the kernel has
 * them not, or this is a machine whose numbers are not known here, they fail
 * with ENOSYS.
 *
 * System calls have other names on other machines, and a C library takes now
 * the one and now the other (poll, ppoll, ppoll_time64): each table has all
 * that do the same, and the headers say which exist. test/sandbox.c has the
 * worst that each call can be asked for.
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

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

/*
 * A call that is allowed, or allowed where each of these words of its arguments
 * has that value after masking. Of several rules for a call one is enough.
 *
 * An argument has two words. Of an int the kernel looks at the lower one alone,
 * and what the upper one holds is undefined; of a pointer it takes both. What
 * is in memory a filter does not see.
 */
struct rule {
	int call;
	struct {
		uint32_t word, mask, value; /* a mask of 0 ends them */
	} where[3];
};

#define LOWER(i) (2 * (i) + (ORDER != LITTLE))
#define UPPER(i) (2 * (i) + (ORDER == LITTLE))
#define ALL 0xffffffffu

/* Conditions. */
#define IS(i, n) { LOWER(i), ALL, (uint32_t)(n) }
#define ONLY(i, bits) { LOWER(i), ~(uint32_t)(bits), 0 }
#define NONE_OF(i, bits) { LOWER(i), (uint32_t)(bits), 0 }
#define WITH(i, bit) { LOWER(i), (uint32_t)(bit), (uint32_t)(bit) }
#define IS_NULL(i) { LOWER(i), ALL, 0 }, { UPPER(i), ALL, 0 }

/* Rules. */
#define CALL(name) { SYS_##name, { { 0, 0, 0 } } }
#define CALL_IF(name, ...) { SYS_##name, { __VA_ARGS__ } }

/*
 * Among the flags left out are MSG_FASTOPEN, which connects, and MSG_OOB, which
 * the kernel once got wrong for Unix sockets (CVE-2025-38236).
 */
#define SEND_FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE)
#define RECEIVE_FLAGS (MSG_PEEK | MSG_DONTWAIT)

/*
 * On these C libraries call one number for all that concerns sockets, and the
 * arguments are in memory. (Others' headers have it, and nobody calls it.)
 */
#if defined(__i386__) || defined(__s390x__)
#define SOCKETCALL(n) CALL_IF(socketcall, IS(0, n)) /* see linux/net.h */
#endif

/* The often called first. */
static const struct rule stdio_rules[] = {
#ifdef SYS_poll
	CALL(poll),
#endif
#ifdef SYS_ppoll
	CALL(ppoll),
#endif
#ifdef SYS_ppoll_time64
	CALL(ppoll_time64),
#endif
	/* With a socket that is there, to whom it is connected with. */
#ifdef SYS_send
	CALL_IF(send, ONLY(3, SEND_FLAGS)),
#endif
#ifdef SYS_recv
	CALL_IF(recv, ONLY(3, RECEIVE_FLAGS)),
#endif
#ifdef SYS_sendto
	CALL_IF(sendto, ONLY(3, SEND_FLAGS), IS_NULL(4)),
	CALL_IF(recvfrom, ONLY(3, RECEIVE_FLAGS)),
	CALL_IF(sendmsg, ONLY(2, SEND_FLAGS)),
	CALL(getsockname), CALL(getpeername),
	CALL_IF(setsockopt, IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY)),
	CALL_IF(setsockopt, IS(1, SOL_SOCKET), IS(2, SO_LINGER)),
	/* With SHUT_RD a listener becomes a socket that may connect. */
	CALL_IF(shutdown, IS(1, SHUT_WR)),
#endif
#ifdef SOCKETCALL
	SOCKETCALL(9), SOCKETCALL(10),  /* send recv */
	SOCKETCALL(11), SOCKETCALL(12), /* sendto recvfrom */
	SOCKETCALL(16),                 /* sendmsg */
	SOCKETCALL(6), SOCKETCALL(7),   /* getsockname getpeername */
	SOCKETCALL(13), SOCKETCALL(14), /* shutdown setsockopt */
#endif
#ifdef SYS_clock_gettime
	CALL(clock_gettime),
#endif
#ifdef SYS_clock_gettime64
	CALL(clock_gettime64),
#endif
#ifdef SYS_gettimeofday
	CALL(gettimeofday),
#endif
#ifdef SYS_time
	CALL(time),
#endif
	CALL(read), CALL(write), CALL(readv), CALL(writev), CALL(close),
	CALL_IF(ioctl, IS(1, TIOCOUTQ)), /* bytes not acknowledged yet */

	/* Memory, but neither a file's nor such as is executed. */
	CALL(brk),
#if defined(SYS_mmap2)
	CALL_IF(mmap2, NONE_OF(2, PROT_EXEC), WITH(3, MAP_ANONYMOUS)),
#elif defined(__s390x__) /* its arguments are in memory */
	CALL(mmap),
#else
	CALL_IF(mmap, NONE_OF(2, PROT_EXEC), WITH(3, MAP_ANONYMOUS)),
#endif
	CALL_IF(mprotect, NONE_OF(2, PROT_EXEC)),
	CALL(munmap), CALL(mremap),
	CALL_IF(madvise, IS(2, MADV_DONTNEED)),
#ifdef MADV_FREE
	CALL_IF(madvise, IS(2, MADV_FREE)),
#endif
#ifdef MADV_HUGEPAGE
	CALL_IF(madvise, IS(2, MADV_HUGEPAGE)), /* glibc, if told so */
#endif

	/* musl, after an open with O_CLOEXEC. */
#ifdef SYS_fcntl
	CALL_IF(fcntl, IS(1, F_SETFD)),
#endif
#ifdef SYS_fcntl64
	CALL_IF(fcntl64, IS(1, F_SETFD)),
#endif
#ifdef SYS_fstat
	CALL(fstat),
#endif
#ifdef SYS_fstat64
	CALL(fstat64),
#endif
	CALL(getrandom), CALL(getpid), CALL(gettid),
	CALL(getuid), CALL(geteuid),
#ifdef SYS_getuid32
	CALL(getuid32), CALL(geteuid32),
#endif
	CALL(rt_sigprocmask), CALL(rt_sigaction), CALL(rt_sigreturn),
#ifdef SYS_sigreturn
	CALL(sigreturn),
#endif
#ifdef SYS_restart_syscall
	CALL(restart_syscall),
#endif
	/* FUTEX_WAKE, private or not: one thread never waits. */
#ifdef SYS_futex
	CALL_IF(futex, { LOWER(1), ~128u, 1 }),
#endif
#ifdef SYS_futex_time64
	CALL_IF(futex_time64, { LOWER(1), ~128u, 1 }),
#endif
#ifdef SYS_waitpid
	CALL(waitpid),
#endif
	CALL(wait4), CALL(exit), CALL(exit_group)
};

static const struct rule accept_rules[] = {
#ifdef SYS_accept
	CALL(accept),
#endif
#ifdef SYS_accept4
	CALL(accept4),
#endif
#ifdef SOCKETCALL
	SOCKETCALL(5), SOCKETCALL(18)
#endif
};

/* To read only, also where no unveil says so. */
#define NO_WRITING (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

static const struct rule rpath_rules[] = {
#ifdef SYS_open
	CALL_IF(open, NONE_OF(1, NO_WRITING)),
#endif
	CALL_IF(openat, NONE_OF(2, NO_WRITING)),
#ifdef SYS_stat
	CALL(stat), CALL(lstat),
#endif
#ifdef SYS_stat64
	CALL(stat64), CALL(lstat64),
#endif
#ifdef SYS_newfstatat
	CALL(newfstatat),
#endif
#ifdef SYS_fstatat64
	CALL(fstatat64),
#endif
#ifdef SYS_statx
	CALL(statx)
#endif
};

static const struct rule cpath_rules[] = {
#ifdef SYS_unlink
	CALL(unlink),
#endif
	CALL_IF(unlinkat, IS(2, 0)) /* no directory */
};

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *name;
	const struct rule *rules;
	size_t n;
} promise[] = {
	{ "stdio", stdio_rules, LEN(stdio_rules) },
	{ "inet", accept_rules, LEN(accept_rules) },
	{ "unix", accept_rules, LEN(accept_rules) },
	{ "rpath", rpath_rules, LEN(rpath_rules) },
	{ "cpath", cpath_rules, LEN(cpath_rules) },
};

#define MOST 512 /* instructions */

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

/* Expects the call's number to be loaded, and leaves it so. */
static void
add_rule(struct program *p, const struct rule *r)
{
	size_t n = 0, i;
	int rest;

	while (n < LEN(r->where) && r->where[n].mask != 0)
		n++;
	rest = n == 0 ? 1 : (int)(3 * n + 2);
	add(p, EQUAL, (uint32_t)r->call, 0, rest);
	for (i = 0; i < n; i++) {
		load(p, offsetof(struct call, args) + r->where[i].word *
		    sizeof(uint32_t));
		add(p, MASK, r->where[i].mask, 0, 0);
		rest -= 3;
		add(p, EQUAL, r->where[i].value, 0, rest - 1);
	}
	end(p, ALLOW);
	if (n != 0)
		load(p, offsetof(struct call, nr));
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
	/* Signals to itself alone. */
	const struct rule abort_rule = CALL_IF(tgkill, IS(0, getpid()));
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
		if (promise[i].rules == accept_rules && sockets++ != 0)
			continue;
		for (k = 0; k < promise[i].n; k++)
			add_rule(&p, promise[i].rules + k);
	}
	add_rule(&p, &abort_rule);
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
