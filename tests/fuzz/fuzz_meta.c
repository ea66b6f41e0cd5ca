/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Meta lines, and the reply lines to what the parser takes of them.
 *
 * The first bytes of an input choose the command and the result; the rest
 * stands behind the command's name.
 */
#include "invariants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct choice {
	uint8_t command;
	uint8_t code;
	uint8_t marks;
	uint8_t number;
};

/* "m? REST\r\n" from memory of its size; its length. */
static char *make_line(uint8_t command, const uint8_t *rest, size_t size,
		       size_t *len)
{
	char *line = malloc(size + 5);

	check(line != NULL);
	line[0] = 'm';
	line[1] = "gsdae"[command % 5];
	line[2] = ' ';
	memcpy(line + 3, rest, size);
	for (size_t i = 3; i < size + 3; i++) {
		if (line[i] == '\n') {
			line[i] = ' ';
		}
	}
	line[size + 3] = '\r';
	line[size + 4] = '\n';
	*len = size + 5;
	return line;
}

static struct meta_result make_result(const struct choice *c,
				      const struct request *r)
{
	uint64_t big = c->number * 0x0101010101010101ULL;

	return (struct meta_result){
		.code = (enum meta_code)(c->code % 6),
		.has_item = (c->code & 0x80) != 0,
		.won = (c->marks & 1) != 0,
		.stale = (c->marks & 2) != 0,
		.won_before = (c->marks & 4) != 0,
		.created = (c->marks & 8) != 0,
		.fetched = (c->marks & 16) != 0,
		.key = (c->marks & 32) != 0 ? r->key : NULL,
		.key_len = r->key_len,
		.key_is_binary = r->binkey || (c->marks & 64) != 0,
		.value_len = (uint32_t)big,
		.cflags = (uint32_t)big,
		.idle_s = (uint32_t)big,
		.ttl_s = (int64_t)big,
		.ttl_before_s = -1,
		.cas = big,
	};
}

/* A reply is a code, what belongs to it, and an end, all on one line. */
static void check_reply(const char *out, size_t len)
{
	check(len >= 4 && len < TEXT_LINE_MAX);
	check(out[0] >= 'A' && out[0] <= 'Z');
	check(out[1] >= 'A' && out[1] <= 'Z');
	check(out[2] == ' ' || out[2] == '\r');
	check(out[len - 2] == '\r' && out[len - 1] == '\n');
	check(memchr(out, '\n', len - 1) == NULL);
}

static void compose(const struct choice *c, const struct request *r)
{
	char *out = malloc(TEXT_LINE_MAX);
	struct meta_result m = make_result(c, r);
	struct meta_debug d = {
		.key = r->key,
		.key_len = r->key_len,
		.key_is_binary = m.key_is_binary,
		.ttl_s = m.ttl_s,
		.cas = m.cas,
		.size = m.value_len,
	};
	size_t len;

	check(out != NULL);
	if (r->cmd == CMD_ME) {
		check_reply(out, meta_put_debug_line(out, &d));
	} else {
		len = meta_put_line(out, r, &m);
		if (len == 0) {
			check(meta_has(r, 'q'));
		} else {
			check_reply(out, len);
		}
	}
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choice c;
	struct request r;
	struct parsed p;
	size_t scanned = 0;
	enum parse_result result;
	size_t len;
	char *line;

	if (size < sizeof(c)) {
		return 0;
	}
	memcpy(&c, data, sizeof(c));
	line = make_line(c.command, data + sizeof(c), size - sizeof(c), &len);
	memset(&r, 0xa5, sizeof(r));
	result = text_parse(line, len, &scanned, &r, &p);
	check(result == PARSE_OK || result == PARSE_ERROR);
	check(p.consumed == len);
	check(!r.noreply);
	if (result == PARSE_OK) {
		check_request(&r, line, len);
		compose(&c, &r);
	} else {
		check_refusal(&r, &p);
	}
	check_cut(line, len, c.number % len, result, &r, &p);
	free(line);
	return 0;
}
