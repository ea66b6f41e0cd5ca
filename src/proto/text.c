/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The text protocol: finding a line, its command, and the words of the
 * classic commands.
 *
 * A line is walked once: the newline is searched with memchr(), the command
 * is told by its name, and the words are read in the order in which its
 * shape has them.  Fields of the request that a shape does not have are not
 * touched, since clearing them all would cost more than the parsing.
 */
#include <string.h>

#include "base/check.h"
#include "base/num.h"
#include "proto/command.h"
#include "proto/meta.h"
#include "proto/text.h"
#include "proto/words.h"

#define NOREPLY "noreply"

enum {
	NOREPLY_LEN = sizeof(NOREPLY) - 1,
	LINE_MIN = 4, /* bytes of the shortest command with its CR LF */
	LEAD_SPACES_MAX = 100, /* in front of a get that may be long */
};

/* ---- words of the classic commands ------------------------------------- */

/* Is the line's last word, which begins at `from` or later, noreply? */
static bool ends_noreply(const struct words *w, const char *from)
{
	size_t len = (size_t)(w->end - from);

	return len >= NOREPLY_LEN &&
	       memcmp(w->end - NOREPLY_LEN, NOREPLY, NOREPLY_LEN) == 0 &&
	       (len == NOREPLY_LEN || w->end[-NOREPLY_LEN - 1] == ' ');
}

static void set_key(struct request *r, struct span key)
{
	r->key = key.data;
	r->key_len = (uint8_t)key.len;
	r->binkey = false;
}

static enum reply parse_keys(struct request *r, struct words w)
{
	struct span key;

	if (!words_next_key(&w, &key)) {
		return REPLY_BAD_FORMAT;
	}
	set_key(r, key);
	r->keys.data = key.data;
	r->keys.len = (size_t)(w.end - key.data);
	do {
		if (key.len > KEY_MAX) {
			return REPLY_BAD_FORMAT;
		}
	} while (words_next_key(&w, &key));
	return REPLY_NONE;
}

static bool parse_exptime(struct span word, int32_t *out)
{
	int64_t n;

	if (!num_parse_s64(word.data, word.len, &n) || n < INT32_MIN ||
	    n > INT32_MAX) {
		return false;
	}
	*out = (int32_t)n;
	return true;
}

static enum reply parse_time_keys(struct request *r, struct words w)
{
	struct span time;

	if (!words_next(&w, &time) || !words_skip_spaces(&w)) {
		return REPLY_BAD_FORMAT;
	}
	if (!parse_exptime(time, &r->exptime)) {
		return REPLY_BAD_EXPTIME;
	}
	return parse_keys(r, w);
}

/*
 * Storage commands take any 64-bit time.  What is beyond 32 bits has always
 * meant "expired at once", on either side.
 */
static bool parse_store_exptime(struct span word, int32_t *out)
{
	int64_t n;

	if (!num_parse_s64(word.data, word.len, &n)) {
		return false;
	}
	*out = n < INT32_MIN || n > INT32_MAX ? -1 : (int32_t)n;
	return true;
}

static bool parse_cflags(struct span word, uint32_t *out)
{
	uint64_t n;

	if (!num_parse_u64(word.data, word.len, &n)) {
		return false;
	}
	*out = (uint32_t)n; /* cut to 32 bits, as clients know it */
	return true;
}

static bool parse_cas(struct request *r, struct words *w)
{
	struct span word;

	return words_next(w, &word) &&
	       num_parse_u64(word.data, word.len, &r->cas);
}

static enum reply parse_store(struct request *r, struct words w,
			      uint64_t *swallow)
{
	struct span key;
	struct span flags;
	struct span time;
	struct span len;
	uint64_t value_len;

	if (!words_next_key(&w, &key) || !words_next(&w, &flags) ||
	    !words_next(&w, &time) || !words_next(&w, &len) ||
	    !num_parse_u64(len.data, len.len, &value_len) ||
	    value_len > VALUE_LEN_MAX) {
		return REPLY_BAD_FORMAT;
	}
	r->value_len = (uint32_t)value_len;
	r->noreply = ends_noreply(&w, w.at);
	*swallow = value_len + 2;
	set_key(r, key);
	if (key.len > KEY_MAX || !parse_cflags(flags, &r->cflags) ||
	    !parse_store_exptime(time, &r->exptime) ||
	    (r->cmd == CMD_CAS && !parse_cas(r, &w))) {
		return REPLY_BAD_FORMAT;
	}
	return REPLY_NONE;
}

/* May this stand behind the key of a delete? */
static bool is_delete_tail(struct words w)
{
	struct span first;
	struct span second;
	uint64_t n;

	if (!words_next(&w, &first)) {
		return true;
	}
	if (!words_next(&w, &second)) {
		return span_is(first, "0") || span_is(first, NOREPLY);
	}
	return num_parse_u64(first.data, first.len, &n) &&
	       span_is(second, NOREPLY) && !words_skip_spaces(&w);
}

static enum reply parse_delete(struct request *r, struct words w)
{
	struct span key;

	if (!words_next_key(&w, &key)) {
		return REPLY_BAD_FORMAT;
	}
	r->noreply = ends_noreply(&w, w.at);
	set_key(r, key);
	if (key.len > KEY_MAX) {
		return REPLY_BAD_FORMAT;
	}
	return is_delete_tail(w) ? REPLY_NONE : REPLY_BAD_DELETE;
}

/* A key and one argument behind it: incr, decr, touch. */
static enum reply parse_key_arg(struct request *r, struct words w)
{
	struct span key;
	struct span arg;

	if (!words_next_key(&w, &key) || !words_next(&w, &arg)) {
		return REPLY_BAD_FORMAT;
	}
	r->noreply = ends_noreply(&w, arg.data);
	set_key(r, key);
	if (key.len > KEY_MAX) {
		return REPLY_BAD_FORMAT;
	}
	if (r->cmd == CMD_TOUCH) {
		return parse_exptime(arg, &r->exptime) ? REPLY_NONE :
							 REPLY_BAD_EXPTIME;
	}
	return num_parse_u64(arg.data, arg.len, &r->delta) ? REPLY_NONE :
							     REPLY_BAD_DELTA;
}

/* The words for a handler; noreply is not one of them. */
static void parse_words(struct request *r, struct words w, struct span name)
{
	uint8_t count = 1;

	if ((command_table[r->cmd].flags & CF_LOUD) == 0 &&
	    ends_noreply(&w, w.at)) {
		r->noreply = true;
		w.end -= NOREPLY_LEN;
	}
	r->words[0] = name;
	while (count < WORDS_MAX && words_next(&w, &r->words[count])) {
		count++;
	}
	r->word_count = count;
}

/* ---- a line ------------------------------------------------------------ */

static enum reply parse_shape(struct request *r, struct words w,
			      struct span name, uint64_t *swallow)
{
	switch (command_table[r->cmd].shape) {
	case SHAPE_KEYS:
		return parse_keys(r, w);
	case SHAPE_TIME_KEYS:
		return parse_time_keys(r, w);
	case SHAPE_STORE:
		return parse_store(r, w, swallow);
	case SHAPE_DELETE:
		return parse_delete(r, w);
	case SHAPE_DELTA:
	case SHAPE_TOUCH:
		return parse_key_arg(r, w);
	case SHAPE_META:
		return meta_parse(r, w, swallow);
	case SHAPE_META_DEBUG:
		return meta_parse_debug(r, w);
	case SHAPE_WORDS:
		parse_words(r, w, name);
		return REPLY_NONE;
	case SHAPE_NONE:
		return REPLY_NONE;
	}
	return REPLY_ERROR;
}

/* The first word of a line; empty if the line begins with a space. */
static struct span first_word(const struct words *w)
{
	const char *at = w->at;

	while (at < w->end && *at != ' ') {
		at++;
	}
	return (struct span){ w->at, (size_t)(at - w->at) };
}

/* A web browser that lost its way, and what it is made to send by others. */
static bool is_http(const struct words *w)
{
	const char *at = w->end;

	while (at > w->at && at[-1] != ' ') {
		at--;
	}
	return w->end - at >= 5 && memcmp(at, "HTTP/", 5) == 0;
}

static enum parse_result parse_unknown(const struct words *w, struct request *r,
				       struct parsed *p)
{
	if (is_http(w)) {
		return PARSE_CLOSE;
	}
	r->noreply = ends_noreply(w, w->at);
	p->error = REPLY_ERROR;
	return PARSE_ERROR;
}

static enum parse_result parse_line(struct words w, struct request *r,
				    struct parsed *p)
{
	struct span name = { w.at, 3 };
	size_t len = (size_t)(w.end - w.at);

	r->noreply = false;
	if (len > 4 && memcmp(w.at, "get ", 4) == 0) {
		r->cmd = CMD_GET;
		w.at += 3;
		p->error = parse_keys(r, w);
	} else if (len > 4 && memcmp(w.at, "set ", 4) == 0) {
		r->cmd = CMD_SET;
		w.at += 3;
		p->error = parse_store(r, w, &p->swallow);
	} else {
		name = first_word(&w);
		r->cmd = command_find(name.data, name.len);
		if (r->cmd == CMD_NONE) {
			return parse_unknown(&w, r, p);
		}
		w.at += name.len;
		p->error = parse_shape(r, w, name, &p->swallow);
	}
	if (p->error != REPLY_NONE) {
		return PARSE_ERROR;
	}
	p->swallow = 0;
	return PARSE_OK;
}

/* May this unfinished line be longer than others? */
static bool is_long_get(const char *buf, size_t len)
{
	size_t at = 0;

	while (at <= LEAD_SPACES_MAX && at < len && buf[at] == ' ') {
		at++;
	}
	if (at > LEAD_SPACES_MAX || len - at < 5) {
		return false;
	}
	return memcmp(buf + at, "get ", 4) == 0 ||
	       memcmp(buf + at, "gets ", 5) == 0;
}

enum parse_result text_parse(const char *buf, size_t len, size_t *scanned,
			     struct request *r, struct parsed *p)
{
	struct words w = { buf, NULL };

	check(*scanned <= len);
	if (*scanned < len) {
		w.end = memchr(buf + *scanned, '\n', len - *scanned);
	}
	if (w.end == NULL) {
		if (len > LINE_MAX_PENDING && !is_long_get(buf, len)) {
			return PARSE_CLOSE;
		}
		*scanned = len;
		return PARSE_MORE;
	}
	*scanned = 0;
	p->consumed = (size_t)(w.end - buf) + 1;
	p->swallow = 0;
	if (w.end > buf && w.end[-1] == '\r') {
		w.end--;
	}
	while (w.end > buf && w.end[-1] == ' ') {
		w.end--;
	}
	if (p->consumed < LINE_MIN || w.end == buf) {
		r->cmd = CMD_NONE;
		r->noreply = false;
		p->error = REPLY_BAD_FORMAT;
		return PARSE_ERROR;
	}
	return parse_line(w, r, p);
}

bool text_next_key(struct span *rest, struct span *key)
{
	struct words w = { rest->data, rest->data + rest->len };

	if (!words_next_key(&w, key)) {
		return false;
	}
	rest->data = w.at;
	rest->len = (size_t)(w.end - w.at);
	return true;
}
