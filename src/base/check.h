/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks that stay on in production, and the way the process ends when one
 * of them fails.
 *
 * check(cond) states an invariant that is cheap to test.  When it does not
 * hold, memory can no longer be trusted, so the process panics: it writes
 * the reason, the state that the registered hook reports, and a backtrace to
 * standard error, and ends by abort(), so that the exit status is not zero
 * and a core is left where the system allows one.
 *
 * Thread rule: any thread.  The first panic wins; later ones wait for ever.
 */
#ifndef DOZO_BASE_CHECK_H
#define DOZO_BASE_CHECK_H

#define check(cond)                                                            \
	do {                                                                   \
		if (__builtin_expect(!(cond), 0)) {                            \
			panic("check failed: %s (%s:%d)", #cond, __FILE__,     \
			      __LINE__);                                       \
		}                                                              \
	} while (0)

/* Ends the process with a reason (printf form); never returns. */
void panic(const char *format, ...)
	__attribute__((noreturn, cold, format(printf, 1, 2)));

/*
 * Registers what writes the state of the process to descriptor `fd` when it
 * panics.  `report` runs in an unknown state: it may read memory and format,
 * but must not lock or allocate.  One hook for each process; a second call
 * replaces the first; NULL removes it.
 */
void panic_set_report(void (*report)(void *arg, int fd), void *arg);

/*
 * Writes the calling thread's stack to `fd`.  Usable in a signal handler
 * once panic_prepare() has run.
 */
void panic_write_stack(int fd);

/* Loads what a backtrace needs, so that none is loaded during a panic. */
void panic_prepare(void);

#endif
