/* wshub: ISC licence, see LICENSE. */
/*
 * pledge(2) and unveil(2): OpenBSD's own, and an equivalent for Linux.
 *
 * On Linux, ws_pledge installs a seccomp filter of system calls and their
 * arguments. Each promise has a table of the calls that it allows. Any other
 * call raises SIGSYS, whose handler writes the call's name to standard error
 * before the signal ends the process; a few that C libraries try and can do
 * without fail with EPERM instead. The promises are narrower than OpenBSD's:
 * "inet" and "unix" allow accepting connections but neither creating nor
 * connecting sockets, which only "dns" allows, and no memory can become
 * executable. ws_unveil and ws_unveil_ports make sets of Landlock rules.
 * Neither needs a library. If the kernel does not have them, or the
 * architecture is not in the list below, they fail with ENOSYS.
 *
 * A system call can have several names, which depend on the architecture, and
 * the C library's version decides which one it uses (poll, ppoll,
 * ppoll_time64). So each table has all calls that do the same, as far as the
 * headers define them. test/sandbox.c tries the most harmful use of each call.
 */
#define _GNU_SOURCE
#include <sys/types.h>
#include <sys/resource.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

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
	no_core_file(); /* after setuid no user can trace the process */
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

/* A sanitizer makes system calls that no promise allows, and uses ptrace. */
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
is_disabled(void)
{
	return SANITIZED || getenv("WSHUB_NO_SANDBOX") != NULL;
}

/* Executing a set-user-ID program gives no privileges after this. */
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
	/*
	 * A core pattern that is a pipe ignores RLIMIT_CORE. This prevents it,
	 * and debuggers as well.
	 */
	if (!is_disabled())
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* ------------------------------------------------------------------ pledge */

/*
 * The parts of linux/audit.h, filter.h and seccomp.h that are needed: another C
 * library than the system's (musl-gcc) does not find the kernel's headers. An
 * architecture is the machine's number in ELF, and bits for a width of 64 bits
 * and little-endian byte order.
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

enum { /* opcodes of a filter's instructions */
	LOAD = 0x20, EQUAL = 0x15, MASK = 0x54, RETURN = 0x06
};

#define ALLOW 0x7fff0000u /* SECCOMP_RET_ALLOW */
#define TRAP 0x00030000u  /* SECCOMP_RET_TRAP */
#define FAIL (0x00050000u | EPERM) /* SECCOMP_RET_ERRNO */
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
 * A rule allows a system call if all conditions are true; there may be none. A
 * condition compares a 32-bit word of the arguments, after masking, with a
 * value. If a call has several rules, one of them has to match.
 *
 * An argument has two words. Of an int the kernel uses only the lower word, and
 * the upper one is undefined; of a pointer it uses both. A filter cannot read
 * what an argument points to.
 */
struct rule {
	int call;
	struct {
		uint32_t word, mask, value; /* a mask of 0 ends the list */
	} conditions[3];
};

#define LOWER(i) (2 * (i) + (ORDER != LITTLE))
#define UPPER(i) (2 * (i) + (ORDER == LITTLE))
#define ALL 0xffffffffu

/*
 * Conditions for argument i: its value; only some bits may be set; none of some
 * bits may be set; a bit is set; a null pointer.
 */
#define IS(i, n) { LOWER(i), ALL, (uint32_t)(n) }
#define ONLY(i, bits) { LOWER(i), ~(uint32_t)(bits), 0 }
#define NONE_OF(i, bits) { LOWER(i), (uint32_t)(bits), 0 }
#define WITH(i, bit) { LOWER(i), (uint32_t)(bit), (uint32_t)(bit) }
#define IS_NULL(i) { LOWER(i), ALL, 0 }, { UPPER(i), ALL, 0 }

/* Rules. */
#define CALL(name) { SYS_##name, { { 0, 0, 0 } } }
#define CALL_IF(name, ...) { SYS_##name, { __VA_ARGS__ } }

/*
 * Other flags are denied: MSG_FASTOPEN connects, and MSG_OOB had a kernel bug
 * for Unix sockets (CVE-2025-38236).
 */
#define SEND_FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE)
#define RECEIVE_FLAGS (MSG_PEEK | MSG_DONTWAIT)

/*
 * On these architectures the C library uses one system call, socketcall, for
 * all socket functions. Their arguments are in memory, which the filter cannot
 * read. (Other architectures define the call, but do not use it.)
 */
#if defined(__i386__) || defined(__s390x__)
#define SOCKETCALL(n) CALL_IF(socketcall, IS(0, n)) /* see linux/net.h */
#endif

/* The most frequent calls come first: the filter checks them in this order. */
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
	/* On an open socket, and only to the peer it is connected to. */
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
	/* SHUT_RD would turn a listener into a socket that can connect. */
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
	CALL_IF(ioctl, IS(1, TIOCOUTQ)), /* unacknowledged bytes */

	/* Memory, but no file mappings and no executable memory. */
	CALL(brk),
#if defined(SYS_mmap2)
	CALL_IF(mmap2, NONE_OF(2, PROT_EXEC), WITH(3, MAP_ANONYMOUS)),
#elif defined(__s390x__) /* the arguments of this call are in memory */
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
	CALL_IF(madvise, IS(2, MADV_HUGEPAGE)), /* glibc, by a tunable */
#endif

	/* musl calls this after an open with O_CLOEXEC. */
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
	/* FUTEX_WAKE, private or not. A single thread never waits. */
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

/* Files can only be read, even without unveil. */
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
	CALL_IF(unlinkat, IS(2, 0)) /* files, not directories */
};

/* To receive descriptors, and to use connections that are being made. */
static const struct rule recvfd_rules[] = {
#ifdef SYS_recvmsg
	CALL_IF(recvmsg, ONLY(2, RECEIVE_FLAGS)),
	CALL_IF(getsockopt, IS(1, SOL_SOCKET), IS(2, SO_ERROR)),
#endif
#ifdef SOCKETCALL
	SOCKETCALL(17), SOCKETCALL(15) /* recvmsg getsockopt */
#endif
};

/* sendmsg, which stdio allows, sends them. */
static const struct rule sendfd_rules[] = {
#ifdef SYS_sendmsg
	CALL_IF(sendmsg, ONLY(2, SEND_FLAGS))
#endif
};

#define SOCKET(family, type, protocol) CALL_IF(socket, IS(0, family), \
    { LOWER(1), ~(uint32_t)(SOCK_NONBLOCK | SOCK_CLOEXEC), type }, \
    IS(2, protocol))

/*
 * To resolve names, as the resolvers of glibc and musl do it, and to connect.
 * The process may be root's: so there are no raw sockets, which receive what
 * is for others, and no options that change how packets are filtered. Other
 * protocols than TCP (MPTCP) and MSG_FASTOPEN connect in spite of
 * ws_unveil_ports. bind is for the port of a datagram socket; without listen it
 * is harmless. lseek is for files that are read.
 */
static const struct rule dns_rules[] = {
#ifdef SYS_socket
	SOCKET(AF_UNIX, SOCK_STREAM, 0),
	SOCKET(AF_INET, SOCK_STREAM, 0), SOCKET(AF_INET6, SOCK_STREAM, 0),
	SOCKET(AF_INET, SOCK_DGRAM, 0), SOCKET(AF_INET6, SOCK_DGRAM, 0),
	SOCKET(AF_INET, SOCK_DGRAM, IPPROTO_UDP),
	SOCKET(AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
	CALL(connect), CALL(bind), CALL_IF(sendto, ONLY(3, SEND_FLAGS)),
	CALL_IF(recvmsg, ONLY(2, RECEIVE_FLAGS | MSG_CMSG_CLOEXEC)),
	CALL_IF(setsockopt, IS(1, IPPROTO_IP), IS(2, IP_RECVERR)),
	CALL_IF(setsockopt, IS(1, IPPROTO_IPV6), IS(2, IPV6_RECVERR)),
	CALL_IF(setsockopt, IS(1, IPPROTO_IPV6), IS(2, IPV6_V6ONLY)),
#endif
#ifdef SYS_sendmmsg
	CALL_IF(sendmmsg, ONLY(3, SEND_FLAGS)),
#endif
#ifdef SOCKETCALL
	SOCKETCALL(1), SOCKETCALL(2), SOCKETCALL(3), /* socket bind connect */
	SOCKETCALL(17), SOCKETCALL(20), /* recvmsg sendmmsg */
#endif
#define SET_FLAGS ONLY(2, O_RDWR | O_NONBLOCK | O_LARGEFILE)
#ifdef SYS_fcntl
	CALL_IF(fcntl, IS(1, F_GETFL)),
	CALL_IF(fcntl, IS(1, F_SETFL), SET_FLAGS),
#endif
#ifdef SYS_fcntl64
	CALL_IF(fcntl64, IS(1, F_GETFL)),
	CALL_IF(fcntl64, IS(1, F_SETFL), SET_FLAGS),
#endif
#ifdef SYS__llseek
	CALL(_llseek),
#endif
#ifdef SYS_lseek
	CALL(lseek),
#endif
	CALL_IF(ioctl, IS(1, FIONREAD)), CALL(uname)
};

/*
 * What these libraries try, and can do without: to ask which addresses we have
 * (glibc; root could change them by the same socket) and to write to syslog; to
 * send with a SYN (musl 1.2.4); to map the database of nscd, or a library.
 */
static const struct rule dns_failures[] = {
#ifdef SYS_socket
	CALL_IF(socket, IS(0, 16 /* AF_NETLINK */)),
	CALL_IF(socket, IS(0, AF_UNIX)),
	CALL_IF(setsockopt, IS(1, IPPROTO_TCP),
	    IS(2, 30 /* TCP_FASTOPEN_CONNECT */)),
#endif
#if defined(SYS_mmap2)
	CALL_IF(mmap2, NONE_OF(3, MAP_ANONYMOUS))
#elif !defined(__s390x__)
	CALL_IF(mmap, NONE_OF(3, MAP_ANONYMOUS))
#endif
};

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *name;
	const struct rule *rules;
	size_t n;
	uint32_t action;
} known_promises[] = { /* a promise may have two tables */
	{ "stdio", stdio_rules, LEN(stdio_rules), ALLOW },
	{ "inet", accept_rules, LEN(accept_rules), ALLOW },
	{ "unix", accept_rules, LEN(accept_rules), ALLOW },
	{ "rpath", rpath_rules, LEN(rpath_rules), ALLOW },
	{ "cpath", cpath_rules, LEN(cpath_rules), ALLOW },
	{ "recvfd", recvfd_rules, LEN(recvfd_rules), ALLOW },
	{ "sendfd", sendfd_rules, LEN(sendfd_rules), ALLOW },
	{ "dns", dns_rules, LEN(dns_rules), ALLOW },
	{ "dns", dns_failures, LEN(dns_failures), FAIL },
};

#define PROGRAM_MAX 1024 /* instructions */

struct program {
	struct instruction code[PROGRAM_MAX];
	unsigned short n;
};

static void
add(struct program *p, unsigned code, uint32_t k, int yes, int no)
{
	struct instruction f = { (uint16_t)code, (uint8_t)yes, (uint8_t)no, k };

	if (p->n < PROGRAM_MAX)
		p->code[p->n++] = f;
}

static void
load(struct program *p, size_t offset)
{
	add(p, LOAD, (uint32_t)offset, 0, 0);
}

static void
add_return(struct program *p, uint32_t action)
{
	add(p, RETURN, action, 0, 0);
}

/*
 * Adds a rule to the program: if it matches, this decides about the call. The
 * system call's number must be loaded, and is loaded again where the rule ends.
 */
static void
add_rule(struct program *p, const struct rule *r, uint32_t action)
{
	size_t n = 0, i;
	int rest;

	while (n < LEN(r->conditions) && r->conditions[n].mask != 0)
		n++;
	rest = n == 0 ? 1 : (int)(3 * n + 2);
	add(p, EQUAL, (uint32_t)r->call, 0, rest);
	for (i = 0; i < n; i++) {
		load(p, offsetof(struct call, args) + r->conditions[i].word *
		    sizeof(uint32_t));
		add(p, MASK, r->conditions[i].mask, 0, 0);
		rest -= 3;
		add(p, EQUAL, r->conditions[i].value, 0, rest - 1);
	}
	add_return(p, action);
	if (n != 0)
		load(p, offsetof(struct call, nr));
}

/* Names a system call, if it is one that an attacker would try. */
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

/* It uses only functions that a signal handler may call, so no printf. */
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
	/* si_code is positive if the kernel sent it. Never block on a pipe. */
	if (info->si_code > 0 && poll(&err, 1, 0) == 1 &&
	    (err.revents & POLLOUT) != 0)
		written = write(STDERR_FILENO, line, n);
	(void)written;
	(void)signal(signal_number, SIG_DFL);
	/*
	 * raise(3) uses other calls in some C libraries. The signal is blocked
	 * in its handler, and ends the process when this returns.
	 */
	(void)syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid),
	    signal_number);
}

/* see ws.h */
int
ws_pledge(const char *promises)
{
	static struct program p; /* too large for a small stack */
	/* A process may send signals only to itself. */
	const struct rule abort_rule = CALL_IF(tgkill, IS(0, getpid()));
	struct sigaction sa;
	struct filter f;
	const char *word = promises;
	size_t len, i, k;
	int sockets = 0, known;

	if (no_new_privileges() == -1 || ARCH == 0 || is_disabled()) {
		errno = ENOSYS;
		return -1;
	}
	memset(&p, 0, sizeof p);
	load(&p, offsetof(struct call, arch));
	add(&p, EQUAL, ARCH, 1, 0);
	add_return(&p, TRAP);
	load(&p, offsetof(struct call, nr));
	for (; *word != '\0'; word += len + (word[len] == ' ')) {
		len = strcspn(word, " ");
		known = 0;
		for (i = 0; i < LEN(known_promises); i++) {
			if (strncmp(known_promises[i].name, word, len) != 0 ||
			    known_promises[i].name[len] != '\0')
				continue;
			known = 1;
			if (known_promises[i].rules == accept_rules &&
			    sockets++ != 0)
				continue;
			for (k = 0; k < known_promises[i].n; k++)
				add_rule(&p, known_promises[i].rules + k,
				    known_promises[i].action);
		}
		if (!known) {
			errno = EINVAL;
			return -1;
		}
	}
	add_rule(&p, &abort_rule, ALLOW);
	add_return(&p, TRAP);
	if (p.n == PROGRAM_MAX) {
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
	/* Without SPEC_ALLOW, a Spectre mitigation slows down every call. */
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

/* The headers of many systems do not have linux/landlock.h. */
#if defined(__mips__) && defined(_ABIO32) && _MIPS_SIM == _ABIO32
#define LANDLOCK_CREATE 4444 /* system calls are numbered from 4000 */
#else
#define LANDLOCK_CREATE 444
#endif
#define LANDLOCK_ADD (LANDLOCK_CREATE + 1)
#define LANDLOCK_RESTRICT (LANDLOCK_CREATE + 2)
#define LANDLOCK_PATH_BENEATH 1
#define LANDLOCK_PORT 2

#define FS_EXECUTE (1u << 0)
#define FS_WRITE_FILE (1u << 1)
#define FS_READ_FILE (1u << 2)
#define FS_READ_DIR (1u << 3)
#define FS_ALL 0x1fffu /* all rights that version 1 of Landlock knows */
#define FS_CHANGE (FS_ALL & ~(FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | \
    FS_READ_DIR))

#define NET_BIND_TCP 1u
#define NET_CONNECT_TCP 2u

static int rules = -1;

static int
open_rules(void)
{
	uint64_t all = FS_ALL;

	if (rules != -1)
		return 0;
	if (no_new_privileges() == -1 || is_disabled()) {
		errno = ENOSYS;
		return -1;
	}
	rules = (int)syscall(LANDLOCK_CREATE, &all, sizeof all, 0);
	if (rules == -1)
		errno = ENOSYS; /* the kernel has no Landlock, or disables it */
	return rules == -1 ? -1 : 0;
}

/* see ws.h */
int
ws_unveil(const char *path, const char *permissions)
{
	/* landlock_path_beneath_attr is packed: 8 bytes and 4 bytes. */
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

/* see ws.h */
int
ws_unveil_ports(const uint16_t *ports, int n)
{
	/* landlock_ruleset_attr of version 4; landlock_net_port_attr */
	uint64_t all[2] = { 0, NET_BIND_TCP | NET_CONNECT_TCP };
	uint64_t rule[2] = { NET_CONNECT_TCP, 0 };
	int set, failed = 0, i;

	if (no_new_privileges() == -1 || is_disabled()) {
		errno = ENOSYS;
		return -1;
	}
	set = (int)syscall(LANDLOCK_CREATE, all, sizeof all, 0);
	if (set == -1) {
		errno = ENOSYS;
		return -1;
	}
	for (i = 0; i < n; i++) {
		rule[1] = ports[i];
		failed |= syscall(LANDLOCK_ADD, set, LANDLOCK_PORT, rule, 0)
		    != 0;
	}
	failed = failed || syscall(LANDLOCK_RESTRICT, set, 0) != 0;
	close(set);
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
	/* After this, no path and no address can be looked up. */
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

#if !defined(__linux__)

/* see ws.h */
int
ws_unveil_ports(const uint16_t *ports, int n)
{
	(void)ports;
	(void)n;
	errno = ENOSYS;
	return -1;
}

#endif

/* see ws.h */
void
ws_unveil_around(const char *path, const char *permissions)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		strcpy(dir, ".");
	else
		snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 :
		    (int)(slash - path), path);
	(void)ws_unveil(dir, permissions);
}
