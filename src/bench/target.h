/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server to be measured: its address, connections to it, and, when it runs
 * on this machine, its process and the processor time that it has used.
 */
#ifndef DOZO_BENCH_TARGET_H
#define DOZO_BENCH_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

enum { TARGET_WHY_ROOM = 160, TARGET_PORT_DEFAULT = 11211 };

struct target {
	const char *text; /* as given; the caller keeps it */
	struct sockaddr_storage addr;
	socklen_t len;
	pid_t pid; /* 0 when unknown */
};

/*
 * Reads HOST:PORT, [V6]:PORT, HOST, PORT or unix:PATH, and looks the host up.
 * False: `why` (TARGET_WHY_ROOM) says what is wrong.  No pid yet.
 */
bool target_init(struct target *t, const char *text, char *why);

/*
 * A non-blocking connection; -1 with errno.  With wait_ms 0 it may still be
 * under way: sending says EAGAIN until it stands.
 */
int target_connect(const struct target *t, int wait_ms);

/*
 * Finds the process that listens on the target's address, which must be a
 * loopback address or a unix socket of this machine, through /proc: sets
 * t->pid, or leaves it 0 where that cannot be seen.
 */
void target_find_pid(struct target *t);

/*
 * User and system time of the target's process in nanoseconds, all threads,
 * those that have ended included.  False when there is no such process, or no
 * pid.
 */
bool target_cpu_ns(const struct target *t, uint64_t *ns);

#endif
