/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a function in a child process and keeps what it wrote to standard
 * error and how it ended; for code that ends its process, or writes where
 * the test's own output goes.
 */
#ifndef DOZO_TESTS_BASE_CHILD_H
#define DOZO_TESTS_BASE_CHILD_H

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
	char text[16384]; /* its standard error, with an end byte */
	size_t len;
	int status; /* of waitpid() */
};

enum { CHILD_DEADLINE_S = 120 };

/* In the child: runs, and is ended by a signal when that takes too long. */
static inline void child_main(int fd, void (*run)(void))
{
	const struct rlimit no_core = { 0, 0 };

	alarm(CHILD_DEADLINE_S);
	setrlimit(RLIMIT_CORE, &no_core);
	if (dup2(fd, STDERR_FILENO) < 0) {
		_exit(99);
	}
	run();
	_exit(0);
}

/* False when there was no child to be had. */
static inline int child_run(struct child *c, void (*run)(void))
{
	int ends[2];
	ssize_t n;
	pid_t pid;

	if (pipe(ends) != 0) {
		return 0;
	}
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		child_main(ends[1], run);
	}
	close(ends[1]);
	c->len = 0;
	while (pid > 0 && c->len < sizeof(c->text) - 1) {
		n = read(ends[0], c->text + c->len,
			 sizeof(c->text) - 1 - c->len);
		if (n <= 0) {
			break;
		}
		c->len += (size_t)n;
	}
	c->text[c->len] = '\0';
	close(ends[0]);
	return pid > 0 && waitpid(pid, &c->status, 0) == pid;
}

#endif
