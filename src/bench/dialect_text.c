/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memcached's classic text protocol: get and set.
 */
#include <string.h>

#include "base/num.h"
#include "bench/dialect.h"

static char *put(char *out, const char *text, size_t len)
{
	memcpy(out, text, len);
	return out + len;
}

static char *text_get(const struct content *c, const uint64_t *keys,
		      uint32_t count, char *out)
{
	out = put(out, "get", 3);
	for (uint32_t i = 0; i < count; i++) {
		*out++ = ' ';
		out = content_key(c, keys[i], out);
	}
	return put(out, "\r\n", 2);
}

static char *text_set(const struct content *c, uint64_t key, uint32_t ttl_s,
		      char *out)
{
	uint32_t size = content_size(c, key);

	out = put(out, "set ", 4);
	out = content_key(c, key, out);
	out = put(out, " 0 ", 3);
	out += num_format_u64(out, ttl_s);
	*out++ = ' ';
	out += num_format_u64(out, size);
	out = put(out, "\r\n", 2);
	out = content_value(c, key, size, out);
	return put(out, "\r\n", 2);
}

/* The word at *at and a space or the end behind it; moves *at past both. */
static size_t next_word(const char **at, const char *end)
{
	const char *space = memchr(*at, ' ', (size_t)(end - *at));
	size_t len = (size_t)((space != NULL ? space : end) - *at);

	*at += len + (space != NULL);
	return len;
}

/* "VALUE key flags length"; false when it is not of that form. */
static bool item_line(const struct content *c, const struct ask *ask,
		      struct answer *a, struct faults *f, const char *line,
		      size_t len)
{
	const char *end = line + len - 2;
	const char *key = line + strlen("VALUE ");
	const char *flags = key;
	const char *length;
	const char *behind;
	size_t key_len = next_word(&flags, end);
	size_t flags_len;
	uint32_t flags_number;
	uint32_t size;

	length = flags;
	flags_len = next_word(&length, end);
	behind = length;
	if (!num_parse_u32(flags, flags_len, &flags_number) ||
	    !num_parse_u32(length, next_word(&behind, end), &size) ||
	    behind != end || end[-1] == ' ' || a->next >= ask->count) {
		return false;
	}
	if (flags_number != 0 && !a->unchecked) {
		faults_note(f, FAULT_WRONG_FLAGS, line, len);
	}
	dialect_item(c, ask, a, f, line, key, key_len, size);
	return true;
}

static bool is(const char *line, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(line, text, len) == 0;
}

/* Of the last line; TAKE_LOST when it is none. */
static enum take last_line(const struct ask *ask, struct answer *a,
			   struct faults *f, const char *line, size_t len)
{
	if (dialect_is_refusal(line, len) ||
	    (ask->is_set && is(line, len, "NOT_STORED\r\n"))) {
		faults_note(f, FAULT_REFUSED, line, len);
		return TAKE_DONE;
	}
	if (ask->is_set) {
		a->stored = is(line, len, "STORED\r\n");
		return a->stored ? TAKE_DONE : TAKE_LOST;
	}
	if (!is(line, len, "END\r\n")) {
		return TAKE_LOST;
	}
	dialect_rest_missed(ask, a);
	return TAKE_DONE;
}

static enum take text_take(const struct content *c, const struct ask *ask,
			   struct answer *a, struct faults *f, const char *p,
			   size_t len, size_t *used)
{
	size_t line;

	if (a->in_value) {
		enum take t = dialect_value(c, a, f, p, len, used);

		return t == TAKE_DONE ? TAKE_PART : t;
	}
	*used = 0;
	if (!dialect_line(p, len, &line)) {
		return TAKE_LOST;
	}
	if (line == 0) {
		return TAKE_MORE;
	}
	*used = line;
	if (!ask->is_set && line > 6 && memcmp(p, "VALUE ", 6) == 0) {
		return item_line(c, ask, a, f, p, line) ? TAKE_PART : TAKE_LOST;
	}
	return last_line(ask, a, f, p, line);
}

const struct dialect dialect_text = {
	.name = "text",
	.get_extra = 5,
	.set_extra = 4 + 3 + 2 * NUM_DIGITS + 1 + 2 + 2,
	.get = text_get,
	.set = text_set,
	.take = text_take,
};
