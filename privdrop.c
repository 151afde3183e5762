/* wshub: ISC licence, see LICENSE. */
/*
 * What a hub gives up that is started as root: the file system, its groups,
 * its user.
 *
 * It gets an empty root directory. That is /var/empty where it is fit, or one
 * made for it and removed as soon as it is in there, in /run or /tmp. There may
 * be none of these where the root directory is an image of one file, or is
 * read-only. Linux has another way, if /proc is mounted: the directory of a
 * process that has ended since has nothing in it, and no process of the same
 * number brings that back. The last choice is the control socket's directory:
 * if that socket's file could be made, so can a directory.
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

static char tried[512]; /* directories, and why each is not the one */

/* Returns 0. */
static int
not_in(const char *dir, const char *reason)
{
	size_t n = strlen(tried);

	snprintf(tried + n, sizeof tried - n, "%s%s: %s", n > 0 ? ", " : "",
	    dir, reason);
	return 0;
}

/* NULL if the directory is empty and only root can change that, or why not. */
static const char *
unfit(const char *dir)
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
		return "others than root may write to it";
	d = opendir(dir);
	if (d == NULL)
		return strerror(errno);
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			empty = 0;
	closedir(d);
	return empty ? NULL : "not empty";
}

/* Enters a directory that is there: 1, or 0 if that cannot be. */
static int
enter(const char *dir)
{
	const char *reason = unfit(dir);

	if (reason == NULL && chdir(dir) == -1)
		reason = strerror(errno);
	return reason == NULL ? 1 : not_in(dir, reason);
}

/* Makes a directory, enters it and removes it: 1, or 0 if that cannot be. */
static int
enter_new(const char *parent)
{
	const char *reason = NULL;
	char dir[256];

	snprintf(dir, sizeof dir, "%s/wshub.XXXXXX", parent);
	if (mkdtemp(dir) == NULL)
		return not_in(*parent != '\0' ? parent : "/", strerror(errno));
	/* Where others may write to the parent it could be another by now. */
	if (chdir(dir) == -1 || (reason = unfit(".")) != NULL ||
	    rmdir(dir) == -1)
		ws_die("%s: %s", dir, reason != NULL ? reason :
		    strerror(errno));
	return 1;
}

static int
enter_beside(const char *file)
{
	const char *slash = strrchr(file, '/');
	char parent[128];

	snprintf(parent, sizeof parent, "%.*s", slash != NULL ?
	    (int)(slash - file) : 1, slash != NULL ? file : ".");
	return enter_new(parent);
}

#ifdef __linux__
/*
 * The root directory becomes that of a child in /proc, and then the child ends:
 * 1, or 0 if that cannot be. The child looks up its own number, as /proc may be
 * mounted for another PID namespace, where ours are other processes'.
 */
static int
root_of_ended(void)
{
	char dir[64] = "/proc/";
	size_t n = strlen(dir);
	ssize_t len;
	pid_t child;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == -1 ||
	    (child = fork()) == -1)
		ws_die("/proc: %s", strerror(errno));
	if (child == 0) {
		close(fd[0]);
		len = readlink("/proc/self", dir, sizeof dir);
		if (len > 0 && write(fd[1], dir, (size_t)len) == len)
			len = read(fd[1], dir, 1); /* waits for its end */
		_exit(len == 0 ? 0 : 1);
	}
	close(fd[1]);
	len = read(fd[0], dir + n, sizeof dir - n - 1);
	if (len > 0 && (chdir(dir) == -1 || chroot(".") == -1))
		ws_die("chroot %s: %s", dir, strerror(errno));
	close(fd[0]);
	while (waitpid(child, NULL, 0) == -1 && errno == EINTR)
		;
	return len > 0 ? 1 : not_in("/proc", "not mounted");
}
#else
static int
root_of_ended(void)
{
	return 0;
}
#endif

static void
empty_root(const char *control)
{
	if (!enter("/var/empty") && !enter_new("/run") && !enter_new("/tmp")) {
		if (root_of_ended())
			return;
		if (!enter_beside(control))
			ws_die("there is no empty directory to chroot to: %s",
			    tried);
	}
	if (chroot(".") == -1)
		ws_die("chroot: %s", strerror(errno));
}

/* ------------------------------------------------------------------- users */

/* A call has failed. It ends the hub, unless it changes nothing for -u. */
static void
refused(const char *call, const char *capability, int harmless)
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

/* It is in that group and in no other. */
static int
only_in(gid_t gid)
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
	/* To the directory that it is anyway: whether we may. */
	if (chroot("/") == 0)
		empty_root(control);
	else
		refused("chroot", "CAP_SYS_CHROOT", root);
	if (setgroups(1, &gid) == -1 && !only_in(gid))
		refused("setgroups", "CAP_SETGID, and a user namespace that "
		    "allows it", root && gid == getegid());
	if (setgid(gid) == -1)
		refused("setgid", "CAP_SETGID", 0);
	if (setuid(uid) == -1)
		refused("setuid", "CAP_SETUID", 0);
	ws_no_core();
}
