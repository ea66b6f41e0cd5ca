/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sockets for the chaos programs: raw ones that are opened from many source
 * addresses and closed politely or rudely, and a struct talk, an ordinary
 * client that waits for its replies with a deadline.
 *
 * All of it speaks to 127.0.0.1 only.
 */
#ifndef DOZO_CHAOS_DIALER_H
#define DOZO_CHAOS_DIALER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Source addresses 127.0.1.1 to 127.0.1.200: each has its own range of
 * ports, so that closed connections in TIME_WAIT never use them up. */
#define DIALER_SOURCES 200

/*
 * Begins a connection from source address `source` (any number, taken modulo
 * the count) without waiting for it. rcvbuf_bytes of 0 leaves the kernel's
 * default. Returns the non-blocking descriptor, or -1 with errno.
 */
int dialer_open(uint16_t port, uint64_t source, int rcvbuf_bytes);

/* Waits until the connection stands; false when it failed or time ran out.
 * The descriptor stays the caller's. */
bool dialer_wait(int fd, unsigned int timeout_ms);

/* Closes with a reset (RST) instead of an orderly end (FIN). */
void dialer_reset(int fd);

/* One conversation: blocking for the caller, never longer than timeout_ms
 * for one step. */
struct talk {
	int fd;
	unsigned int timeout_ms;
	size_t used; /* bytes in buf */
	char buf[16384];
};

/* Connects; false when that failed in time. */
bool talk_open(struct talk *talk, uint16_t port, unsigned int timeout_ms);

void talk_close(struct talk *talk);

/* Sends all of it; false on error or timeout. */
bool talk_send(struct talk *talk, const void *data, size_t size);

/* Sends a text of printf form (up to 1 KiB). */
bool talk_say(struct talk *talk, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Reads one line without its \r\n; false on end, error, timeout or when
 * it does not fit. */
bool talk_line(struct talk *talk, char *line, size_t size);

/* Reads exactly size bytes. */
bool talk_bytes(struct talk *talk, void *data, size_t size);

/* Sends `line` (without \r\n) and checks that the one line that comes back is
 * `reply`. Prints what came instead. */
bool talk_expect(struct talk *talk, const char *line, const char *reply);

/* Stores a value of size bytes, each `fill`; false unless it was STORED. */
bool talk_store(struct talk *talk, const char *key, size_t size, char fill);

/* Reads one number of `stats`; false when the name is missing. */
bool talk_stat(struct talk *talk, const char *name, uint64_t *number);

/* A fresh client can store, read and delete a key. */
bool talk_works(uint16_t port);

#endif
