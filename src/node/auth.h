/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Authentication of the text protocol (-Y FILE): lines of `user:password`.
 *
 * A client authenticates with a `set` of any key whose value is
 * `user password`; until then every command is refused.  Passwords are
 * compared in constant time and never written anywhere.
 *
 * Thread rule: any thread; the file may be read again while workers check.
 */
#ifndef DOZO_NODE_AUTH_H
#define DOZO_NODE_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/lock.h"

struct session;

enum { AUTH_USERS_MAX = 8, AUTH_ENTRY_MAX = 256, AUTH_TOKEN_MAX = 16384 };

struct auth_entry {
	size_t user_len;
	size_t password_len;
	char user[AUTH_ENTRY_MAX];
	char password[AUTH_ENTRY_MAX];
};

struct auth_table {
	int count;
	struct auth_entry entry[AUTH_USERS_MAX];
};

struct auth {
	const char *file; /* NULL: nothing to authenticate against */
	struct lock lock;
	struct auth_table *table;
};

/* `file` may be NULL.  False with *why: it cannot be read or is malformed. */
bool auth_init(struct auth *a, const char *file, const char **why);
void auth_release(struct auth *a);

/* Reads the file again; on failure the old table stays in force. */
bool auth_reload(struct auth *a, const char **why);

bool auth_required(const struct auth *a);

/*
 * Input of a session that has not authenticated: answers, and returns the
 * bytes consumed, 0 when more are needed.
 */
size_t auth_input(struct session *s, const char *data, size_t len);

#endif
