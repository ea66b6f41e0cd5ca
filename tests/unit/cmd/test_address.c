/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Address lists of -l, as a table of texts and what is made of them.
 */
#include <stdio.h>

#include "arguments.h"
#include "cmd/address.h"

enum { DEFAULT_PORT = 11211 };

/* "host port, host port" or "-: problem" */
static void describe(const char *text, char *out, size_t room)
{
	struct address_list list;
	char why[ADDRESS_WHY_ROOM] = "";
	size_t at = 0;

	if (!address_list_parse(&list, text, DEFAULT_PORT, why)) {
		snprintf(out, room, "-: %s", why);
		return;
	}
	out[0] = '\0';
	for (size_t i = 0; i < list.count; i++) {
		at += (size_t)snprintf(out + at, room - at, "%s%s %d",
				       i > 0 ? ", " : "", list.items[i].host,
				       list.items[i].port);
		assert_true(at < room);
	}
}

static const char *const cases[][2] = {
	{ "127.0.0.1", "127.0.0.1 11211" },
	{ "127.0.0.1:5", "127.0.0.1 5" },
	{ "127.0.0.1:0", "127.0.0.1 0" },
	{ "::1", "::1 11211" },
	{ "[::1]", "::1 11211" },
	{ "[::1]:65535", "::1 65535" },
	{ "fe80::1%eth0", "fe80::1%eth0 11211" },
	{ "localhost:7", "localhost 7" },
	{ "*", " 11211" },
	{ "*:7", " 7" },
	{ "INADDR_ANY", " 11211" },
	{ "0.0.0.0", "0.0.0.0 11211" },
	{ "a,b:1,[::2]:3", "a 11211, b 1, ::2 3" },
	{ ",,a;b,", "a 11211, b 11211" },
	{ "proto[ascii]:127.0.0.1:5", "127.0.0.1 5" },
	{ "proto[negotiating]:[::1]:5", "::1 5" },
	{ "tag_b_:127.0.0.1", "127.0.0.1 11211" },
	{ "tag_12345678_:127.0.0.1", "127.0.0.1 11211" },
	{ "notls:127.0.0.1:5", "127.0.0.1 5" },
	{ "notls:proto[ascii]:tag_x_:::1", "::1 11211" },
	{ "proto[binary]:127.0.0.1", "-: the binary protocol is not built yet "
				     "(given: proto[binary]:127.0.0.1)" },
	{ "proto[proxy]:127.0.0.1",
	  "-: there is no proxy in dozo (given: proto[proxy]:127.0.0.1)" },
	{ "proto[x]:127.0.0.1", "-: proto[...]: must name ascii or negotiating "
				"(given: proto[x]:127.0.0.1)" },
	{ "proto[ascii:127.0.0.1",
	  "-: proto[...]: must name ascii or negotiating (given: "
	  "proto[ascii:127.0.0.1)" },
	{ "tag_:127.0.0.1", "-: a tag is tag_NAME_: with 1 to 8 letters "
			    "(given: tag_:127.0.0.1)" },
	{ "tag__:127.0.0.1", "-: a tag is tag_NAME_: with 1 to 8 letters "
			     "(given: tag__:127.0.0.1)" },
	{ "tag_123456789_:a", "-: a tag is tag_NAME_: with 1 to 8 letters "
			      "(given: tag_123456789_:a)" },
	{ "mtls:127.0.0.1", "-: TLS is not built yet (given: mtls:127.0.0.1)" },
	{ "btls:127.0.0.1", "-: TLS is not built yet (given: btls:127.0.0.1)" },
	{ "a,mtls:b", "-: TLS is not built yet (given: mtls:b)" },
	{ "", "-: an address is missing (given: )" },
	{ ",;", "-: an address is missing (given: )" },
	{ "a:b", "-: the port is not a number from 0 to 65535 (given: a:b)" },
	{ "a:65536",
	  "-: the port is not a number from 0 to 65535 (given: a:65536)" },
	{ "a:-1", "-: the port is not a number from 0 to 65535 (given: a:-1)" },
};

static void test_lists(void **state)
{
	char told[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		describe(cases[i][0], told, sizeof(told));
		if (strcmp(told, cases[i][1]) != 0) {
			fail_msg("%s: %s, not %s", cases[i][0], told,
				 cases[i][1]);
		}
	}
}

static void test_lists_have_an_end(void **state)
{
	struct address_list list;
	char why[ADDRESS_WHY_ROOM];
	char text[2 * (ADDRESSES_MAX + 1) + 1] = "";

	(void)state;
	for (int i = 0; i < ADDRESSES_MAX; i++) {
		memcpy(text + 2 * i, "a,", 3);
	}
	assert_true(address_list_parse(&list, text, 1, why));
	assert_int_equal(list.count, ADDRESSES_MAX);
	memcpy(text + 2 * ADDRESSES_MAX, "b,", 3);
	assert_false(address_list_parse(&list, text, 1, why));
	assert_string_equal(why, "at most 64 addresses (given: b)");
}

static void test_long_names(void **state)
{
	struct address_list list;
	char why[ADDRESS_WHY_ROOM];
	char text[1024];

	(void)state;
	for (size_t len = 200; len < sizeof(text); len++) {
		memset(text, 'a', len);
		text[len] = '\0';
		assert_int_equal(address_list_parse(&list, text, 1, why),
				 len < ADDRESS_HOST_ROOM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_lists_have_an_end),
		cmocka_unit_test(test_long_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
