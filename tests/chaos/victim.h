/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel says about the server under test: whether it lives, how
 * many descriptors and how much memory it holds, how much processor it used
 * and how often it woke up. All of it is read from /proc, from outside, so a
 * server cannot talk its way out. The reader needs to be root or the user
 * that the server runs as.
 */
#ifndef DOZO_CHAOS_VICTIM_H
#define DOZO_CHAOS_VICTIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct victim {
	pid_t pid;
	uint16_t port; /* TCP, host order */
};

/* What of /proc/net/tcp a count of sockets wants; the kernel's numbers. */
enum victim_socket_state {
	VICTIM_ESTABLISHED = 1,
	VICTIM_CLOSE_WAIT = 8,
};

/* Microseconds of the monotonic clock. */
uint64_t victim_now_us(void);

/* False when the process is gone, a zombie, or stopped. */
bool victim_alive(const struct victim *victim);

/* Open descriptors, or -1 when the process cannot be looked at. */
long victim_fds(const struct victim *victim);

/* Resident memory in KiB, or -1. */
long victim_rss_kib(const struct victim *victim);

/* Processor time of all living threads together, in microseconds. */
uint64_t victim_cpu_us(const struct victim *victim);

/* Voluntary context switches of all living threads: each is a sleep that
 * ended, so the rate of them is the rate of wake-ups. */
uint64_t victim_wakeups(const struct victim *victim);

/*
 * Where the kernel tells how long the server's threads, and the one that asks,
 * could have run and were not let, and how long the processors were lent to
 * other machines. Only threads that are there at the beginning are known. A
 * kernel that does not tell leaves nothing to be subtracted.
 */
#define VICTIM_THREADS_MAX 64
struct victim_waits {
	int threads[VICTIM_THREADS_MAX]; /* schedstat of each */
	size_t count;
	int machine; /* /proc/stat */
	uint64_t tick_us;
};

/* By the thread that will ask; the second tells all of it so far. */
void victim_waits_init(struct victim_waits *waits, pid_t pid);
uint64_t victim_waits_us(const struct victim_waits *waits);
void victim_waits_release(struct victim_waits *waits);

/* Sockets in `state` whose local port is the server's. */
long victim_sockets(const struct victim *victim, int state);

/* Waits until the process holds no more than `wanted` descriptors. */
bool victim_wait_fds(const struct victim *victim, long wanted,
		     unsigned int timeout_ms);

/* Waits until no socket of the server's port is in `state`. */
bool victim_wait_sockets(const struct victim *victim, int state,
			 unsigned int timeout_ms);

#endif
