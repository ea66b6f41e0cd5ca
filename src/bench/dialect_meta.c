/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memcached's meta commands: mg for a get, ms for a set.  A get of several
 * keys is that many quiet mg and an mn, whose MN says that no more will come.
 */
#include <string.h>

#include "base/num.h"
#include "bench/dialect.h"

static char *put(char *out, const char *text, size_t len)
{
	memcpy(out, text, len);
	return out + len;
}

static char *meta_get(const struct content *c, const uint64_t *keys,
		      uint32_t count, char *out)
{
	for (uint32_t i = 0; i < count; i++) {
		out = put(out, "mg ", 3);
		out = content_key(c, keys[i], out);
		if (count > 1) {
			out = put(out, " v k f q\r\n", 10);
		} else {
			out = put(out, " v k f\r\n", 8);
		}
	}
	return count > 1 ? put(out, "mn\r\n", 4) : out;
}

static char *meta_set(const struct content *c, uint64_t key, uint32_t ttl_s,
		      char *out)
{
	uint32_t size = content_size(c, key);

	out = put(out, "ms ", 3);
	out = content_key(c, key, out);
	*out++ = ' ';
	out += num_format_u64(out, size);
	if (ttl_s > 0) {
		out = put(out, " T", 2);
		out += num_format_u64(out, ttl_s);
	}
	out = put(out, "\r\n", 2);
	out = content_value(c, key, size, out);
	return put(out, "\r\n", 2);
}

/* Flags that come back: k and f, each once at most, in any order. */
struct tokens {
	const char *key;
	size_t key_len;
	bool has_flags;
	uint32_t flags;
};

static bool tokens_read(struct tokens *t, const char *at, const char *end)
{
	while (at < end) {
		const char *space = memchr(at, ' ', (size_t)(end - at));
		const char *stop = space != NULL ? space : end;
		size_t len = (size_t)(stop - at);

		if (len < 2) {
			return false;
		}
		if (*at == 'k' && t->key == NULL) {
			t->key = at + 1;
			t->key_len = len - 1;
		} else if (*at == 'f' && !t->has_flags) {
			t->has_flags = true;
			if (!num_parse_u32(at + 1, len - 1, &t->flags)) {
				return false;
			}
		} else {
			return false;
		}
		at = stop + (space != NULL);
	}
	return true;
}

/* "VA length kKEY fFLAGS"; false when it is not of that form. */
static bool item_line(const struct content *c, const struct ask *ask,
		      struct answer *a, struct faults *f, const char *line,
		      size_t len)
{
	struct tokens t = { .key = NULL };
	const char *at = line + strlen("VA ");
	const char *end = line + len - 2;
	const char *space = memchr(at, ' ', (size_t)(end - at));
	uint32_t size;

	if (space == NULL || !num_parse_u32(at, (size_t)(space - at), &size) ||
	    !tokens_read(&t, space + 1, end) || t.key == NULL || !t.has_flags ||
	    end[-1] == ' ' || a->next >= ask->count) {
		return false;
	}
	if (t.flags != 0 && !a->unchecked) {
		faults_note(f, FAULT_WRONG_FLAGS, line, len);
	}
	dialect_item(c, ask, a, f, line, t.key, t.key_len, size);
	return true;
}

static bool is(const char *line, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(line, text, len) == 0;
}

/* "EN", and from some servers the key behind it; false for another line. */
static bool miss_line(const struct content *c, const struct ask *ask,
		      const struct answer *a, struct faults *f,
		      const char *line, size_t len)
{
	struct tokens t = { .key = NULL };
	const char *end = line + len - 2;
	char right[256];

	if (is(line, len, "EN\r\n")) {
		return true;
	}
	if (len < 6 || memcmp(line, "EN ", 3) != 0 ||
	    !tokens_read(&t, line + 3, end) || t.key == NULL ||
	    end[-1] == ' ') {
		return false;
	}
	content_key(c, ask->keys[0], right);
	if (!a->unchecked && (t.key_len != c->key_size ||
			      memcmp(t.key, right, t.key_len) != 0)) {
		faults_note(f, FAULT_WRONG_KEY, line, len);
	}
	return true;
}

/* Of any line that begins no item. */
static enum take other_line(const struct content *c, const struct ask *ask,
			    struct answer *a, struct faults *f,
			    const char *line, size_t len)
{
	bool several = !ask->is_set && ask->count > 1;

	if (dialect_is_refusal(line, len) ||
	    (ask->is_set && is(line, len, "NS\r\n"))) {
		faults_note(f, FAULT_REFUSED, line, len);
		return several ? TAKE_PART : TAKE_DONE;
	}
	if (ask->is_set) {
		a->stored = is(line, len, "HD\r\n");
		return a->stored ? TAKE_DONE : TAKE_LOST;
	}
	if (several ? !is(line, len, "MN\r\n") :
		      !miss_line(c, ask, a, f, line, len)) {
		return TAKE_LOST;
	}
	dialect_rest_missed(ask, a);
	return TAKE_DONE;
}

static enum take meta_take(const struct content *c, const struct ask *ask,
			   struct answer *a, struct faults *f, const char *p,
			   size_t len, size_t *used)
{
	size_t line;

	if (a->in_value) {
		enum take t = dialect_value(c, a, f, p, len, used);

		return t == TAKE_DONE && ask->count > 1 ? TAKE_PART : t;
	}
	*used = 0;
	if (!dialect_line(p, len, &line)) {
		return TAKE_LOST;
	}
	if (line == 0) {
		return TAKE_MORE;
	}
	*used = line;
	if (!ask->is_set && line > 3 && memcmp(p, "VA ", 3) == 0) {
		return item_line(c, ask, a, f, p, line) ? TAKE_PART : TAKE_LOST;
	}
	return other_line(c, ask, a, f, p, line);
}

const struct dialect dialect_meta = {
	.name = "meta",
	.get_extra = 3 + 10 + 4,
	.set_extra = 3 + 1 + 2 * NUM_DIGITS + 2 + 2 + 2,
	.get = meta_get,
	.set = meta_set,
	.take = meta_take,
};
