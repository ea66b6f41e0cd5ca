/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The words of the text protocol for each reply code.
 */
#include "base/check.h"
#include "proto/reply.h"

static const struct {
	const char *text;
	size_t len;
} replies[REPLY_COUNT] = {
#define REPLY(symbol, words)                                                   \
	[REPLY_##symbol] = { words "\r\n", sizeof(words "\r\n") - 1 },
	REPLY_LIST
#undef REPLY
};

const char *reply_text(enum reply code, size_t *len)
{
	check(code > REPLY_NONE && code < REPLY_COUNT);
	*len = replies[code].len;
	return replies[code].text;
}
