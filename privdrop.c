/* wshub: ISC licence, see LICENSE. */
/*
 * Drops the privileges of a hub that is started as root: its access to files,
 * its groups and its user.
 *
 * The hub changes its root to an empty directory. This is /var/empty if it is
 * suitable, or a new directory in /run or /tmp, which is removed once the hub
 * is in it. None of these may be usable in a container that contains only
 * wshub, or with a read-only root. If /proc is mounted, Linux has another way:
 * the directory /proc/PID of a process that has ended is empty for ever, even
 * if another process gets the same PID. The last choice is a new directory
 * beside the control socket: where its file could be created, so can a
 * directory.
 */
#define _GNU_SOURCE /* chroot, setgroups */
#define _FILE_OFFSET_BITS 64 /* 32-bit systems may have long inode numbers */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

/* ------------------------------------------------- an empty root directory */

static char failures[512]; /* the directories tried, and why each failed */

/* Adds a directory to failures. Returns 0. */
static int
add_failure(const char *dir, const char *reason)
{
	size_t n = strlen(failures);

	snprintf(failures + n, sizeof failures - n, "%s%s: %s",
	    n > 0 ? ", " : "", dir, reason);
	return 0;
}

/*
 * Returns NULL if the directory is empty and only root can create files in it;
 * otherwise, the reason why it is not suitable.
 */
static const char *
check_directory(const char *dir)
{
	struct dirent *e;
	struct stat st;
	int empty = 1;
	DIR *d;

	if (stat(dir, &st) == -1)
		return strerror(errno);
	if (st.st_uid != 0)
		return "not owned by root";
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "users other than root may write to it";
	d = opendir(dir);
	if (d == NULL)
		return strerror(errno);
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			empty = 0;
	closedir(d);
	return empty ? NULL : "not empty";
}

/* Changes to an existing directory: 1, or 0 with an entry in failures. */
static int
enter(const char *dir)
{
	const char *reason = check_directory(dir);

	if (reason == NULL && chdir(dir) == -1)
		reason = strerror(errno);
	return reason == NULL ? 1 : add_failure(dir, reason);
}

/*
 * Creates a directory, changes to it and removes it: 1, or 0 with an entry in
 * failures.
 */
static int
enter_new(const char *parent)
{
	const char *reason = NULL;
	char dir[256];

	snprintf(dir, sizeof dir, "%s/wshub.XXXXXX", parent);
	if (mkdtemp(dir) == NULL)
		return add_failure(*parent != '\0' ? parent : "/",
		    strerror(errno));
	/*
	 * If other users may write to the parent, one may have replaced the
	 * directory: so check the one that we are in.
	 */
	if (chdir(dir) == -1 || (reason = check_directory(".")) != NULL ||
	    rmdir(dir) == -1)
		ws_die("%s: %s", dir, reason != NULL ? reason :
		    strerror(errno));
	return 1;
}

/* Does so in the directory that contains file. */
static int
enter_new_beside(const char *file)
{
	const char *slash = strrchr(file, '/');
	char parent[128];

	snprintf(parent, sizeof parent, "%.*s", slash != NULL ?
	    (int)(slash - file) : 1, slash != NULL ? file : ".");
	return enter_new(parent);
}

#ifdef __linux__
/*
 * Changes the root to a child's directory in /proc, and then lets the child
 * end: 1, or 0 with an entry in failures. The child reads its PID from
 * /proc/self, because /proc may belong to another PID namespace, in which our
 * PIDs are other processes.
 */
static int
chroot_proc(void)
{
	char dir[64] = "/proc/";
	size_t n = strlen(dir);
	ssize_t len;
	pid_t child;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == -1)
		return add_failure("/proc", strerror(errno));
	child = fork();
	if (child == -1) {
		close(fd[0]);
		close(fd[1]);
		return add_failure("/proc", strerror(errno));
	}
	if (child == 0) {
		close(fd[0]);
		len = readlink("/proc/self", dir, sizeof dir);
		if (len > 0 && write(fd[1], dir, (size_t)len) == len)
			len = read(fd[1], dir, 1); /* until fd[0] is closed */
		_exit(len == 0 ? 0 : 1);
	}
	close(fd[1]);
	len = read(fd[0], dir + n, sizeof dir - n - 1);
	if (len > 0 && (chdir(dir) == -1 || chroot(".") == -1))
		ws_die("chroot %s: %s", dir, strerror(errno));
	close(fd[0]);
	while (waitpid(child, NULL, 0) == -1 && errno == EINTR)
		;
	return len > 0 ? 1 : add_failure("/proc", "not mounted");
}
#else
static int
chroot_proc(void)
{
	return 0;
}
#endif

static void
chroot_empty(const char *control)
{
	if (!enter("/var/empty") && !enter_new("/run") && !enter_new("/tmp")) {
		if (chroot_proc())
			return;
		if (!enter_new_beside(control))
			ws_die("there is no empty directory to chroot to: %s",
			    failures);
	}
	if (chroot(".") == -1)
		ws_die("chroot: %s", strerror(errno));
}

/* ------------------------------------------------------------------- users */

/*
 * Handles a failed system call. This is fatal, or only a warning if the hub has
 * the requested user and group without that call.
 */
static void
call_failed(const char *call, const char *capability, int harmless)
{
	const char *hint = "", *end = "";
	int error = errno;

#ifdef __linux__
	if (error == EPERM) {
		hint = "; it needs ";
		end = capability;
	} else if (error == EINVAL)
		hint = "; this user namespace has no such user or group";
#else
	(void)capability;
#endif
	if (!harmless)
		ws_die("started as root, but %s fails: %s%s%s", call,
		    strerror(error), hint, end);
	ws_log(WS_LOG_ERROR, "warning: the hub stays root, and %s fails: "
	    "%s%s%s", call, strerror(error), hint, end);
}

/* 1 if the process is in that group and in no other. */
static int
has_only_group(gid_t gid)
{
	gid_t list[2];
	int n = getgroups(2, list);

	return getegid() == gid && (n == 0 || (n == 1 && *list == gid));
}

/* see ws.h */
void
ws_privdrop(uid_t uid, gid_t gid, const char *control)
{
	int root = uid == 0;

	if (geteuid() != 0)
		return;
	/* This changes nothing, and shows whether chroot is permitted. */
	if (chroot("/") == 0)
		chroot_empty(control);
	else
		call_failed("chroot", "CAP_SYS_CHROOT", root);
	if (setgroups(1, &gid) == -1 && !has_only_group(gid))
		call_failed("setgroups", "CAP_SETGID, and a user namespace "
		    "that allows it", root && gid == getegid());
	if (setgid(gid) == -1)
		call_failed("setgid", "CAP_SETGID", 0);
	if (setuid(uid) == -1)
		call_failed("setuid", "CAP_SETUID", 0);
	ws_no_core();
}
