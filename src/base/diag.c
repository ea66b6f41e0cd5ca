/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Diagnostics lines.  A line is formatted into one buffer and written at
 * once, so that lines of several threads do not mix.  If standard error is
 * gone or full, the line is lost: diagnostics never stop the server.
 */
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/lock.h"

/* Diagnostics come from places that carry no configuration. */
static atomic_int diag_max = DIAG_NOTE;
/* Standard error is one for the process, and so is who writes to it. */
static struct lock diag_lock;
/* Lines that were lost. */
static _Atomic uint64_t diag_dropped;
/* Whoever speaks does not know on which thread it runs. */
static _Thread_local const char *diag_thread = "main";

static const char *const level_names[] = {
	[DIAG_ERROR] = "error", [DIAG_WARN] = "warn",   [DIAG_NOTE] = "note",
	[DIAG_INFO] = "info",   [DIAG_DEBUG] = "debug", [DIAG_TRACE] = "trace",
};

void diag_set_verbosity(int verbosity)
{
	if (verbosity < 0) {
		verbosity = 0;
	}
	if (verbosity > 3) {
		verbosity = 3;
	}
	atomic_store_explicit(&diag_max, DIAG_NOTE + verbosity,
			      memory_order_relaxed);
}

int diag_verbosity(void)
{
	return atomic_load_explicit(&diag_max, memory_order_relaxed) -
	       DIAG_NOTE;
}

void diag_set_thread(const char *name)
{
	diag_thread = name;
}

bool diag_shows(enum diag_level level)
{
	return (int)level <=
	       atomic_load_explicit(&diag_max, memory_order_relaxed);
}

static size_t clip(int n, size_t room)
{
	if (n < 0) {
		return 0;
	}
	return (size_t)n < room ? (size_t)n : room - 1;
}

static size_t put_head(char *line, size_t room, enum diag_level level)
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	n = strftime(line, room, "%Y-%m-%d %H:%M:%S", &tm);
	n += clip(snprintf(line + n, room - n,
			   ".%03ld %s %s: ", now.tv_nsec / 1000000,
			   level_names[level], diag_thread),
		  room - n);
	return n;
}

/*
 * Writes a line if it can be written at once.  A pipe that is ready takes
 * PIPE_BUF bytes, more than a line, from one writer; so only one asks and
 * writes at a time, and who comes meanwhile waits for it, which is short.
 */
static void put_line(const char *line, size_t n)
{
	struct pollfd ready = { .fd = STDERR_FILENO, .events = POLLOUT };

	lock_take(&diag_lock);
	if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0 ||
	    write(STDERR_FILENO, line, n) < 0) {
		atomic_fetch_add_explicit(&diag_dropped, 1,
					  memory_order_relaxed);
	}
	lock_give(&diag_lock);
}

uint64_t diag_lost(void)
{
	return atomic_load_explicit(&diag_dropped, memory_order_relaxed);
}

void diag(enum diag_level level, const char *format, ...)
{
	char line[1024];
	va_list args;
	size_t n;

	if (!diag_shows(level)) {
		return;
	}
	n = put_head(line, sizeof(line) - 1, level);
	va_start(args, format);
	n += clip(vsnprintf(line + n, sizeof(line) - 1 - n, format, args),
		  sizeof(line) - 1 - n);
	va_end(args);
	line[n++] = '\n';
	put_line(line, n);
}
