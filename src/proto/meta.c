/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Meta commands: from words to a request, from a result to a line.
 *
 * A line's flags are first collected and then read, because too many of them
 * is an error that comes before what is wrong with one.  Of several faults a
 * flag that is unknown or given twice is told first, then a bad argument (of
 * several the last), then a bad mode, then a long opaque.
 */
#include "base/num.h"
#include "proto/base64.h"
#include "proto/meta.h"
#include "proto/put.h"
#include "proto/text.h"

#define BIT(letter) (1ULL << ((letter) - 'A'))

#define KNOWN_FLAGS                                                            \
	(BIT('C') | BIT('D') | BIT('E') | BIT('F') | BIT('I') | BIT('J') |     \
	 BIT('L') | BIT('M') | BIT('N') | BIT('O') | BIT('P') | BIT('R') |     \
	 BIT('T') | BIT('b') | BIT('c') | BIT('f') | BIT('h') | BIT('k') |     \
	 BIT('l') | BIT('q') | BIT('s') | BIT('t') | BIT('u') | BIT('v') |     \
	 BIT('x'))

/* ---- parsing ----------------------------------------------------------- */

/*
 * Words behind the key.  The length of ms takes one of the words that a line
 * may have, so it may have one flag less.
 */
static bool collect_flags(struct meta *m, struct words *w, uint8_t max)
{
	struct span word;
	uint8_t count = 0;

	while (words_next(w, &word)) {
		struct meta_flag *f;
		size_t arg_len = word.len - 1;

		if (count == max) {
			return false;
		}
		f = &m->flags[count];
		f->letter = word.data[0];
		f->arg = word.data + 1;
		/* No argument that is read may be as long as that. */
		f->arg_len = (uint8_t)(arg_len < 255 ? arg_len : 255);
		count++;
	}
	m->count = count;
	return true;
}

static enum reply read_key(struct request *r)
{
	size_t len;

	if (!base64_decode(r->key_store, sizeof(r->key_store), r->key,
			   r->key_len, &len)) {
		return REPLY_BAD_KEY_ENCODING;
	}
	r->key = r->key_store;
	r->key_len = (uint8_t)len;
	r->binkey = true;
	return REPLY_NONE;
}

static enum reply read_number(const struct meta_flag *f, uint64_t *to,
			      enum reply error)
{
	return num_parse_u64(f->arg, f->arg_len, to) ? REPLY_NONE : error;
}

static enum reply read_time(const struct meta_flag *f, int32_t *to)
{
	int64_t n;

	if (!num_parse_s64(f->arg, f->arg_len, &n) || n < INT32_MIN ||
	    n > INT32_MAX) {
		return REPLY_BAD_TOKEN;
	}
	*to = (int32_t)n;
	return REPLY_NONE;
}

static enum reply read_flag(struct request *r, const struct meta_flag *f)
{
	struct meta *m = &r->meta;

	switch (f->letter) {
	case 'b':
		return read_key(r);
	case 'T':
		return read_time(f, &m->exptime);
	case 'N':
		return read_time(f, &m->vivify_exptime);
	case 'R':
		return read_time(f, &m->recache_time);
	case 'C':
		return read_number(f, &m->compare_cas, REPLY_BAD_TOKEN);
	case 'E':
		return read_number(f, &m->new_cas, REPLY_BAD_TOKEN);
	case 'D':
		return read_number(f, &m->delta, REPLY_BAD_META_DELTA);
	case 'J':
		return read_number(f, &m->initial, REPLY_BAD_META_INITIAL);
	case 'F':
		return num_parse_u32(f->arg, f->arg_len, &r->cflags) ?
			       REPLY_NONE :
			       REPLY_BAD_FORMAT;
	case 'M':
		m->mode = f->arg_len > 0 ? f->arg[0] : ' ';
		return REPLY_NONE;
	default:
		return REPLY_NONE;
	}
}

static enum reply read_flags(struct request *r)
{
	struct meta *m = &r->meta;
	enum reply error = REPLY_NONE;

	for (uint8_t i = 0; i < m->count; i++) {
		const struct meta_flag *f = &m->flags[i];
		unsigned char letter = (unsigned char)f->letter;
		enum reply e;

		if (letter >= 127) {
			return REPLY_DUPLICATE_FLAG;
		}
		if (letter < 'A' || letter > 'z' ||
		    (meta_bit(f->letter) & KNOWN_FLAGS) == 0) {
			return REPLY_INVALID_FLAG;
		}
		if (meta_has(r, f->letter)) {
			return REPLY_DUPLICATE_FLAG;
		}
		m->given |= meta_bit(f->letter);
		e = read_flag(r, f);
		if (e == REPLY_BAD_FORMAT && error != REPLY_NONE) {
			continue;
		}
		if (e != REPLY_NONE) {
			error = e;
		}
	}
	return error;
}

static enum reply check_mode(const struct request *r)
{
	const char *modes;
	enum reply error;

	if (!meta_has(r, 'M')) {
		return REPLY_NONE;
	}
	if (r->cmd == CMD_MS) {
		modes = "EAPRS";
		error = REPLY_BAD_MS_MODE;
	} else if (r->cmd == CMD_MA) {
		modes = "I+D-";
		error = REPLY_BAD_MA_MODE;
	} else {
		return REPLY_NONE;
	}
	return memchr(modes, r->meta.mode, strlen(modes)) != NULL ? REPLY_NONE :
								    error;
}

static enum reply check_opaque(const struct request *r)
{
	const struct meta *m = &r->meta;

	if (!meta_has(r, 'O')) {
		return REPLY_NONE;
	}
	for (uint8_t i = 0; i < m->count; i++) {
		if (m->flags[i].letter == 'O' &&
		    m->flags[i].arg_len > OPAQUE_MAX) {
			return REPLY_OPAQUE_TOO_LONG;
		}
	}
	return REPLY_NONE;
}

static enum reply parse_flags(struct request *r, struct words *w,
			      size_t key_len)
{
	uint8_t max = r->cmd == CMD_MS ? META_FLAGS_MAX - 1 : META_FLAGS_MAX;
	struct meta *m = &r->meta;

	m->given = 0;
	m->count = 0;
	m->mode = 0;
	m->delta = 1;
	m->initial = 0;
	r->cflags = 0;
	if (key_len > KEY_MAX) {
		return REPLY_BAD_FORMAT;
	}
	if (!collect_flags(m, w, max)) {
		return REPLY_FLAGS_TOO_LONG;
	}
	return read_flags(r);
}

static void set_key(struct request *r, struct span key)
{
	r->key = key.data;
	r->key_len = (uint8_t)key.len;
	r->binkey = false;
}

enum reply meta_parse(struct request *r, struct words w, uint64_t *swallow)
{
	struct span key;
	struct span len;
	uint64_t value_len;
	enum reply error;

	if (!words_next_key(&w, &key)) {
		return REPLY_BAD_FORMAT;
	}
	set_key(r, key);
	if (r->cmd == CMD_MS) {
		if (!words_next(&w, &len) ||
		    !num_parse_u64(len.data, len.len, &value_len) ||
		    value_len > VALUE_LEN_MAX) {
			return REPLY_BAD_FORMAT;
		}
		r->value_len = (uint32_t)value_len;
		*swallow = value_len + 2;
	}
	error = parse_flags(r, &w, key.len);
	if (error != REPLY_NONE) {
		return r->cmd == CMD_MA ? REPLY_INVALID_OR_DUPLICATE : error;
	}
	error = check_mode(r);
	if (error == REPLY_NONE) {
		error = check_opaque(r);
	}
	return error;
}

enum reply meta_parse_debug(struct request *r, struct words w)
{
	struct span key;
	struct span word;

	if (!words_next_key(&w, &key) || key.len > KEY_MAX) {
		return REPLY_BAD_FORMAT;
	}
	set_key(r, key);
	if (words_next(&w, &word) && span_is(word, "b") &&
	    read_key(r) != REPLY_NONE) {
		return REPLY_BAD_FORMAT;
	}
	return REPLY_NONE;
}

/* ---- composing --------------------------------------------------------- */

/* The flags that a command answers, with and without an item. */
static uint64_t answered_flags(const struct request *r,
			       const struct meta_result *m)
{
	uint64_t always = BIT('k') | BIT('O');

	if (r->cmd == CMD_MS) {
		return always | BIT('c') | BIT('s');
	}
	if (!m->has_item) {
		return always;
	}
	if (r->cmd == CMD_MG) {
		return always | BIT('c') | BIT('f') | BIT('s') | BIT('t') |
		       BIT('h') | BIT('l');
	}
	return r->cmd == CMD_MA ? always | BIT('c') | BIT('t') : always;
}

static bool is_hidden(const struct request *r, enum meta_code code)
{
	if (!meta_has(r, 'q')) {
		return false;
	}
	switch (r->cmd) {
	case CMD_MG:
		return code == META_EN;
	case CMD_MA:
		return code == META_HD || code == META_VA;
	default:
		return code == META_HD;
	}
}

static char *put_code(char *at, const struct meta_result *m)
{
	static const char codes[][3] = {
		[META_HD] = "HD", [META_VA] = "VA", [META_EN] = "EN",
		[META_NF] = "NF", [META_NS] = "NS", [META_EX] = "EX",
	};

	at = put_bytes(at, codes[m->code], 2);
	if (m->code == META_VA) {
		at = put_char(at, ' ');
		at = put_u64(at, m->value_len);
	}
	return at;
}

static char *put_meta_key(char *at, const struct request *r,
			  const struct meta_result *m)
{
	bool binary = m->key != NULL ? m->key_is_binary : r->binkey;

	if (m->key != NULL) {
		at = put_key(at, m->key, m->key_len, binary);
	} else {
		at = put_key(at, r->key, r->key_len, binary);
	}
	return binary ? put_literal(at, " b") : at;
}

static char *put_flag(char *at, const struct meta_flag *f,
		      const struct request *r, const struct meta_result *m,
		      int64_t ttl_s)
{
	at = put_char(at, ' ');
	at = put_char(at, f->letter);
	switch (f->letter) {
	case 'k':
		return put_meta_key(at, r, m);
	case 'O':
		return put_bytes(at, f->arg, f->arg_len);
	case 'c':
		return put_u64(at, m->cas);
	case 'f':
		return put_u64(at, m->cflags);
	case 's':
		return put_u64(at, m->value_len);
	case 't':
		return put_s64(at, ttl_s);
	case 'h':
		return put_char(at, m->fetched ? '1' : '0');
	default:
		return put_u64(at, m->idle_s);
	}
}

static char *put_marks(char *at, const struct meta_result *m)
{
	if (m->won_before) {
		at = put_literal(at, " Z");
	}
	if (m->stale) {
		at = put_literal(at, " X");
	}
	if (m->won) {
		at = put_literal(at, " W");
	}
	return at;
}

/* Is this the flag at which the item got the time that it has now? */
static bool sets_time(const struct meta_flag *f, const struct meta_result *m)
{
	return f->letter == 'T' || (f->letter == 'N' && m->created);
}

size_t meta_put_line(char *to, const struct request *r,
		     const struct meta_result *m)
{
	uint64_t answered = answered_flags(r, m) & r->meta.given;
	/* Flags that set the time and are still to come. */
	int setters = (meta_has(r, 'T') ? 1 : 0) +
		      (m->created && meta_has(r, 'N') ? 1 : 0);
	int64_t ttl_s = setters > 0 ? m->ttl_before_s : m->ttl_s;
	char *at;

	if (is_hidden(r, m->code)) {
		return 0;
	}
	at = put_code(to, m);
	for (uint8_t i = 0; answered != 0 && i < r->meta.count; i++) {
		const struct meta_flag *f = &r->meta.flags[i];

		if ((answered & meta_bit(f->letter)) != 0) {
			at = put_flag(at, f, r, m, ttl_s);
		} else if (sets_time(f, m)) {
			ttl_s = --setters > 0 ? m->ttl_between_s : m->ttl_s;
		}
	}
	if (r->cmd == CMD_MG && m->has_item) {
		at = put_marks(at, m);
	}
	at = put_literal(at, "\r\n");
	return (size_t)(at - to);
}
