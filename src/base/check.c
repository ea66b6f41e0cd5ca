/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end of a process that can no longer be trusted.  Everything here works
 * without locks and without the heap, for a panic may come from a broken
 * heap.  The hook is the one piece of mutable file-level state that the
 * project keeps in this module: a panic has no argument to carry it.
 */
#include <execinfo.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"

enum { STACK_DEPTH = 64 };

/* A panic has no argument that could carry the hook. */
static void (*panic_report)(void *arg, int fd);
/* The same for what the hook is given. */
static void *panic_report_arg;
/* One panic for each process: it ends it. */
static atomic_flag panicking = ATOMIC_FLAG_INIT;

void panic_set_report(void (*report)(void *arg, int fd), void *arg)
{
	panic_report_arg = arg;
	panic_report = report;
}

void panic_write_stack(int fd)
{
	void *frames[STACK_DEPTH];
	int depth = backtrace(frames, STACK_DEPTH);

	backtrace_symbols_fd(frames, depth, fd);
}

void panic_prepare(void)
{
	void *frame[1];

	/* The first call loads the unwinder. */
	(void)backtrace(frame, 1);
}

void panic(const char *format, ...)
{
	char line[512];
	va_list args;
	int n;

	if (atomic_flag_test_and_set(&panicking)) {
		for (;;) {
			pause();
		}
	}
	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n < 0) {
		n = 0;
	}
	if ((size_t)n >= sizeof(line)) {
		n = (int)sizeof(line) - 1;
	}
	dprintf(STDERR_FILENO, "panic: %.*s\n", n, line);
	if (panic_report != NULL) {
		panic_report(panic_report_arg, STDERR_FILENO);
	}
	panic_write_stack(STDERR_FILENO);
	abort();
}
