/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines made from items, reply texts, base64, and the command table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/base64.h"
#include "proto/command.h"
#include "proto/text.h"

static void check_text(const char *got, size_t len, const char *expected)
{
	if (len != strlen(expected) || memcmp(got, expected, len) != 0) {
		fail_msg("expected: %s, got: %.*s", expected, (int)len, got);
	}
}

static void test_value_line(void **state)
{
	char out[TEXT_LINE_MAX];
	char key[KEY_MAX];
	size_t len;

	(void)state;
	len = text_put_value_line(out, "foo", 3, 0, 0, false, 9);
	check_text(out, len, "VALUE foo 0 0\r\n");
	len = text_put_value_line(out, "foo", 3, 5, 6, true, 7);
	check_text(out, len, "VALUE foo 5 6 7\r\n");
	len = text_put_value_line(out, "a\0b", 3, 5, 6, true, 0);
	assert_int_equal(len, 17);
	assert_memory_equal(out, "VALUE a\0b 5 6 0\r\n", len);
	memset(key, 'k', sizeof(key));
	len = text_put_value_line(out, key, sizeof(key), UINT32_MAX, UINT32_MAX,
				  true, UINT64_MAX);
	assert_int_equal(len, 6 + 250 + 11 + 11 + 21 + 2);
	assert_memory_equal(out + 256,
			    " 4294967295 4294967295 18446744073709551615\r\n",
			    45);
}

static void test_uri_key(void **state)
{
	char out[3 * 256];
	char all[256];
	size_t len;

	(void)state;
	len = text_put_uri_key(out, "aZ09-._~", 8);
	check_text(out, len, "aZ09-._~");
	len = text_put_uri_key(out, "a b%/\n\0\xff", 8);
	check_text(out, len, "a%20b%25%2F%0A%00%FF");
	for (int i = 0; i < 256; i++) {
		all[i] = (char)i;
	}
	len = text_put_uri_key(out, all, sizeof(all));
	assert_int_equal(len, 66 + 190 * 3);
}

static void test_replies(void **state)
{
	size_t len;
	const char *text = reply_text(REPLY_STORED, &len);

	(void)state;
	check_text(text, len, "STORED\r\n");
	text = reply_text(REPLY_BAD_DELETE, &len);
	check_text(text, len,
		   "CLIENT_ERROR bad command line format.  Usage: "
		   "delete <key> [noreply]\r\n");
	text = reply_text(REPLY_BAD_FORMAT, &len);
	check_text(text, len, "CLIENT_ERROR bad command line format\r\n");
	text = reply_text(REPLY_NOT_NUMBER, &len);
	check_text(text, len,
		   "CLIENT_ERROR cannot increment or decrement non-numeric "
		   "value\r\n");
	for (int code = REPLY_NONE + 1; code < REPLY_COUNT; code++) {
		text = reply_text((enum reply)code, &len);
		assert_true(len > 2 && len == strlen(text));
		assert_string_equal(text + len - 2, "\r\n");
		assert_null(memchr(text, '\n', len - 1));
	}
}

static void check_base64(const char *plain, size_t len, const char *encoded)
{
	char out[KEY_MAX];
	size_t n = base64_encode(out, plain, len);

	check_text(out, n, encoded);
	assert_int_equal(n, base64_encoded_len(len));
	assert_true(
		base64_decode(out, sizeof(out), encoded, strlen(encoded), &n));
	assert_int_equal(n, len);
	assert_memory_equal(out, plain, len);
}

/* The vectors of RFC 4648, section 10, and the ends of the alphabet. */
static void test_base64(void **state)
{
	(void)state;
	check_base64("f", 1, "Zg==");
	check_base64("fo", 2, "Zm8=");
	check_base64("foo", 3, "Zm9v");
	check_base64("foob", 4, "Zm9vYg==");
	check_base64("fooba", 5, "Zm9vYmE=");
	check_base64("foobar", 6, "Zm9vYmFy");
	check_base64("\xff\xef\xbe\xfb\xff\x00", 6,
		     "/+++"
		     "+/8A");
	assert_int_equal(base64_encoded_len(0), 0);
	assert_int_equal(base64_encode(NULL, NULL, 0), 0);
}

static void test_base64_every_length(void **state)
{
	char plain[KEY_MAX];
	char encoded[(KEY_MAX + 2) / 3 * 4];
	char back[KEY_MAX];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(plain); i++) {
		plain[i] = (char)(i * 37 + 11);
	}
	for (size_t len = 1; len <= sizeof(plain); len++) {
		size_t encoded_len = base64_encode(encoded, plain, len);

		assert_true(base64_decode(back, len, encoded, encoded_len, &n));
		assert_int_equal(n, len);
		assert_memory_equal(back, plain, len);
		assert_false(
			base64_decode(back, len - 1, encoded, encoded_len, &n));
	}
}

static void test_base64_refusals(void **state)
{
	static const char *const bad[] = {
		"",     "Z",     "Zg",   "Zg=",     "====",     "Z===",
		"=g==", "Zm9v=", "Zh==", "Zm9=",    "Zg==Zg==", "Zm=v",
		"Zm 9", "Zm9\n", "Zm-_", "Zm9\xff", "Zm9vY",
	};
	char out[16];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (base64_decode(out, sizeof(out), bad[i], strlen(bad[i]),
				  &n)) {
			fail_msg("taken: %s", bad[i]);
		}
	}
	assert_false(base64_decode(out, sizeof(out), "Zm\0v", 4, &n));
}

static void test_command_table(void **state)
{
	(void)state;
	for (int i = 0; i < CMD_COUNT; i++) {
		const struct command_info *info = &command_table[i];

		assert_int_equal(info->name_len, strlen(info->name));
		assert_int_equal(command_find(info->name, info->name_len), i);
		assert_int_equal(command_find(info->name, info->name_len - 1U),
				 strcmp(info->name, "gets") == 0 ? CMD_GET :
				 strcmp(info->name, "gats") == 0 ? CMD_GAT :
								   CMD_NONE);
		assert_in_range(info->words, 1, 6);
	}
	assert_int_equal(command_find("", 0), CMD_NONE);
	assert_int_equal(command_find("m", 1), CMD_NONE);
	assert_int_equal(command_find("mz", 2), CMD_NONE);
	assert_int_equal(command_find("ag", 2), CMD_NONE);
	assert_int_equal(command_find("getz", 4), CMD_NONE);
	assert_int_equal(command_find("ge\0", 3), CMD_NONE);
}

static void test_span_is(void **state)
{
	struct span s = { "graceful", 8 };

	(void)state;
	assert_true(span_is(s, "graceful"));
	assert_false(span_is(s, "graceful "));
	assert_false(span_is(s, "grace"));
	s.len = 5;
	assert_true(span_is(s, "grace"));
	s.len = 0;
	assert_true(span_is(s, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_value_line),
		cmocka_unit_test(test_uri_key),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_every_length),
		cmocka_unit_test(test_base64_refusals),
		cmocka_unit_test(test_command_table),
		cmocka_unit_test(test_span_is),
	};

	return cmocka_run_group_tests_name("compose", tests, NULL, NULL);
}
