/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What must hold for whatever a text parser made of whatever bytes.  A
 * broken one panics, which the fuzzer keeps with its input.
 */
#ifndef DOZO_TESTS_FUZZ_INVARIANTS_H
#define DOZO_TESTS_FUZZ_INVARIANTS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proto/text.h"

/* A copy that ends where its memory ends. */
static inline char *exact_copy(const char *data, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);

	check(copy != NULL);
	memcpy(copy, data, len);
	return copy;
}

static inline void check_inside(const char *data, size_t len, const char *line,
				size_t line_len)
{
	check(data >= line && data <= line + line_len);
	check(len <= (size_t)(line + line_len - data));
}

static inline void check_keys(const struct request *r, const char *line,
			      size_t len)
{
	struct span rest = r->keys;
	struct span key;
	size_t count = 0;

	check_inside(r->keys.data, r->keys.len, line, len);
	while (text_next_key(&rest, &key)) {
		check(key.len >= 1 && key.len <= KEY_MAX);
		check(memchr(key.data, ' ', key.len) == NULL);
		check(memchr(key.data, '\n', key.len) == NULL);
		check_inside(key.data, key.len, line, len);
		count++;
	}
	check(count >= 1);
}

static inline void check_meta(const struct request *r, const char *line,
			      size_t len)
{
	uint64_t seen = 0;

	check(r->meta.count <= META_FLAGS_MAX);
	for (uint8_t i = 0; i < r->meta.count; i++) {
		const struct meta_flag *f = &r->meta.flags[i];

		check(f->letter >= 'A' && f->letter <= 'z');
		check((seen & meta_bit(f->letter)) == 0);
		seen |= meta_bit(f->letter);
		check_inside(f->arg, f->arg_len, line, len);
		check(f->letter != 'O' || f->arg_len <= OPAQUE_MAX);
	}
	check(seen == r->meta.given);
}

static inline void check_words(const struct request *r, const char *line,
			       size_t len)
{
	check(r->word_count >= 1 && r->word_count <= WORDS_MAX);
	for (uint8_t i = 0; i < r->word_count; i++) {
		check(r->words[i].len > 0);
		check_inside(r->words[i].data, r->words[i].len, line, len);
	}
}

static inline void check_key(const struct request *r, const char *line,
			     size_t len)
{
	check(r->key_len >= 1 && r->key_len <= KEY_MAX);
	if (r->binkey) {
		check(r->key == r->key_store);
	} else {
		check_inside(r->key, r->key_len, line, len);
	}
}

/* Of PARSE_OK. */
static inline void check_request(const struct request *r, const char *line,
				 size_t len)
{
	const struct command_info *info;

	check(r->cmd < CMD_COUNT);
	info = &command_table[r->cmd];
	check(!r->noreply || (info->flags & (CF_META | CF_LOUD)) == 0);
	switch (info->shape) {
	case SHAPE_NONE:
		return;
	case SHAPE_WORDS:
		check_words(r, line, len);
		return;
	case SHAPE_KEYS:
	case SHAPE_TIME_KEYS:
		check_keys(r, line, len);
		break;
	case SHAPE_META:
		check_meta(r, line, len);
		break;
	default:
		break;
	}
	check_key(r, line, len);
	if ((info->flags & CF_VALUE) != 0) {
		check(r->value_len <= VALUE_LEN_MAX);
	}
}

/* Of PARSE_ERROR. */
static inline void check_refusal(const struct request *r,
				 const struct parsed *p)
{
	size_t len;

	check(r->cmd <= CMD_NONE);
	check(p->error > REPLY_NONE && p->error < REPLY_COUNT);
	check(reply_text(p->error, &len) != NULL);
	check(p->swallow <= VALUE_LEN_MAX + 2);
	if (p->swallow != 0) {
		check(r->cmd != CMD_NONE);
		check((command_table[r->cmd].flags & CF_VALUE) != 0);
	}
}

static inline void check_same(enum parse_result a, const struct request *ra,
			      const struct parsed *pa, enum parse_result b,
			      const struct request *rb, const struct parsed *pb)
{
	check(a == b);
	if (a == PARSE_CLOSE) {
		return;
	}
	check(pa->consumed == pb->consumed);
	check(ra->cmd == rb->cmd);
	check(ra->noreply == rb->noreply);
	if (a == PARSE_ERROR) {
		check(pa->error == pb->error);
		check(pa->swallow == pb->swallow);
	}
}

/*
 * The line alone, cut at `cut` and then whole, is what it was among others.
 * A cut line waits, unless it is too long to wait.
 */
static inline void check_cut(const char *line, size_t len, size_t cut,
			     enum parse_result result, const struct request *r,
			     const struct parsed *p)
{
	struct request again;
	struct parsed p2;
	size_t scanned = 0;
	char *part = exact_copy(line, cut);
	char *whole = exact_copy(line, len);
	enum parse_result first = text_parse(part, cut, &scanned, &again, &p2);

	if (first == PARSE_MORE) {
		check(scanned == cut);
	} else {
		check(first == PARSE_CLOSE && cut > LINE_MAX_PENDING);
		scanned = 0;
	}
	memset(&again, 0x5a, sizeof(again));
	check_same(result, r, p, text_parse(whole, len, &scanned, &again, &p2),
		   &again, &p2);
	free(part);
	free(whole);
}

#endif
