/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes through the text parser, line after line, as a session would.
 */
#include "invariants.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data;
	size_t len;

	while (size > 0) {
		len = try_line(at, size);
		if (len == 0) {
			break;
		}
		at += len;
		size -= len;
	}
	return 0;
}
