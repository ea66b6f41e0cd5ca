/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The slow halves of a bell: sleeping and waking by futex.
 *
 * Either the ringer sees that somebody sleeps, or the sleeper sees the new
 * count: each writes its own word before it reads the other's, and the kernel
 * compares the count once more under its lock.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "io/bell.h"
#include "io/clock.h"

/* One sleep at most; longer ones are several. */
#define NAP_MS_MAX (3600ULL * 1000)

static void nap(struct bell *b, uint32_t seen, uint64_t ms)
{
	struct timespec t = {
		.tv_sec = (time_t)(ms / 1000),
		.tv_nsec = (long)(ms % 1000) * 1000000,
	};

	syscall(SYS_futex, &b->count, FUTEX_WAIT_PRIVATE, seen, &t, NULL, 0);
}

bool bell_wait(struct bell *b, uint32_t seen, uint64_t timeout_ms)
{
	uint64_t began = clock_ms();
	uint64_t gone = 0;
	int before = errno;

	atomic_fetch_add(&b->asleep, 1);
	while (bell_count(b) == seen && gone < timeout_ms) {
		uint64_t left = timeout_ms - gone;

		nap(b, seen, left < NAP_MS_MAX ? left : NAP_MS_MAX);
		gone = clock_ms() - began;
	}
	atomic_fetch_sub(&b->asleep, 1);
	errno = before;
	return bell_count(b) != seen;
}

void bell_wake(struct bell *b)
{
	int before = errno;

	syscall(SYS_futex, &b->count, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL,
		0);
	errno = before;
}
