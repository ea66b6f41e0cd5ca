/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Servers' addresses in their forms, the process that listens, and its
 * processor time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/target.h"
#include "io/sock.h"

static void check_address(const char *text, const char *shown)
{
	struct target t;
	char why[TARGET_WHY_ROOM];
	char out[SOCK_ADDR_TEXT];

	if (!target_init(&t, text, why)) {
		fail_msg("%s: %s", text, why);
	}
	sock_format(&t.addr, t.len, out, sizeof(out));
	assert_string_equal(out, shown);
	assert_ptr_equal(t.text, text);
	assert_int_equal(t.pid, 0);
}

static void check_refused(const char *text, const char *words)
{
	struct target t;
	char why[TARGET_WHY_ROOM] = "";

	assert_false(target_init(&t, text, why));
	if (strstr(why, words) == NULL) {
		fail_msg("%s: '%s' does not say '%s'", text, why, words);
	}
}

static void test_addresses(void **state)
{
	char path[300] = "unix:";

	(void)state;
	check_address("127.0.0.1:5", "tcp:127.0.0.1:5");
	check_address("127.0.0.2", "tcp:127.0.0.2:11211");
	check_address("11311", "tcp:127.0.0.1:11311");
	check_address("[::1]:77", "tcp6:[::1]:77");
	check_address("::1", "tcp6:[::1]:11211");
	check_address("unix:/a/b", "unix:/a/b");
	check_refused("0", "from 1 to 65535");
	check_refused("65536", "from 1 to 65535");
	check_refused("127.0.0.1:0", "from 1 to 65535");
	check_refused("127.0.0.1:x", "port");
	check_refused("[::1", "]");
	check_refused("", "no address");
	check_refused("unix:", "1 to 107 letters");
	memset(path + 5, 'x', 200);
	check_refused(path, "1 to 107 letters");
}

static void check_found(const char *text)
{
	struct target t;
	char why[TARGET_WHY_ROOM];
	int fd;

	assert_true(target_init(&t, text, why));
	fd = target_connect(&t, 1000);
	assert_true(fd >= 0);
	close(fd);
	target_find_pid(&t);
	assert_int_equal(t.pid, getpid());
}

/* This process listens, so it is the one that is found. */
static void test_find_pid(void **state)
{
	const char *why;
	char text[128];
	char path[64];
	int fds[4];
	int count;

	(void)state;
	count = sock_listen_tcp("127.0.0.1", 0, 16, fds, 4, &why);
	assert_int_equal(count, 1);
	snprintf(text, sizeof(text), "127.0.0.1:%d", sock_local_port(fds[0]));
	check_found(text);
	close(fds[0]);
	count = sock_listen_tcp("0.0.0.0", 0, 16, fds, 4, &why);
	assert_int_equal(count, 1);
	snprintf(text, sizeof(text), "127.0.0.1:%d", sock_local_port(fds[0]));
	check_found(text);
	close(fds[0]);
	snprintf(path, sizeof(path), "/tmp/dozo-target-%d", (int)getpid());
	fds[0] = sock_listen_unix(path, 0700, 16);
	assert_true(fds[0] >= 0);
	snprintf(text, sizeof(text), "unix:%s", path);
	check_found(text);
	close(fds[0]);
	unlink(path);
}

static void test_nobody_listens(void **state)
{
	const char *why;
	struct target t;
	char text[64];
	char reason[TARGET_WHY_ROOM];
	int fd;

	(void)state;
	assert_int_equal(sock_listen_tcp("127.0.0.1", 0, 16, &fd, 1, &why), 1);
	snprintf(text, sizeof(text), "127.0.0.1:%d", sock_local_port(fd));
	close(fd);
	assert_true(target_init(&t, text, reason));
	assert_int_equal(target_connect(&t, 1000), -1);
	assert_int_equal(errno, ECONNREFUSED);
	target_find_pid(&t);
	assert_int_equal(t.pid, 0);
}

static uint64_t burn_ns(clockid_t clock, uint64_t ns)
{
	struct timespec now;
	uint64_t used;

	do {
		clock_gettime(clock, &now);
		used = (uint64_t)now.tv_sec * 1000000000U +
		       (uint64_t)now.tv_nsec;
	} while (used < ns);
	return used;
}

static void *burn(void *arg)
{
	(void)arg;
	burn_ns(CLOCK_THREAD_CPUTIME_ID, 30000000);
	return NULL;
}

/* The time of a thread that has ended stays counted. */
static void test_cpu_time(void **state)
{
	struct target t = { .pid = getpid() };
	uint64_t before;
	uint64_t after;
	pthread_t thread;

	(void)state;
	assert_true(target_cpu_ns(&t, &before));
	assert_int_equal(pthread_create(&thread, NULL, burn, NULL), 0);
	pthread_join(thread, NULL);
	assert_true(target_cpu_ns(&t, &after));
	assert_true(after - before >= 30000000);
	assert_true(after - before < 10000000000);
	t.pid = 0;
	assert_false(target_cpu_ns(&t, &after));
}

/* Another process's time, and none when it has gone. */
static void test_cpu_time_of_another(void **state)
{
	struct target t;
	uint64_t ns = 0;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		pause();
		_exit(0);
	}
	t.pid = child;
	assert_true(target_cpu_ns(&t, &ns));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_false(target_cpu_ns(&t, &ns));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_find_pid),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_cpu_time),
		cmocka_unit_test(test_cpu_time_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
