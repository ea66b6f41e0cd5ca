/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Diagnostics for the people who run the server: one line for each event on
 * standard error.  (Not to be mixed up with the log of changes.)
 *
 * Lines look like
 *	2026-11-25 21:40:26.123 warn worker/2: what happened: why
 * and never hold a value, a password or more than a short part of a key.
 *
 * The level is the one process-wide setting: diagnostics come from places
 * that carry no configuration.  Thread rule: any thread; a line is one
 * write().
 */
#ifndef DOZO_BASE_DIAG_H
#define DOZO_BASE_DIAG_H

#include <stdbool.h>
#include <stdint.h>

enum diag_level {
	DIAG_ERROR, /* something failed for good */
	DIAG_WARN,  /* something is refused, ignored or degraded */
	DIAG_NOTE,  /* start, stop, changes of state: always shown */
	DIAG_INFO,  /* -v: connections, reasons of closes */
	DIAG_DEBUG, /* -vv: commands */
	DIAG_TRACE, /* -vvv: states */
};

/* Shows levels up to DIAG_NOTE plus `verbosity` (0 to 3). */
void diag_set_verbosity(int verbosity);
int diag_verbosity(void);

/* The calling thread's name in lines; kept by reference. */
void diag_set_thread(const char *name);

/* Lines that could not be written at once, and so were not. */
uint64_t diag_lost(void);

bool diag_shows(enum diag_level level);
void diag(enum diag_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
