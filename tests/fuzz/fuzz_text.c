/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes through the text parser, line after line, as a session would;
 * and through the look ahead, which must see keys and nothing else.
 */
#include "invariants.h"
#include "proto/peek.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One line; its length, or 0 when there is no further one. */
static size_t try_line(const char *at, size_t left)
{
	struct request r;
	struct parsed p;
	size_t scanned = 0;
	const char *newline = memchr(at, '\n', left);
	enum parse_result result;
	size_t len;

	memset(&r, 0xa5, sizeof(r));
	result = text_parse(at, left, &scanned, &r, &p);
	if (newline == NULL) {
		check(result == PARSE_MORE || result == PARSE_CLOSE);
		check(result == PARSE_CLOSE || scanned == left);
		check(result == PARSE_MORE || left > LINE_MAX_PENDING);
		return 0;
	}
	check(result != PARSE_MORE);
	len = (size_t)(newline - at) + 1;
	if (result == PARSE_OK) {
		check(p.consumed == len);
		check_request(&r, at, len);
	} else if (result == PARSE_ERROR) {
		check(p.consumed == len);
		check_refusal(&r, &p);
	}
	check_cut(at, len, (unsigned char)at[len / 2] % len, result, &r, &p);
	return len;
}

/* What the parser accepts has the key that was seen. */
static void check_first(const char *at, size_t left, struct span key)
{
	struct request r;
	struct parsed p;
	size_t scanned = 0;
	enum parse_result result = text_parse(at, left, &scanned, &r, &p);

	check(result != PARSE_MORE);
	if (result == PARSE_OK && !r.binkey) {
		check(r.key_len == key.len);
		check(memcmp(r.key, key.data, key.len) == 0);
	}
}

/*
 * The look ahead sees keys that lie in the buffer in the order of their
 * requests, and the first is the one that the parser reads.
 */
static void try_peek(const char *data, size_t size)
{
	enum { ROOM = 16 };
	struct span keys[ROOM];
	char *copy = exact_copy(data, size);
	size_t n = text_peek_keys(copy, size, keys, ROOM);
	const char *from = copy;

	check(n <= ROOM);
	if (n > 0) {
		check_first(copy, size, keys[0]);
	}
	for (size_t i = 0; i < n; i++) {
		check(keys[i].len >= 1 && keys[i].len <= KEY_MAX);
		check(memchr(keys[i].data, ' ', keys[i].len) == NULL);
		check(memchr(keys[i].data, '\n', keys[i].len) == NULL);
		/* One after the other, each with a name before it. */
		check(keys[i].data >= from + 3);
		from = keys[i].data + keys[i].len;
		check(from < copy + size);
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data;
	size_t len;

	while (size > 0) {
		try_peek(at, size);
		len = try_line(at, size);
		if (len == 0) {
			break;
		}
		at += len;
		size -= len;
	}
	return 0;
}
