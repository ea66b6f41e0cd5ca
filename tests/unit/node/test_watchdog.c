/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The watchdog: a worker whose loop does not turn is reported with its stack
 * and counted once, and others go on meanwhile.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "node_fixture.h"

/* A message that keeps its worker until a byte comes through a pipe. */
struct stuck {
	struct io_msg msg;
	int fd;
};

static void stay(struct io_msg *m)
{
	struct stuck *s = (struct stuck *)(void *)m;
	char byte;

	while (read(s->fd, &byte, 1) != 1) {
		continue;
	}
}

/* Runs `body` with standard error in a file, and returns what was written. */
static char *captured(void (*body)(struct node_fixture *f),
		      struct node_fixture *f)
{
	char path[] = "/tmp/dozo-watchdog-XXXXXX";
	int file = mkstemp(path);
	int saved = dup(STDERR_FILENO);
	char *text = calloc(1, 1 << 16);

	assert_true(file >= 0 && saved >= 0);
	assert_non_null(text);
	dup2(file, STDERR_FILENO);
	body(f);
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_true(pread(file, text, (1 << 16) - 1, 0) > 0);
	close(file);
	unlink(path);
	return text;
}

static void get_stuck(struct node_fixture *f)
{
	struct stuck stuck = { .msg.run = stay };
	int ends[2];
	int other;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	stuck.fd = ends[0];
	io_post(f->node->workers[0].loop, &stuck.msg);
	other = node_fixture_connect(f, 1);
	while (atomic_load(&f->node->control.stalls) == 0) {
		say(other, "mn\r\n");
		hear(other, "MN\r\n");
	}
	assert_int_equal(write(ends[1], "x", 1), 1);
	/* It works again. */
	close(other);
	other = node_fixture_connect(f, 0);
	say(other, "mn\r\n");
	hear(other, "MN\r\n");
	close(other);
	close(ends[0]);
	close(ends[1]);
}

static void stuck_worker_is_reported(void **state)
{
	struct node_fixture f = { 0 };
	char *text;

	(void)state;
	settings_init(&f.settings);
	f.settings.threads = 2;
	f.tune_stall_ms = 300;
	node_fixture_start(&f);
	text = captured(get_stuck, &f);
	assert_non_null(strstr(text, "worker/0: its loop has not turned for"));
	/* The stack of the stuck thread. */
	assert_non_null(strstr(text, "read+"));
	free(text);
	node_fixture_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stuck_worker_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
