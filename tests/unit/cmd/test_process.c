/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process around a server: pid file, user, and the background, where
 * what counts is the exit status that the starter sees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "cmd/process.h"

static void test_pid_file(void **state)
{
	char folder[] = "/tmp/dozo-process-XXXXXX";
	char path[64];
	char partial[72];
	char text[32] = "";
	char expected[32];
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/pid", folder);
	snprintf(partial, sizeof(partial), "%s.tmp", path);
	assert_true(process_write_pid(path));
	file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	snprintf(expected, sizeof(expected), "%ld\n", (long)getpid());
	assert_string_equal(text, expected);
	assert_int_equal(access(partial, F_OK), -1);
	assert_int_equal(unlink(path), 0);

	assert_int_equal(mkdir(path, 0700), 0);
	assert_false(process_write_pid(path));
	assert_int_equal(errno, EISDIR);
	assert_int_equal(access(partial, F_OK), -1);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(folder), 0);
	assert_false(process_write_pid(path));
	assert_int_equal(errno, ENOENT);
}

static void test_absolute_path(void **state)
{
	char *path = process_absolute_path("/a/b");
	char *folder = getcwd(NULL, 0);
	char *joined;

	(void)state;
	assert_string_equal(path, "/a/b");
	free(path);
	path = process_absolute_path("x/y");
	assert_true(asprintf(&joined, "%s/x/y", folder) > 0);
	assert_string_equal(path, joined);
	free(path);
	free(joined);
	free(folder);
}

static void test_find_user(void **state)
{
	struct process_user user;

	(void)state;
	assert_true(process_find_user("root", &user));
	assert_int_equal(user.uid, 0);
	assert_string_equal(user.name, "root");
	assert_false(process_find_user("no-such-user-here", &user));
	assert_false(process_find_user("", &user));
}

/* The exit status of a process that runs `body`. */
static int status_of(void (*body)(int fd), int fd)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		body(fd);
		_exit(EX_UNAVAILABLE);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void become_nobody(int fd)
{
	struct process_user user;
	gid_t groups[8];

	(void)fd;
	if (!process_find_user("nobody", &user) ||
	    !process_become(&user, true)) {
		_exit(1);
	}
	if (getuid() != user.uid || geteuid() != user.uid ||
	    getgid() != user.gid) {
		_exit(2);
	}
	if (getgroups(8, groups) != 1 || groups[0] != user.gid) {
		_exit(3);
	}
	_exit(setuid(0) == 0 ? 4 : 0);
}

static void test_become(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		skip();
	}
	assert_int_equal(status_of(become_nobody, -1), 0);
}

static void become_root_as_nobody(int fd)
{
	struct process_user nobody;
	struct process_user root;

	(void)fd;
	if (!process_find_user("nobody", &nobody) ||
	    !process_find_user("root", &root)) {
		_exit(1);
	}
	if (geteuid() == 0 && !process_become(&nobody, false)) {
		_exit(2);
	}
	_exit(process_become(&root, false) ? 3 : 0);
}

static void test_become_without_the_right(void **state)
{
	(void)state;
	assert_int_equal(status_of(become_root_as_nobody, -1), 0);
}

static void split_and_fail(int fd)
{
	int ready_fd;

	(void)fd;
	if (!process_split(&ready_fd)) {
		_exit(1);
	}
	_exit(EX_OSERR);
}

static void split_and_end_quietly(int fd)
{
	int ready_fd;

	(void)fd;
	if (!process_split(&ready_fd)) {
		_exit(1);
	}
	_exit(0);
}

static void split_and_crash(int fd)
{
	int ready_fd;

	(void)fd;
	if (!process_split(&ready_fd)) {
		_exit(1);
	}
	kill(getpid(), SIGKILL);
}

/* Tells of itself through `fd` once it is in the background. */
static void split_and_stay(int fd)
{
	int ready_fd;
	char told[160];
	char folder[64] = "";
	char link[64] = "";

	if (!process_split(&ready_fd)) {
		_exit(1);
	}
	process_in_background(ready_fd, false, true);
	if (getcwd(folder, sizeof(folder)) == NULL ||
	    readlink("/proc/self/fd/2", link, sizeof(link) - 1) < 0) {
		_exit(2);
	}
	snprintf(told, sizeof(told), "%s %s %s", folder, link,
		 getsid(0) == getpid() ? "own session" : "no session");
	_exit(write(fd, told, strlen(told)) > 0 ? 0 : 3);
}

static void test_failed_start_reaches_the_starter(void **state)
{
	(void)state;
	assert_int_equal(status_of(split_and_fail, -1), EX_OSERR);
	assert_int_equal(status_of(split_and_end_quietly, -1), EX_SOFTWARE);
	assert_int_equal(status_of(split_and_crash, -1), EX_SOFTWARE);
}

static void test_background(void **state)
{
	int ends[2];
	char told[128];
	size_t len = 0;
	ssize_t got;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(status_of(split_and_stay, ends[1]), 0);
	close(ends[1]);
	while ((got = read(ends[0], told + len, sizeof(told) - 1 - len)) > 0) {
		len += (size_t)got;
	}
	told[len] = '\0';
	close(ends[0]);
	assert_string_equal(told, "/ /dev/null own session");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pid_file),
		cmocka_unit_test(test_absolute_path),
		cmocka_unit_test(test_find_user),
		cmocka_unit_test(test_become),
		cmocka_unit_test(test_become_without_the_right),
		cmocka_unit_test(test_failed_start_reaches_the_starter),
		cmocka_unit_test(test_background),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
