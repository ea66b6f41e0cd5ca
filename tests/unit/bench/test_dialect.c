/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both dialects: what they ask, and what they make of replies, right ones and
 * wrong ones, whole and byte by byte.  Each case gives a reply in words in
 * which K and L stand for the keys asked for, V and W for their values, N for
 * a value's length; the outcome must be the same however the reply is cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "bench/dialect.h"

enum { VALUE = 20, ROOM = 4096, KEYS = 2 };

static const uint64_t keys[KEYS] = { 1, 2 };

static struct content content;

static int setup(void **state)
{
	const struct size_law law = { .kind = SIZE_FIXED, .max = VALUE };

	(void)state;
	return content_init(&content, 16, &law) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	content_release(&content);
	return 0;
}

/* Fills the words in; the length. */
static size_t fill_in(const char *form, char *out)
{
	char *at = out;

	for (; *form != '\0'; form++) {
		switch (*form) {
		case '\n':
			*at++ = '\r';
			*at++ = '\n';
			break;
		case '$':
			form++;
			if (*form == 'K' || *form == 'L') {
				at = content_key(&content, keys[*form == 'L'],
						 at);
			} else if (*form == 'N') {
				memcpy(at, "20", 2);
				at += 2;
			} else {
				at = content_value(&content, keys[*form == 'W'],
						   VALUE, at);
			}
			break;
		default:
			*at++ = *form;
			break;
		}
	}
	return (size_t)(at - out);
}

struct outcome {
	bool done;
	bool lost;
	size_t used;
	struct answer answer;
	struct faults faults;
	uint64_t missed[KEYS];
};

/* Gives a reply in pieces of `piece` bytes, each from memory of its size. */
static void give(const struct dialect *d, const struct ask *ask,
		 const char *reply, size_t len, size_t piece, struct outcome *o)
{
	size_t have = 0;

	memset(o, 0, sizeof(*o));
	o->answer.missed = o->missed;
	while (have < len && !o->done && !o->lost) {
		have = have + piece < len ? have + piece : len;
		while (o->used < have && !o->done && !o->lost) {
			size_t n = have - o->used;
			char *copy = malloc(n);
			size_t used = 0;
			enum take t;

			assert_non_null(copy);
			memcpy(copy, reply + o->used, n);
			t = d->take(&content, ask, &o->answer, &o->faults, copy,
				    n, &used);
			free(copy);
			assert_true(used <= n);
			assert_true(t != TAKE_PART || used > 0);
			o->used += used;
			o->done = t == TAKE_DONE;
			o->lost = t == TAKE_LOST;
			if (t == TAKE_MORE) {
				assert_int_equal(used, 0);
				break;
			}
		}
	}
}

struct expected {
	const struct dialect *dialect;
	uint32_t count; /* keys of a get; 0: a set */
	const char *reply;
	uint32_t hits, misses;
	int fault; /* -1: none */
	bool lost;
	bool more; /* the reply is not complete */
};

static void check_case(const struct expected *e)
{
	char reply[ROOM];
	size_t len = fill_in(e->reply, reply);
	struct ask ask = { .is_set = e->count == 0,
			   .count = e->count == 0 ? 1 : e->count,
			   .keys = keys };

	for (size_t piece = len; piece > 0; piece = piece * 2 / 3) {
		struct outcome o;

		give(e->dialect, &ask, reply, len, piece, &o);
		if (o.lost != e->lost || o.done != (!e->lost && !e->more)) {
			fail_msg("%s in pieces of %zu", e->reply, piece);
		}
		if (e->lost || e->more) {
			continue;
		}
		assert_int_equal(o.used, len);
		if (o.answer.hits != e->hits || o.answer.misses != e->misses ||
		    faults_sum(&o.faults) != (e->fault >= 0) ||
		    (e->fault >= 0 && o.faults.count[e->fault] != 1)) {
			fail_msg("%s in pieces of %zu: %s", e->reply, piece,
				 o.faults.sample);
		}
		assert_int_equal(o.answer.stored,
				 e->count == 0 && e->fault < 0);
		if (e->misses == KEYS) {
			assert_memory_equal(o.missed, keys, sizeof(keys));
		}
	}
}

static void test_text_replies(void **state)
{
	static const struct dialect *const d = &dialect_text;
	const struct expected cases[] = {
		{ d, 1, "VALUE $K 0 $N\n$V\nEND\n", 1, 0, -1, 0, 0 },
		{ d, 1, "END\n", 0, 1, -1, 0, 0 },
		{ d, 2, "VALUE $K 0 $N\n$V\nVALUE $L 0 $N\n$W\nEND\n", 2, 0, -1,
		  0, 0 },
		{ d, 2, "VALUE $L 0 $N\n$W\nEND\n", 1, 1, -1, 0, 0 },
		{ d, 2, "END\n", 0, 2, -1, 0, 0 },
		{ d, 0, "STORED\n", 0, 0, -1, 0, 0 },
		/* Wrong, and yet the stream goes on. */
		{ d, 1, "VALUE $K 0 $N\n$W\nEND\n", 1, 0, FAULT_UNKNOWN_VALUE,
		  0, 0 },
		{ d, 1, "VALUE $K 5 $N\n$V\nEND\n", 1, 0, FAULT_WRONG_FLAGS, 0,
		  0 },
		{ d, 1, "VALUE $K 0 3\nabc\nEND\n", 1, 0, FAULT_WRONG_LENGTH, 0,
		  0 },
		{ d, 1, "VALUE $L 0 $N\n$W\nEND\n", 0, 1, FAULT_WRONG_KEY, 0,
		  0 },
		{ d, 1, "VALUE short 0 $N\n$W\nEND\n", 0, 1, FAULT_WRONG_KEY, 0,
		  0 },
		{ d, 1, "SERVER_ERROR out of memory\n", 0, 0, FAULT_REFUSED, 0,
		  0 },
		{ d, 1, "ERROR\n", 0, 0, FAULT_REFUSED, 0, 0 },
		{ d, 0, "NOT_STORED\n", 0, 0, FAULT_REFUSED, 0, 0 },
		{ d, 0, "CLIENT_ERROR bad data chunk\n", 0, 0, FAULT_REFUSED, 0,
		  0 },
		/* Lost. */
		{ d, 1, "VALUE $K 0 $N\n$Vx\nEND\n", 0, 0, -1, 1, 0 },
		{ d, 1, "VALUE $K 0\nEND\n", 0, 0, -1, 1, 0 },
		{ d, 1, "VALUE $K 0 $N 77\n$V\nEND\n", 0, 0, -1, 1, 0 },
		{ d, 1, "VALUE $K 0 $N \n$V\nEND\n", 0, 0, -1, 1, 0 },
		{ d, 1, "VALUE $K 0 -1\n$V\nEND\n", 0, 0, -1, 1, 0 },
		{ d, 1, "VALUE $K x $N\n$V\nEND\n", 0, 0, -1, 1, 0 },
		{ d, 1, "VALUE $K 0 99999999999\n$V\n", 0, 0, -1, 1, 0 },
		{ d, 1, "VALUE $K 0 $N\n$V\nVALUE $K 0 $N\n$V\nEND\n", 0, 0, -1,
		  1, 0 },
		{ d, 1, "STORED\n", 0, 0, -1, 1, 0 },
		{ d, 1, "EN\n", 0, 0, -1, 1, 0 },
		{ d, 0, "END\n", 0, 0, -1, 1, 0 },
		{ d, 0, "VALUE $K 0 $N\n$V\nEND\n", 0, 0, -1, 1, 0 },
		{ d, 0, "HTTP/1.1 400 Bad Request\n", 0, 0, -1, 1, 0 },
		/* Not at its end. */
		{ d, 1, "VALUE $K 0 $N\n$V\n", 0, 0, -1, 0, 1 },
		{ d, 1, "VALUE $K 0 $N\n", 0, 0, -1, 0, 1 },
		{ d, 0, "STOR", 0, 0, -1, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		check_case(&cases[i]);
	}
}

static void test_meta_replies(void **state)
{
	static const struct dialect *const d = &dialect_meta;
	const struct expected cases[] = {
		{ d, 1, "VA $N k$K f0\n$V\n", 1, 0, -1, 0, 0 },
		{ d, 1, "VA $N f0 k$K\n$V\n", 1, 0, -1, 0, 0 },
		{ d, 1, "EN\n", 0, 1, -1, 0, 0 },
		{ d, 1, "EN k$K\n", 0, 1, -1, 0, 0 },
		{ d, 1, "EN k$L\n", 0, 1, FAULT_WRONG_KEY, 0, 0 },
		{ d, 1, "EN x\n", 0, 0, -1, 1, 0 },
		{ d, 1, "EN k$K \n", 0, 0, -1, 1, 0 },
		{ d, 2, "EN k$K\n", 0, 0, -1, 1, 0 },
		{ d, 1, "VA $N k$K f0 \n$V\n", 0, 0, -1, 1, 0 },
		{ d, 2, "VA $N k$K f0\n$V\nVA $N k$L f0\n$W\nMN\n", 2, 0, -1, 0,
		  0 },
		{ d, 2, "VA $N k$L f0\n$W\nMN\n", 1, 1, -1, 0, 0 },
		{ d, 2, "MN\n", 0, 2, -1, 0, 0 },
		{ d, 0, "HD\n", 0, 0, -1, 0, 0 },
		{ d, 1, "VA $N k$K f0\n$W\n", 1, 0, FAULT_UNKNOWN_VALUE, 0, 0 },
		{ d, 1, "VA $N k$K f7\n$V\n", 1, 0, FAULT_WRONG_FLAGS, 0, 0 },
		{ d, 1, "VA 0 k$K f0\n\n", 1, 0, FAULT_WRONG_LENGTH, 0, 0 },
		{ d, 1, "VA $N k$L f0\n$W\n", 0, 0, FAULT_WRONG_KEY, 0, 0 },
		{ d, 1, "SERVER_ERROR x\n", 0, 0, FAULT_REFUSED, 0, 0 },
		{ d, 2, "CLIENT_ERROR x\nVA $N k$L f0\n$W\nMN\n", 1, 1,
		  FAULT_REFUSED, 0, 0 },
		{ d, 0, "NS\n", 0, 0, FAULT_REFUSED, 0, 0 },
		{ d, 1, "VA $N k$K f0\n$Vx\n", 0, 0, -1, 1, 0 },
		{ d, 1, "VA $N k$K\n$V\n", 0, 0, -1, 1, 0 },
		{ d, 1, "VA $N f0\n$V\n", 0, 0, -1, 1, 0 },
		{ d, 1, "VA $N k$K f0 t5\n$V\n", 0, 0, -1, 1, 0 },
		{ d, 1, "VA $N k$K  f0\n$V\n", 0, 0, -1, 1, 0 },
		{ d, 1, "VA $N k$K fx\n$V\n", 0, 0, -1, 1, 0 },
		{ d, 1, "VA x k$K f0\n$V\n", 0, 0, -1, 1, 0 },
		{ d, 1, "HD\n", 0, 0, -1, 1, 0 },
		{ d, 1, "MN\n", 0, 0, -1, 1, 0 },
		{ d, 2, "EN\n", 0, 0, -1, 1, 0 },
		{ d, 0, "MN\n", 0, 0, -1, 1, 0 },
		{ d, 2, "VA $N k$K f0\n$V\n", 0, 0, -1, 0, 1 },
		{ d, 1, "VA", 0, 0, -1, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		check_case(&cases[i]);
	}
}

/* A line without an end, or with a bare newline, is no reply. */
static void test_lines(void **state)
{
	const struct ask ask = { .count = 1, .keys = keys };
	char line[DIALECT_LINE_MAX];
	struct outcome o;

	(void)state;
	memset(line, 'x', sizeof(line));
	give(&dialect_text, &ask, line, sizeof(line) - 1, 100, &o);
	assert_false(o.lost);
	give(&dialect_text, &ask, line, sizeof(line), 100, &o);
	assert_true(o.lost);
	give(&dialect_text, &ask, "END\n", 4, 4, &o);
	assert_true(o.lost);
	give(&dialect_meta, &ask, "\n", 1, 1, &o);
	assert_true(o.lost);
}

/* Without comparing, any item of the right form will do. */
static void test_unchecked(void **state)
{
	static const char reply[] = "VALUE other 9 2\r\nab\r\nEND\r\n";
	const struct ask ask = { .count = 1, .keys = keys };
	struct answer a = { .unchecked = true };
	struct faults f = { .count = { 0 } };
	size_t at = 0;
	enum take t = TAKE_PART;

	(void)state;
	while (t == TAKE_PART) {
		size_t used;

		t = dialect_text.take(&content, &ask, &a, &f, reply + at,
				      sizeof(reply) - 1 - at, &used);
		at += used;
	}
	assert_int_equal(t, TAKE_DONE);
	assert_int_equal(a.hits, 1);
	assert_int_equal(faults_sum(&f), 0);
}

static void check_request(const char *form, char *end, const char *out,
			  size_t limit)
{
	char right[ROOM];
	size_t len = fill_in(form, right);

	assert_int_equal(end - out, len);
	assert_memory_equal(out, right, len);
	assert_true(len <= limit);
}

static void test_requests(void **state)
{
	const struct dialect *t = &dialect_text;
	const struct dialect *m = &dialect_meta;
	char out[ROOM];
	size_t get = 16 + t->get_extra;

	(void)state;
	check_request("get $K\n", t->get(&content, keys, 1, out), out,
		      get + t->get_extra);
	check_request("get $K $L\n", t->get(&content, keys, 2, out), out,
		      2 * get + t->get_extra);
	check_request("set $K 0 0 $N\n$V\n", t->set(&content, 1, 0, out), out,
		      16 + VALUE + t->set_extra);
	check_request("set $L 0 60 $N\n$W\n", t->set(&content, 2, 60, out), out,
		      16 + VALUE + t->set_extra);
	get = 16 + m->get_extra;
	check_request("mg $K v k f\n", m->get(&content, keys, 1, out), out,
		      get + m->get_extra);
	check_request("mg $K v k f q\nmg $L v k f q\nmn\n",
		      m->get(&content, keys, 2, out), out,
		      2 * get + m->get_extra);
	check_request("ms $K $N\n$V\n", m->set(&content, 1, 0, out), out,
		      16 + VALUE + m->set_extra);
	check_request("ms $L $N T60\n$W\n", m->set(&content, 2, 60, out), out,
		      16 + VALUE + m->set_extra);
	assert_ptr_equal(dialect_find("text"), t);
	assert_ptr_equal(dialect_find("meta"), m);
	assert_null(dialect_find("resp"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_replies),
		cmocka_unit_test(test_meta_replies),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_unchecked),
		cmocka_unit_test(test_requests),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
