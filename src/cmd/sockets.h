/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The listening sockets that the options ask for, opened before the process
 * gives up the rights that this may take.
 */
#ifndef DOZO_CMD_SOCKETS_H
#define DOZO_CMD_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/options.h"

enum { SOCKETS_WHY_ROOM = 512 };

struct sockets {
	int fds[LISTENERS_MAX];
	int count;
	char why[SOCKETS_WHY_ROOM]; /* of the last failure, one line */
};

/*
 * Opens all or none, bound to their addresses and not yet listening: the unix
 * socket alone if there is one, else the addresses of -l, else 127.0.0.1 and,
 * where the machine has it, ::1.  False with `why`.
 */
bool sockets_open(struct sockets *s, const struct options *o);

/* Makes all of them listen; until now clients were refused.  False: `why`. */
bool sockets_listen(struct sockets *s, int backlog);

/* Closes those that are still here. */
void sockets_close(struct sockets *s);

/*
 * Writes a line `TCP INET: PORT` or `TCP INET6: PORT` for each TCP socket to
 * the file `path`, which appears at once and complete.  False with `why`.
 */
bool sockets_write_ports(struct sockets *s, const char *path);

/* All addresses in text, with blanks between. */
void sockets_format(const struct sockets *s, char *out, size_t room);

#endif
