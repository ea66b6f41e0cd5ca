/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parser tests as tables: a line, and in one text what the parser made of
 * it.
 *
 *	"set a flags=1 exp=0 len=5 noreply"	a request
 *	"set: BAD_FORMAT swallow=7 silent"	a refusal and its rest
 *	"close", "more"
 *
 * Each line is parsed from memory of exactly its size, so that a sanitizer
 * sees a byte read too many; whole, with other bytes behind it, and cut at
 * every place.  The request is filled with rubbish first: a field that the
 * parser forgot shows.
 */
#ifndef DOZO_TESTS_PROTO_DESCRIBE_H
#define DOZO_TESTS_PROTO_DESCRIBE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/text.h"

struct line_case {
	const char *line;
	size_t len;
	const char *expected;
};

/* A case; the line may hold NUL. */
#define LINE(text, expected)                                                   \
	{                                                                      \
		text, sizeof(text) - 1, expected                               \
	}

/* The longest key, and one that is too long. */
#define K250                                                                   \
	"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"                   \
	"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"                   \
	"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"                   \
	"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"                   \
	"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define K251 K250 "k"

struct description {
	char text[4096];
	size_t len;
};

static inline void __attribute__((format(printf, 2, 3)))
say(struct description *d, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(d->text + d->len, sizeof(d->text) - d->len, format, args);
	va_end(args);
	assert_true(n >= 0 && (size_t)n < sizeof(d->text) - d->len);
	d->len += (size_t)n;
}

/* Bytes that do not print come as \xNN, long runs as a count. */
static inline void say_bytes(struct description *d, const char *data,
			     size_t len)
{
	if (len > 64) {
		say(d, "<%zu>", len);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)data[i];

		if (byte > ' ' && byte < 127) {
			say(d, "%c", byte);
		} else {
			say(d, "\\x%02x", byte);
		}
	}
}

static inline const char *reply_name(enum reply code)
{
	static const char *const names[REPLY_COUNT] = { "NONE",
#define REPLY(symbol, text) #symbol,
							REPLY_LIST
#undef REPLY
	};

	assert_true(code < REPLY_COUNT);
	return names[code];
}

static inline void say_keys(struct description *d, const struct request *r)
{
	struct span rest = r->keys;
	struct span key;
	bool first = true;

	while (text_next_key(&rest, &key)) {
		if (first) {
			assert_ptr_equal(key.data, r->key);
			assert_int_equal(key.len, r->key_len);
			first = false;
		}
		say(d, " ");
		say_bytes(d, key.data, key.len);
	}
}

static inline void say_flag(struct description *d, const struct request *r,
			    const struct meta_flag *f)
{
	const struct meta *m = &r->meta;

	assert_true(meta_has(r, f->letter));
	say(d, " %c", f->letter);
	switch (f->letter) {
	case 'C':
		say(d, "=%llu", (unsigned long long)m->compare_cas);
		break;
	case 'E':
		say(d, "=%llu", (unsigned long long)m->new_cas);
		break;
	case 'D':
		say(d, "=%llu", (unsigned long long)m->delta);
		break;
	case 'J':
		say(d, "=%llu", (unsigned long long)m->initial);
		break;
	case 'F':
		say(d, "=%u", r->cflags);
		break;
	case 'T':
		say(d, "=%d", m->exptime);
		break;
	case 'N':
		say(d, "=%d", m->vivify_exptime);
		break;
	case 'R':
		say(d, "=%d", m->recache_time);
		break;
	case 'M':
		say(d, "=%c", m->mode);
		break;
	default:
		say_bytes(d, f->arg, f->arg_len);
	}
}

static inline void say_meta(struct description *d, const struct request *r)
{
	say(d, " ");
	say_bytes(d, r->key, r->key_len);
	if (r->binkey) {
		say(d, " binkey");
	}
	if (r->cmd == CMD_ME) {
		return;
	}
	if (r->cmd == CMD_MS) {
		say(d, " len=%u", r->value_len);
	}
	for (uint8_t i = 0; i < r->meta.count; i++) {
		say_flag(d, r, &r->meta.flags[i]);
	}
	assert_true(meta_has(r, 'F') || r->cflags == 0);
	assert_true(meta_has(r, 'D') || r->meta.delta == 1);
	assert_true(meta_has(r, 'J') || r->meta.initial == 0);
	assert_true(meta_has(r, 'M') == (r->meta.mode != 0));
}

static inline void say_classic(struct description *d, const struct request *r)
{
	assert_false(r->binkey);
	say(d, " ");
	say_bytes(d, r->key, r->key_len);
	switch (command_table[r->cmd].shape) {
	case SHAPE_STORE:
		say(d, " flags=%u exp=%d len=%u", r->cflags, r->exptime,
		    r->value_len);
		if (r->cmd == CMD_CAS) {
			say(d, " cas=%llu", (unsigned long long)r->cas);
		}
		break;
	case SHAPE_DELTA:
		say(d, " by=%llu", (unsigned long long)r->delta);
		break;
	case SHAPE_TOUCH:
		say(d, " exp=%d", r->exptime);
		break;
	default:
		break;
	}
}

static inline void say_words(struct description *d, const struct request *r)
{
	assert_true(r->word_count >= 1 && r->word_count <= WORDS_MAX);
	assert_true(span_is(r->words[0], command_table[r->cmd].name));
	for (uint8_t i = 1; i < r->word_count; i++) {
		say(d, "|");
		say_bytes(d, r->words[i].data, r->words[i].len);
	}
}

static inline void say_request(struct description *d, const struct request *r)
{
	const struct command_info *info;

	assert_true(r->cmd < CMD_COUNT);
	info = &command_table[r->cmd];
	say(d, "%s", info->name);
	switch (info->shape) {
	case SHAPE_NONE:
		break;
	case SHAPE_TIME_KEYS:
		say(d, " exp=%d", r->exptime);
		say_keys(d, r);
		break;
	case SHAPE_KEYS:
		say_keys(d, r);
		break;
	case SHAPE_META:
	case SHAPE_META_DEBUG:
		say_meta(d, r);
		break;
	case SHAPE_WORDS:
		say_words(d, r);
		break;
	default:
		say_classic(d, r);
	}
	say(d, "%s", r->noreply ? " noreply" : "");
}

static inline void describe(struct description *d, enum parse_result result,
			    const struct request *r, const struct parsed *p)
{
	d->len = 0;
	d->text[0] = '\0';
	switch (result) {
	case PARSE_MORE:
		say(d, "more");
		return;
	case PARSE_CLOSE:
		say(d, "close");
		return;
	case PARSE_OK:
		assert_int_equal(p->swallow, 0);
		say_request(d, r);
		return;
	case PARSE_ERROR:
		say(d, "%s: %s",
		    r->cmd == CMD_NONE ? "-" : command_table[r->cmd].name,
		    reply_name(p->error));
		if (p->swallow != 0) {
			say(d, " swallow=%llu", (unsigned long long)p->swallow);
		}
		say(d, "%s", r->noreply ? " silent" : "");
		return;
	}
	fail_msg("no such result: %d", (int)result);
}

/* Parses `len` bytes from memory of exactly that size. */
static inline enum parse_result describe_parse(const char *bytes, size_t len,
					       size_t *scanned,
					       struct description *d,
					       struct parsed *p)
{
	struct request *r = malloc(sizeof(*r));
	char *exact = malloc(len > 0 ? len : 1);
	enum parse_result result;

	assert_non_null(r);
	assert_non_null(exact);
	memset(r, 0xa5, sizeof(*r));
	memset(p, 0xa5, sizeof(*p));
	memcpy(exact, bytes, len);
	result = text_parse(exact, len, scanned, r, p);
	describe(d, result, r, p);
	free(exact);
	free(r);
	return result;
}

/* The line cut at `cut`: nothing at first, then what it would be whole. */
static inline void check_cut(const struct line_case *c, size_t cut)
{
	struct description d;
	struct parsed p;
	size_t scanned = 0;

	assert_int_equal(describe_parse(c->line, cut, &scanned, &d, &p),
			 PARSE_MORE);
	assert_int_equal(scanned, cut);
	describe_parse(c->line, c->len, &scanned, &d, &p);
	assert_string_equal(d.text, c->expected);
	assert_int_equal(scanned, 0);
}

/* Byte after byte, with `scanned` carried on. */
static inline void check_trickle(const struct line_case *c)
{
	struct description d;
	struct parsed p;
	size_t scanned = 0;

	for (size_t n = 0; n < c->len; n++) {
		assert_int_equal(describe_parse(c->line, n, &scanned, &d, &p),
				 PARSE_MORE);
	}
	describe_parse(c->line, c->len, &scanned, &d, &p);
	assert_string_equal(d.text, c->expected);
	assert_int_equal(scanned, 0);
}

static inline void check_line(const struct line_case *c)
{
	static const char behind[] = "get other\r\n";
	char *longer = malloc(c->len + sizeof(behind));
	struct description d;
	struct parsed p;
	size_t scanned = 0;

	assert_non_null(longer);
	describe_parse(c->line, c->len, &scanned, &d, &p);
	if (strcmp(d.text, c->expected) != 0) {
		fail_msg("%.*s\n  expected: %s\n  got:      %s", (int)c->len,
			 c->line, c->expected, d.text);
	}
	if (strcmp(d.text, "close") != 0) {
		assert_int_equal(p.consumed, c->len);
		assert_int_equal(scanned, 0);
	}
	memcpy(longer, c->line, c->len);
	memcpy(longer + c->len, behind, sizeof(behind));
	describe_parse(longer, c->len + sizeof(behind), &scanned, &d, &p);
	assert_string_equal(d.text, c->expected);
	free(longer);
	if (c->len > 600) {
		return;
	}
	for (size_t cut = 0; cut < c->len; cut++) {
		check_cut(c, cut);
	}
	check_trickle(c);
}

static inline void check_lines(const struct line_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		check_line(&cases[i]);
	}
}

#define CHECK_LINES(cases) check_lines(cases, sizeof(cases) / sizeof(*(cases)))

/* A line made of `head`, `count` times `fill`, and `tail`. */
static inline void check_filled(const char *head, size_t count, char fill,
				const char *tail, const char *expected)
{
	size_t head_len = strlen(head);
	size_t tail_len = strlen(tail);
	char *line = malloc(head_len + count + tail_len);
	struct line_case c = { line, head_len + count + tail_len, expected };

	assert_non_null(line);
	memcpy(line, head, head_len);
	memset(line + head_len, fill, count);
	memcpy(line + head_len + count, tail, tail_len);
	check_line(&c);
	free(line);
}

#endif
