/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text authentication.  Each check compares against every entry, and each
 * comparison looks at every byte, so that the time tells nothing but the
 * lengths.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "node/auth.h"
#include "node/node_state.h"
#include "node/session.h"

enum { LINE_MIN = 6 };

/* One line of the file, without its end; false if it is malformed. */
static bool entry_parse(struct auth_entry *e, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);

	if (colon == NULL || len >= AUTH_ENTRY_MAX) {
		return false;
	}
	e->user_len = (size_t)(colon - line);
	e->password_len = len - e->user_len - 1;
	memset(e->user, 0, sizeof(e->user));
	memset(e->password, 0, sizeof(e->password));
	memcpy(e->user, line, e->user_len);
	memcpy(e->password, colon + 1, e->password_len);
	return true;
}

static bool table_read(struct auth_table *t, FILE *f, const char **why)
{
	char line[AUTH_ENTRY_MAX + 2];

	t->count = 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		size_t len = strlen(line);

		while (len > 0 &&
		       (line[len - 1] == '\n' || line[len - 1] == '\r')) {
			len--;
		}
		if (len == 0) {
			continue;
		}
		if (t->count == AUTH_USERS_MAX) {
			*why = "the file has more than 8 users";
			return false;
		}
		if (!entry_parse(&t->entry[t->count], line, len)) {
			*why = "a line of the file is not user:password of "
			       "under 256 bytes";
			return false;
		}
		t->count++;
	}
	if (ferror(f)) {
		*why = "the file cannot be read";
		return false;
	}
	if (t->count == 0) {
		*why = "the file names no user";
		return false;
	}
	return true;
}

static struct auth_table *table_load(const char *file, const char **why)
{
	struct auth_table *t = malloc(sizeof(*t));
	FILE *f = NULL;
	bool ok = false;

	if (t == NULL) {
		*why = "out of memory";
		return NULL;
	}
	f = fopen(file, "re");
	if (f == NULL) {
		*why = "the file cannot be opened";
		goto out;
	}
	ok = table_read(t, f, why);
out:
	if (f != NULL) {
		fclose(f);
	}
	if (!ok) {
		free(t);
		t = NULL;
	}
	return t;
}

bool auth_init(struct auth *a, const char *file, const char **why)
{
	memset(a, 0, sizeof(*a));
	a->file = file;
	if (file == NULL) {
		return true;
	}
	a->table = table_load(file, why);
	return a->table != NULL;
}

void auth_release(struct auth *a)
{
	free(a->table);
	a->table = NULL;
}

bool auth_reload(struct auth *a, const char **why)
{
	struct auth_table *fresh;
	struct auth_table *old;

	if (a->file == NULL) {
		return true;
	}
	fresh = table_load(a->file, why);
	if (fresh == NULL) {
		return false;
	}
	lock_take(&a->lock);
	old = a->table;
	a->table = fresh;
	lock_give(&a->lock);
	free(old);
	return true;
}

bool auth_required(const struct auth *a)
{
	return a->file != NULL;
}

/* 0 if equal; looks at all AUTH_ENTRY_MAX bytes whatever they are. */
static unsigned difference(const char *stored, size_t stored_len,
			   const char *given, size_t given_len)
{
	unsigned diff = (unsigned)(stored_len ^ given_len);

	for (size_t i = 0; i < AUTH_ENTRY_MAX; i++) {
		char c = i < given_len ? given[i] : '\0';

		diff |= (unsigned char)(stored[i] ^ c);
	}
	return diff;
}

static bool auth_check(struct auth *a, struct span user, struct span password)
{
	bool found = false;

	lock_take(&a->lock);
	for (int i = 0; i < a->table->count; i++) {
		const struct auth_entry *e = &a->table->entry[i];
		unsigned diff = difference(e->user, e->user_len, user.data,
					   user.len);

		diff |= difference(e->password, e->password_len, password.data,
				   password.len);
		found |= diff == 0;
	}
	lock_give(&a->lock);
	return found;
}

/* The next word of a line; false if there is none. */
static bool next_word(struct span *rest, struct span *word)
{
	size_t i = 0;
	size_t start;

	while (i < rest->len && rest->data[i] == ' ') {
		i++;
	}
	start = i;
	while (i < rest->len && rest->data[i] != ' ') {
		i++;
	}
	*word = (struct span){ rest->data + start, i - start };
	*rest = (struct span){ rest->data + i, rest->len - i };
	return word->len > 0;
}

/* "set KEY FLAGS EXP LEN": the length of the token that follows. */
static bool announces_token(struct span line, uint32_t *token_len)
{
	struct span word;

	if (!next_word(&line, &word) || !span_is(word, "set")) {
		return false;
	}
	for (int i = 0; i < 4; i++) {
		if (!next_word(&line, &word)) {
			return false;
		}
	}
	return num_parse_u32(word.data, word.len, token_len);
}

static void auth_token(struct session *s, struct span token)
{
	struct span user;
	struct span password;

	if (!next_word(&token, &user) || !next_word(&token, &password)) {
		output_text(s, "CLIENT_ERROR bad authentication token format"
			       "\r\n");
		return;
	}
	worker_count(s->worker, auth_cmds);
	if (auth_check(&s->worker->node->auth, user, password)) {
		s->authenticated = true;
		output_reply(s, REPLY_STORED);
	} else {
		worker_count(s->worker, auth_errors);
		output_text(s, "CLIENT_ERROR authentication failure\r\n");
	}
}

size_t auth_input(struct session *s, const char *data, size_t len)
{
	const char *newline = memchr(data, '\n', len);
	struct span line = { data, 0 };
	uint32_t token_len;
	size_t head;

	if (newline == NULL) {
		s->closing = len > LINE_MAX_PENDING;
		return 0;
	}
	head = (size_t)(newline - data) + 1;
	line.len = head - 1;
	if (line.len > 0 && data[line.len - 1] == '\r') {
		line.len--;
	}
	if (head < LINE_MIN) {
		s->closing = true;
		return head;
	}
	if (!announces_token(line, &token_len)) {
		output_text(s, "CLIENT_ERROR unauthenticated\r\n");
		return head;
	}
	if (token_len > AUTH_TOKEN_MAX) {
		output_text(s, "CLIENT_ERROR auth token too long\r\n");
		s->closing = true;
		return head;
	}
	if (len - head < (size_t)token_len + 2) {
		return 0;
	}
	if (memcmp(data + head + token_len, "\r\n", 2) != 0) {
		output_text(s, "CLIENT_ERROR bad command line termination\r\n");
	} else {
		auth_token(s, (struct span){ data + head, token_len });
	}
	return head + token_len + 2;
}
