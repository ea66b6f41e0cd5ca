/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The look ahead, as tables: bytes, and the keys that it sees in them.
 *
 * Each case is looked at in memory of exactly its size, whole and cut at
 * every place.  Of a cut one no key may be seen that the whole one lacks,
 * and those of the requests that are all there must be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "proto/peek.h"

enum { ROOM = 16, TEXT_MAX = 8192 };

struct peek_case {
	const char *bytes;
	size_t len;
	const char *expected; /* the keys, with a space behind each */
};

/* A case; the bytes may hold NUL. */
#define PEEK(bytes, expected)                                                  \
	{                                                                      \
		bytes, sizeof(bytes) - 1, expected                             \
	}

/* Looks at a copy; writes the keys to `text` and returns how many. */
static size_t look(const char *bytes, size_t len, size_t room, char *text)
{
	struct span keys[ROOM];
	char *copy = malloc(len > 0 ? len : 1);
	size_t at = 0;
	size_t n;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	n = text_peek_keys(copy, len, keys, room);
	assert_true(n <= room);
	for (size_t i = 0; i < n; i++) {
		assert_in_range(keys[i].len, 1, KEY_MAX);
		assert_true(keys[i].data >= copy);
		assert_true(keys[i].data + keys[i].len < copy + len);
		assert_true(at + keys[i].len + 2 <= TEXT_MAX);
		memcpy(text + at, keys[i].data, keys[i].len);
		at += keys[i].len;
		text[at++] = ' ';
	}
	text[at] = '\0';
	free(copy);
	return n;
}

static void check_case(const struct peek_case *c)
{
	char whole[TEXT_MAX];
	char part[TEXT_MAX];
	size_t seen = 0;
	size_t all = look(c->bytes, c->len, ROOM, whole);

	assert_string_equal(whole, c->expected);
	for (size_t cut = 0; cut < c->len; cut++) {
		size_t n = look(c->bytes, cut, ROOM, part);

		/* More bytes never make it see less. */
		assert_true(n >= seen && n <= all);
		assert_memory_equal(part, whole, strlen(part));
		seen = n;
	}
	for (size_t room = 0; room < all; room++) {
		assert_int_equal(look(c->bytes, c->len, room, part), room);
		assert_memory_equal(part, whole, strlen(part));
	}
}

#define CHECK_CASES(cases)                                                     \
	do {                                                                   \
		for (size_t i = 0; i < sizeof(cases) / sizeof((cases)[0]);     \
		     i++) {                                                    \
			check_case(&(cases)[i]);                               \
		}                                                              \
	} while (0)

static void test_reads(void **state)
{
	static const struct peek_case cases[] = {
		PEEK("", ""),
		PEEK("get a\r\n", "a "),
		PEEK("get a\n", "a "),
		PEEK("get a", ""),
		PEEK("get a\r\nget b\r\nget c", "a b "),
		PEEK("get a b c\r\ngets d  \r\n", "a d "),
		PEEK("get   a\r\nget b \r\n", "a b "),
		PEEK("gat 10 a b\r\ngats -1 c\r\nget d\r\n", "a c d "),
		PEEK("mg a v t\r\nmg b\r\nmg Zm9v b v\r\n", "a b Zm9v "),
		PEEK("get a\r b\r\nget c\r\n", "a\r c "),
	};

	(void)state;
	CHECK_CASES(cases);
}

static void test_changes(void **state)
{
	static const struct peek_case cases[] = {
		PEEK("incr a 1\r\ndecr b 2 noreply\r\n", "a b "),
		PEEK("touch a 0\r\ndelete b\r\ndelete c 0\r\n", "a b c "),
		PEEK("md a q\r\nma b MD D4\r\nget c\r\n", "a b c "),
		PEEK("set a 0 0 3\r\nxyz\r\nget b\r\n", "a b "),
		PEEK("set a 0 0 0\r\n\r\nadd b 1 -1 1 noreply\r\nx\r\n",
		     "a b "),
		PEEK("set a 0 0 3\nx\ny\r\nget b\n", "a b "),
		PEEK("replace a 0 0 1\r\nx\r\nappend b 0 0 1\r\nx\r\n"
		     "prepend c 0 0 1\r\nx\r\ncas d 0 0 1 77\r\nx\r\nget e\r\n",
		     "a b c d e "),
		PEEK("ms a 2 T0\r\nxy\r\nms b 0\r\n\r\nmg c\r\n", "a b c "),
		PEEK("set  a  0  0  2  \r\nxy\r\nget b\r\n", "a b "),
	};

	(void)state;
	CHECK_CASES(cases);
}

/* What looks like a request inside a data block is none. */
static void test_data_is_skipped(void **state)
{
	static const struct peek_case cases[] = {
		PEEK("set a 0 0 10\r\nget no\r\n\r\n\r\nget b\r\n", "a b "),
		PEEK("set a 0 0 4\r\n\0\n\0\n\r\nget b\r\n", "a b "),
		PEEK("set a 0 0 7\r\nget b\r\n", ""),
		PEEK("set a 0 0 7\r\nget b\r\n\r", ""),
		PEEK("set a 0 0 7\r\nget b\r\n\r\n", "a "),
		PEEK("ms a 7\r\nmg no\r\n\r\nmg b\r\n", "a b "),
	};

	(void)state;
	CHECK_CASES(cases);
}

static void test_stops(void **state)
{
	static const struct peek_case cases[] = {
		PEEK("get a\r\nversion\r\nget b\r\n", "a "),
		PEEK("get a\r\nmn\r\nget b\r\n", "a "),
		PEEK("get a\r\nme b\r\n", "a "),
		PEEK("get a\r\n\r\nget b\r\n", "a "),
		PEEK("get a\r\n get b\r\n", "a "),
		PEEK("get a\r\nGET b\r\n", "a "),
		PEEK("get a\r\nflush_all\r\nget b\r\n", "a "),
		PEEK("get a\r\ncache_memlimit 9\r\n", "a "),
		PEEK("get\r\nget b\r\n", ""),
		PEEK("get \r\nget b\r\n", ""),
		PEEK("get \nget b\r\n", ""),
		PEEK("gat 1\r\nget b\r\n", ""),
		PEEK("mg\r\nmg b\r\n", ""),
		PEEK("set\r\nget b\r\n", ""),
		PEEK("set a\r\nget b\r\n", ""),
		PEEK("set a 0\r\nget b\r\n", ""),
		PEEK("set a 0 0\r\nget b\r\n", ""),
		PEEK("set a 0 0 \r\nget b\r\n", ""),
		PEEK("ms a\r\nget b\r\n", ""),
		PEEK("\x80\x01\x00\x01get a\r\n", ""),
	};

	(void)state;
	CHECK_CASES(cases);
}

static void test_lengths(void **state)
{
	static const struct peek_case cases[] = {
		PEEK("set a 0 0 01\r\nx\r\nget b\r\n", "a b "),
		PEEK("set a 0 0 +1\r\nx\r\nget b\r\n", ""),
		PEEK("set a 0 0 -1\r\nx\r\nget b\r\n", ""),
		PEEK("set a 0 0 1x\r\nx\r\nget b\r\n", ""),
		PEEK("set a 0 0 /\r\nx\r\nget b\r\n", ""),
		PEEK("set a 0 0 :\r\nx\r\nget b\r\n", ""),
		PEEK("set a 0 0 2147483645\r\nx\r\nget b\r\n", ""),
		PEEK("set a 0 0 4294967295\r\nx\r\nget b\r\n", ""),
		PEEK("set a 0 0 4294967297\r\nx\r\nget b\r\n", ""),
		PEEK("set a 0 0 9999999999\r\nx\r\nget b\r\n", ""),
		PEEK("set a 0 0 18446744073709551615\r\nx\r\nget b\r\n", ""),
		PEEK("set a 0 0 18446744073709551617\r\nx\r\nget b\r\n", ""),
		PEEK("ms a 18446744073709551614\r\nx\r\nmg b\r\n", ""),
		PEEK("ms a S1\r\nx\r\nmg b\r\n", ""),
	};

	(void)state;
	CHECK_CASES(cases);
}

/* Writes a line with a key of `len` bytes, and one more request. */
static size_t with_key(char *to, const char *before, size_t len,
		       const char *behind)
{
	size_t at = strlen(before);

	memcpy(to, before, at);
	memset(to + at, 'k', len);
	strcpy(to + at + len, behind);
	return at + len + strlen(behind);
}

static void test_key_lengths(void **state)
{
	static const char *const lines[][2] = {
		{ "get ", "\r\nget b\r\n" },
		{ "get ", "\nget b\r\n" },
		{ "get ", " c\r\nget b\r\n" },
		{ "mg ", " v\r\nmg b\r\n" },
		{ "gat 0 ", "\r\nget b\r\n" },
		{ "set ", " 0 0 1\r\nx\r\nget b\r\n" },
		{ "ms ", " 1\r\nx\r\nget b\r\n" },
	};
	char bytes[TEXT_MAX];
	char text[TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		for (size_t len = KEY_MAX - 1; len < KEY_MAX + 12; len++) {
			size_t size = with_key(bytes, lines[i][0], len,
					       lines[i][1]);
			size_t n = look(bytes, size, ROOM, text);

			assert_int_equal(n, len <= KEY_MAX ? 2 : 0);
			assert_int_equal(strlen(text),
					 len <= KEY_MAX ? len + 3 : 0);
		}
	}
}

static void test_room(void **state)
{
	char bytes[TEXT_MAX] = "";
	char text[TEXT_MAX];

	(void)state;
	for (int i = 0; i < 3 * ROOM; i++) {
		strcat(bytes, "get key\r\n");
	}
	assert_int_equal(look(bytes, strlen(bytes), ROOM, text), ROOM);
	assert_int_equal(look(bytes, strlen(bytes), 0, text), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_data_is_skipped),
		cmocka_unit_test(test_stops),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_key_lengths),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests_name("peek", tests, NULL, NULL);
}
