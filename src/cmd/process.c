/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system calls behind -d, -u, -P, -r and -k.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "cmd/process.h"

bool process_find_user(const char *name, struct process_user *user)
{
	const struct passwd *entry = getpwnam(name);

	if (entry == NULL || strlen(name) >= sizeof(user->name)) {
		return false;
	}
	memcpy(user->name, name, strlen(name) + 1);
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	return true;
}

bool process_become(const struct process_user *user, bool core_dumps)
{
	if (initgroups(user->name, user->gid) < 0 || setgid(user->gid) < 0 ||
	    setuid(user->uid) < 0) {
		return false;
	}
	/* A change of user takes the right to dump core away. */
	return !core_dumps || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

bool process_allow_cores(void)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_CORE, &limit) == 0) {
		return true;
	}
	if (getrlimit(RLIMIT_CORE, &limit) < 0) {
		return false;
	}
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max == 0) {
		errno = EPERM;
		return false;
	}
	return setrlimit(RLIMIT_CORE, &limit) == 0;
}

void process_unlimit_locked(void)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	/* If it is refused, locking the memory will say so. */
	(void)setrlimit(RLIMIT_MEMLOCK, &none);
}

bool process_lock_memory(void)
{
	/*
	 * As pages are touched: much more address space is reserved than
	 * will ever be used.
	 */
	return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

bool process_write_pid(const char *path)
{
	char partial[4096];
	FILE *file;
	bool written;

	if (snprintf(partial, sizeof(partial), "%s.tmp", path) >=
	    (int)sizeof(partial)) {
		errno = ENAMETOOLONG;
		return false;
	}
	file = fopen(partial, "we");
	if (file == NULL) {
		return false;
	}
	written = fprintf(file, "%ld\n", (long)getpid()) > 0;
	written = fclose(file) == 0 && written;
	if (!written || rename(partial, path) < 0) {
		int error = errno;

		(void)unlink(partial);
		errno = error;
		return false;
	}
	return true;
}

char *process_absolute_path(const char *path)
{
	char *folder;
	char *joined = NULL;

	if (path[0] == '/') {
		return strdup(path);
	}
	folder = getcwd(NULL, 0);
	if (folder == NULL) {
		return NULL;
	}
	if (asprintf(&joined, "%s/%s", folder, path) < 0) {
		joined = NULL;
	}
	free(folder);
	return joined;
}

/* Exits as the child's start turns out. */
static void wait_for_start(pid_t child, int fd) __attribute__((noreturn));

static void wait_for_start(pid_t child, int fd)
{
	ssize_t got;
	char byte;
	int status = 0;

	do {
		got = read(fd, &byte, 1);
	} while (got < 0 && errno == EINTR);
	if (got == 1) {
		_exit(EXIT_SUCCESS);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
		_exit(WEXITSTATUS(status));
	}
	_exit(EX_SOFTWARE);
}

bool process_split(int *ready_fd)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		return false;
	}
	child = fork();
	if (child < 0) {
		int error = errno;

		close(ends[0]);
		close(ends[1]);
		errno = error;
		return false;
	}
	if (child > 0) {
		close(ends[1]);
		wait_for_start(child, ends[0]);
	}
	close(ends[0]);
	*ready_fd = ends[1];
	return setsid() >= 0;
}

void process_in_background(int ready_fd, bool keep_stderr, bool leave_folder)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd >= 0) {
		(void)dup2(null_fd, STDIN_FILENO);
		(void)dup2(null_fd, STDOUT_FILENO);
		if (!keep_stderr) {
			(void)dup2(null_fd, STDERR_FILENO);
		}
		if (null_fd > STDERR_FILENO) {
			close(null_fd);
		}
	}
	/* Whatever cannot be let go of is kept: the server runs by now. */
	if (leave_folder && chdir("/") < 0) {
		leave_folder = false;
	}
	while (write(ready_fd, "", 1) < 0 && errno == EINTR) {
	}
	close(ready_fd);
}
