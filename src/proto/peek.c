/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The look ahead.  Each byte is looked at once, and of a data block none:
 * what this costs is added to every request, and pays only because it is
 * less than one cache miss.
 */
#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "base/limits.h"
#include "proto/command.h"
#include "proto/peek.h"

enum {
	WORD_SPAN = KEY_MAX + 6, /* a word, its CR, and spaces in front */
	NAME_SPAN = 8,           /* "prepend " */
	DIGITS_MAX = 10,         /* of a length that is not refused */
};

/* Where the walk stands, and the end of what has arrived. */
struct peek {
	const char *at;
	const char *end;
};

/* The end of the next `n` bytes, or of all. */
static inline const char *peek_bound(const struct peek *p, size_t n)
{
	return (size_t)(p->end - p->at) < n ? p->end : p->at + n;
}

/* Which bytes of eight are `byte`?  The lowest marked one is, those above a
 * match may be marked wrongly (A. Mycroft's test for a zero byte). */
static inline uint64_t mark(uint64_t eight, unsigned char byte)
{
	uint64_t x = eight ^ (byte * 0x0101010101010101ULL);

	return (x - 0x0101010101010101ULL) & ~x & 0x8080808080808080ULL;
}

/* The first space or newline, or `bound`; most words are keys, of some ten
 * bytes and more. */
static inline const char *word_end(const char *at, const char *bound)
{
	while (bound - at >= 8) {
		uint64_t eight;
		uint64_t marks;

		memcpy(&eight, at, sizeof(eight));
		eight = le64toh(eight);
		marks = mark(eight, ' ') | mark(eight, '\n');
		if (marks != 0) {
			return at + __builtin_ctzll(marks) / 8;
		}
		at += 8;
	}
	while (at < bound && *at != ' ' && *at != '\n') {
		at++;
	}
	return at;
}

/* Leaves p->at on the space or newline that ends the word. */
static inline bool peek_word(struct peek *p, struct span *word)
{
	const char *bound = peek_bound(p, WORD_SPAN);
	const char *at = p->at;

	while (at < bound && *at == ' ') {
		at++;
	}
	word->data = at;
	at = word_end(at, bound);
	if (at == bound) {
		return false;
	}
	p->at = at;
	word->len = (size_t)(at - word->data);
	if (word->len > 0 && *at == '\n' && at[-1] == '\r') {
		word->len--;
	}
	return word->len > 0;
}

static inline bool peek_line_end(struct peek *p)
{
	const char *newline = p->at;

	if (*newline != '\n') {
		newline = memchr(p->at, '\n', (size_t)(p->end - p->at));
		if (newline == NULL) {
			return false;
		}
	}
	p->at = newline + 1;
	return true;
}

/* A data block whose length is the next word, and the line's rest. */
static inline bool peek_block(struct peek *p)
{
	struct span word;
	uint64_t len = 0;

	if (!peek_word(p, &word) || word.len > DIGITS_MAX) {
		return false;
	}
	for (size_t i = 0; i < word.len; i++) {
		unsigned digit = (unsigned char)word.data[i] - (unsigned)'0';

		if (digit > 9) {
			return false;
		}
		len = 10 * len + digit;
	}
	len += 2;
	if (!peek_line_end(p) || (uint64_t)(p->end - p->at) < len) {
		return false;
	}
	p->at += len;
	return true;
}

static inline enum command peek_command(struct peek *p)
{
	const char *bound = peek_bound(p, NAME_SPAN);
	const char *name = p->at;
	const char *at = name;

	if (bound - name >= 4 && memcmp(name, "get ", 4) == 0) {
		p->at += 4;
		return CMD_GET;
	}
	if (bound - name >= 4 && memcmp(name, "set ", 4) == 0) {
		p->at += 4;
		return CMD_SET;
	}
	while (at < bound && *at != ' ') {
		at++;
	}
	if (at == bound) {
		return CMD_NONE;
	}
	p->at = at;
	return command_find(name, (size_t)(at - name));
}

/* One request; false when the walk is to stop in front of it. */
static bool peek_request(struct peek *p, struct span *key)
{
	enum command cmd = peek_command(p);
	struct span word;

	if (cmd == CMD_NONE) {
		return false;
	}
	switch (command_table[cmd].shape) {
	case SHAPE_STORE:
		return peek_word(p, key) && key->len <= KEY_MAX &&
		       peek_word(p, &word) && peek_word(p, &word) &&
		       peek_block(p);
	case SHAPE_META:
		if (!peek_word(p, key) || key->len > KEY_MAX) {
			return false;
		}
		return cmd == CMD_MS ? peek_block(p) : peek_line_end(p);
	case SHAPE_TIME_KEYS:
		if (!peek_word(p, &word)) {
			return false;
		}
		break;
	case SHAPE_KEYS:
	case SHAPE_DELETE:
	case SHAPE_DELTA:
	case SHAPE_TOUCH:
		break;
	default:
		return false;
	}
	return peek_word(p, key) && key->len <= KEY_MAX && peek_line_end(p);
}

size_t text_peek_keys(const char *buf, size_t len, struct span *keys,
		      size_t room)
{
	struct peek p = { buf, buf + len };
	size_t n = 0;

	while (n < room && peek_request(&p, &keys[n])) {
		n++;
	}
	return n;
}
