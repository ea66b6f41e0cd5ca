/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of the text protocol and the classic commands, as tables.
 */
#include "describe.h"

static void test_line_ends(void **state)
{
	static const struct line_case cases[] = {
		LINE("get a\r\n", "get a"),
		LINE("get a\n", "get a"),
		LINE("get a\r\r\n", "get a\\x0d"),
		LINE("get\ra\r\n", "-: ERROR"),
		LINE("version\n", "version"),
		LINE("mn\r\n", "mn"),
		LINE("quit\r\n", "quit"),
		LINE("quit now noreply\r\n", "quit"),
		LINE("version noreply\r\n", "version"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_spaces_only_separate(void **state)
{
	static const struct line_case cases[] = {
		LINE("get  a   b  \r\n", "get a b"),
		LINE("get a\tb\r\n", "get a\\x09b"),
		LINE("get a\0b c\r\n", "get a\\x00b c"),
		LINE("get \x01 \xff\xfe\r\n", "get \\x01 \\xff\\xfe"),
		LINE("get\ta\r\n", "-: ERROR"),
		LINE("get\0 a\r\n", "-: ERROR"),
		LINE("set  k  1  2  3  \r\n", "set k flags=1 exp=2 len=3"),
		LINE("set k\0 1 2 3\r\n", "set k\\x00 flags=1 exp=2 len=3"),
		LINE(" get a\r\n", "-: ERROR"),
		LINE("  version\r\n", "-: ERROR"),
		LINE(" get a noreply\r\n", "-: ERROR silent"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_short_lines(void **state)
{
	static const struct line_case cases[] = {
		LINE("\n", "-: BAD_FORMAT"),
		LINE("\r\n", "-: BAD_FORMAT"),
		LINE("a\r\n", "-: BAD_FORMAT"),
		LINE("ab\n", "-: BAD_FORMAT"),
		LINE("mn\n", "-: BAD_FORMAT"),
		LINE("   \r\n", "-: BAD_FORMAT"),
		LINE("        \n", "-: BAD_FORMAT"),
		LINE("ab\r\n", "-: ERROR"),
		LINE("abc\n", "-: ERROR"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_unknown(void **state)
{
	static const struct line_case cases[] = {
		LINE("bogus\r\n", "-: ERROR"),
		LINE("bogus a b c\r\n", "-: ERROR"),
		LINE("bogus noreply\r\n", "-: ERROR silent"),
		LINE("bogus noreply \r\n", "-: ERROR silent"),
		LINE("bogus noreply x\r\n", "-: ERROR"),
		LINE("bogus xnoreply\r\n", "-: ERROR"),
		LINE("noreply\r\n", "-: ERROR silent"),
		LINE("GET a\r\n", "-: ERROR"),
		LINE("Get a\r\n", "-: ERROR"),
		LINE("getx a\r\n", "-: ERROR"),
		LINE("ge a\r\n", "-: ERROR"),
		LINE("mx a\r\n", "-: ERROR"),
		LINE("xg a\r\n", "-: ERROR"),
		LINE("cache_memlimitx 1\r\n", "-: ERROR"),
		LINE("refresh_cert\r\n", "-: ERROR"),
		LINE("debugitem lock a\r\n", "-: ERROR"),
		LINE("misbehave\r\n", "-: ERROR"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_http_closes(void **state)
{
	static const struct line_case cases[] = {
		LINE("GET / HTTP/1.1\r\n", "close"),
		LINE("POST /x HTTP/1.0 \n", "close"),
		LINE("HTTP/1.1\r\n", "close"),
		LINE("GET / HTTP/\r\n", "close"),
		LINE("GET / HTTP\r\n", "-: ERROR"),
		LINE("GET HTTP/1.1 x\r\n", "-: ERROR"),
		LINE("GET / xHTTP/1.1\r\n", "-: ERROR"),
		LINE("get HTTP/1.1\r\n", "get HTTP/1.1"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_get(void **state)
{
	static const struct line_case cases[] = {
		LINE("get\r\n", "get: BAD_FORMAT"),
		LINE("get \r\n", "get: BAD_FORMAT"),
		LINE("gets\r\n", "gets: BAD_FORMAT"),
		LINE("get a b a a\r\n", "get a b a a"),
		LINE("gets a b\r\n", "gets a b"),
		LINE("get a noreply\r\n", "get a noreply"),
		LINE("get noreply\n", "get noreply"),
		LINE("get " K250 "\r\n", "get <250>"),
		LINE("get " K251 "\r\n", "get: BAD_FORMAT"),
		LINE("get a " K251 "\r\n", "get: BAD_FORMAT"),
		LINE("gets a " K250 " b " K251 " c\n", "gets: BAD_FORMAT"),
		LINE("get a " K251 " noreply\r\n", "get: BAD_FORMAT"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_gat(void **state)
{
	static const struct line_case cases[] = {
		LINE("gat\r\n", "gat: BAD_FORMAT"),
		LINE("gat 10\r\n", "gat: BAD_FORMAT"),
		LINE("gats 10 \r\n", "gats: BAD_FORMAT"),
		LINE("gat x\r\n", "gat: BAD_FORMAT"),
		LINE("gat 10 a b\r\n", "gat exp=10 a b"),
		LINE("gats 0 a\r\n", "gats exp=0 a"),
		LINE("gat -1 a noreply\r\n", "gat exp=-1 a noreply"),
		LINE("gat x a\r\n", "gat: BAD_EXPTIME"),
		LINE("gat +1 a\r\n", "gat: BAD_EXPTIME"),
		LINE("gat 1x a noreply\r\n", "gat: BAD_EXPTIME"),
		LINE("gat 2147483647 a\r\n", "gat exp=2147483647 a"),
		LINE("gat 2147483648 a\r\n", "gat: BAD_EXPTIME"),
		LINE("gat -2147483648 a\r\n", "gat exp=-2147483648 a"),
		LINE("gat -2147483649 a\r\n", "gat: BAD_EXPTIME"),
		LINE("gat 1 a " K251 "\r\n", "gat: BAD_FORMAT"),
		LINE("gat x " K251 "\r\n", "gat: BAD_EXPTIME"),
		LINE("gats 1 " K250 " a\r\n", "gats exp=1 <250> a"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_store(void **state)
{
	static const struct line_case cases[] = {
		LINE("set a 0 0 1\r\n", "set a flags=0 exp=0 len=1"),
		LINE("set a 0 0 0\n", "set a flags=0 exp=0 len=0"),
		LINE("add a 5 60 10\r\n", "add a flags=5 exp=60 len=10"),
		LINE("replace a 5 -1 10\r\n",
		     "replace a flags=5 exp=-1 len=10"),
		LINE("append a 1 2 3 noreply\r\n",
		     "append a flags=1 exp=2 len=3 noreply"),
		LINE("prepend a 1 2 3 noreply  \r\n",
		     "prepend a flags=1 exp=2 len=3 noreply"),
		LINE("set noreply 1 2 3\r\n",
		     "set noreply flags=1 exp=2 len=3"),
		LINE("set a 1 2 3 foo\r\n", "set a flags=1 exp=2 len=3"),
		LINE("set a 1 2 3 foo noreply\r\n",
		     "set a flags=1 exp=2 len=3 noreply"),
		LINE("set a 1 2 3 noreply foo\r\n",
		     "set a flags=1 exp=2 len=3"),
		LINE("set a 1 2 3 xnoreply\r\n", "set a flags=1 exp=2 len=3"),
		LINE("set " K250 " 0 0 1\r\n", "set <250> flags=0 exp=0 len=1"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_store_numbers(void **state)
{
	static const struct line_case cases[] = {
		LINE("set a 4294967295 0 1\r\n",
		     "set a flags=4294967295 exp=0 len=1"),
		LINE("set a 4294967296 0 1\r\n", "set a flags=0 exp=0 len=1"),
		LINE("set a 4294967301 0 1\r\n", "set a flags=5 exp=0 len=1"),
		LINE("set a 18446744073709551615 0 1\r\n",
		     "set a flags=4294967295 exp=0 len=1"),
		LINE("set a 0 2147483647 1\r\n",
		     "set a flags=0 exp=2147483647 len=1"),
		LINE("set a 0 2147483648 1\r\n", "set a flags=0 exp=-1 len=1"),
		LINE("set a 0 4294967296 1\r\n", "set a flags=0 exp=-1 len=1"),
		LINE("set a 0 -2147483648 1\r\n",
		     "set a flags=0 exp=-2147483648 len=1"),
		LINE("set a 0 -2147483649 1\r\n", "set a flags=0 exp=-1 len=1"),
		LINE("set a 0 0 2147483645\r\n",
		     "set a flags=0 exp=0 len=2147483645"),
		LINE("set a 007 08 0009\r\n", "set a flags=7 exp=8 len=9"),
	};

	(void)state;
	CHECK_LINES(cases);
}

/* The length could not be read: what follows is taken as commands. */
static void test_store_keeps_data(void **state)
{
	static const struct line_case cases[] = {
		LINE("set\r\n", "set: BAD_FORMAT"),
		LINE("set a\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 \r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 noreply\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 -1\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 +1\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 1x\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 0x1\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 1.0\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 1\0\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 -1 noreply\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 2147483646\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 2147483647\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 4294967295\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 4294967297\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 -4294967295\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 18446744073709551615\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 18446744073709551617\r\n", "set: BAD_FORMAT"),
		LINE("set a 0 0 99999999999999999999999\r\n",
		     "set: BAD_FORMAT"),
		LINE("cas a 0 0\r\n", "cas: BAD_FORMAT"),
		LINE("cas a 0 0 x 1\r\n", "cas: BAD_FORMAT"),
		LINE("append a 0 0 x\r\n", "append: BAD_FORMAT"),
	};

	(void)state;
	CHECK_LINES(cases);
}

/* The length is known: the data block goes with the line. */
static void test_store_swallows(void **state)
{
	static const struct line_case cases[] = {
		LINE("set " K251 " 0 0 5\r\n", "set: BAD_FORMAT swallow=7"),
		LINE("set " K251 " 0 0 5 noreply\r\n",
		     "set: BAD_FORMAT swallow=7 silent"),
		LINE("set a x 0 5\r\n", "set: BAD_FORMAT swallow=7"),
		LINE("set a -1 0 5\r\n", "set: BAD_FORMAT swallow=7"),
		LINE("set a +1 0 5\r\n", "set: BAD_FORMAT swallow=7"),
		LINE("set a 18446744073709551616 0 5\r\n",
		     "set: BAD_FORMAT swallow=7"),
		LINE("set a 0 x 5\r\n", "set: BAD_FORMAT swallow=7"),
		LINE("set a 0 1x 0 noreply\r\n",
		     "set: BAD_FORMAT swallow=2 silent"),
		LINE("set a 0 - 5\r\n", "set: BAD_FORMAT swallow=7"),
		LINE("set a 0 9223372036854775808 5\r\n",
		     "set: BAD_FORMAT swallow=7"),
		LINE("add a noreply noreply 5 noreply\r\n",
		     "add: BAD_FORMAT swallow=7 silent"),
		LINE("prepend a x 0 2147483645\r\n",
		     "prepend: BAD_FORMAT swallow=2147483647"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_cas(void **state)
{
	static const struct line_case cases[] = {
		LINE("cas a 1 2 3 4\r\n", "cas a flags=1 exp=2 len=3 cas=4"),
		LINE("cas a 1 2 3 0\r\n", "cas a flags=1 exp=2 len=3 cas=0"),
		LINE("cas a 1 2 3 18446744073709551615 noreply\r\n",
		     "cas a flags=1 exp=2 len=3 cas=18446744073709551615 "
		     "noreply"),
		LINE("cas a 1 2 3 4 x\r\n", "cas a flags=1 exp=2 len=3 cas=4"),
		LINE("cas a 1 2 3\r\n", "cas: BAD_FORMAT swallow=5"),
		LINE("cas a 1 2 3 noreply\r\n",
		     "cas: BAD_FORMAT swallow=5 silent"),
		LINE("cas a 1 2 3 x\r\n", "cas: BAD_FORMAT swallow=5"),
		LINE("cas a 1 2 3 -1\r\n", "cas: BAD_FORMAT swallow=5"),
		LINE("cas a 1 2 3 +1\r\n", "cas: BAD_FORMAT swallow=5"),
		LINE("cas a 1 2 3 18446744073709551616\r\n",
		     "cas: BAD_FORMAT swallow=5"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_delete(void **state)
{
	static const struct line_case cases[] = {
		LINE("delete\r\n", "delete: BAD_FORMAT"),
		LINE("delete a\r\n", "delete a"),
		LINE("delete a noreply\r\n", "delete a noreply"),
		LINE("delete a 0\r\n", "delete a"),
		LINE("delete a 0 noreply\r\n", "delete a noreply"),
		LINE("delete a 5 noreply\r\n", "delete a noreply"),
		LINE("delete a 5\r\n", "delete: BAD_DELETE"),
		LINE("delete a 00\r\n", "delete: BAD_DELETE"),
		LINE("delete a foo\r\n", "delete: BAD_DELETE"),
		LINE("delete a foo noreply\r\n", "delete: BAD_DELETE silent"),
		LINE("delete a noreply noreply\r\n",
		     "delete: BAD_DELETE silent"),
		LINE("delete a noreply 0\r\n", "delete: BAD_DELETE"),
		LINE("delete a 0 0\r\n", "delete: BAD_DELETE"),
		LINE("delete a 0 noreply x\r\n", "delete: BAD_DELETE"),
		LINE("delete a noreplyx\r\n", "delete: BAD_DELETE"),
		LINE("delete noreply\r\n", "delete noreply"),
		LINE("delete noreply noreply\r\n", "delete noreply noreply"),
		LINE("delete " K250 "\r\n", "delete <250>"),
		LINE("delete " K251 "\r\n", "delete: BAD_FORMAT"),
		LINE("delete " K251 " noreply\r\n",
		     "delete: BAD_FORMAT silent"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_delta(void **state)
{
	static const struct line_case cases[] = {
		LINE("incr a 1\r\n", "incr a by=1"),
		LINE("decr a 0\r\n", "decr a by=0"),
		LINE("incr a 18446744073709551615 noreply\r\n",
		     "incr a by=18446744073709551615 noreply"),
		LINE("incr a 1 foo\r\n", "incr a by=1"),
		LINE("incr\r\n", "incr: BAD_FORMAT"),
		LINE("incr a\r\n", "incr: BAD_FORMAT"),
		LINE("decr noreply\r\n", "decr: BAD_FORMAT"),
		LINE("incr a noreply\r\n", "incr: BAD_DELTA silent"),
		LINE("incr a x\r\n", "incr: BAD_DELTA"),
		LINE("incr a -1\r\n", "incr: BAD_DELTA"),
		LINE("incr a +1\r\n", "incr: BAD_DELTA"),
		LINE("incr a 18446744073709551616\r\n", "incr: BAD_DELTA"),
		LINE("decr a 1x noreply\r\n", "decr: BAD_DELTA silent"),
		LINE("incr " K250 " 1\r\n", "incr <250> by=1"),
		LINE("incr " K251 " 1\r\n", "incr: BAD_FORMAT"),
		LINE("incr " K251 " x noreply\r\n", "incr: BAD_FORMAT silent"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_touch(void **state)
{
	static const struct line_case cases[] = {
		LINE("touch a 0\r\n", "touch a exp=0"),
		LINE("touch a -5 noreply\r\n", "touch a exp=-5 noreply"),
		LINE("touch a 2147483647\r\n", "touch a exp=2147483647"),
		LINE("touch\r\n", "touch: BAD_FORMAT"),
		LINE("touch a\r\n", "touch: BAD_FORMAT"),
		LINE("touch a x\r\n", "touch: BAD_EXPTIME"),
		LINE("touch a 2147483648\r\n", "touch: BAD_EXPTIME"),
		LINE("touch a +1\r\n", "touch: BAD_EXPTIME"),
		LINE("touch a noreply\r\n", "touch: BAD_EXPTIME silent"),
		LINE("touch a 1.5 noreply\r\n", "touch: BAD_EXPTIME silent"),
		LINE("touch " K251 " 1\r\n", "touch: BAD_FORMAT"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_words(void **state)
{
	static const struct line_case cases[] = {
		LINE("flush_all\r\n", "flush_all"),
		LINE("flush_all noreply\r\n", "flush_all noreply"),
		LINE("flush_all 10 noreply\r\n", "flush_all|10 noreply"),
		LINE("flush_all x\r\n", "flush_all|x"),
		LINE("verbosity\r\n", "verbosity"),
		LINE("verbosity 1\r\n", "verbosity|1"),
		LINE("verbosity noreply\r\n", "verbosity noreply"),
		LINE("verbosity 1 noreply \r\n", "verbosity|1 noreply"),
		LINE("cache_memlimit 64 noreply\r\n",
		     "cache_memlimit|64 noreply"),
		LINE("shutdown graceful\r\n", "shutdown|graceful"),
		LINE("refresh_certs\r\n", "refresh_certs"),
		LINE("stats\r\n", "stats"),
		LINE("stats noreply\r\n", "stats|noreply"),
		LINE("stats cachedump 1 2\r\n", "stats|cachedump|1|2"),
		LINE("watch fetchers noreply\r\n", "watch|fetchers|noreply"),
		LINE("lru_crawler metadump all\r\n",
		     "lru_crawler|metadump|all"),
		LINE("slabs automove 1 noreply\r\n",
		     "slabs|automove|1 noreply"),
		LINE("lru tune 10 20 0.1 2.0\r\n", "lru|tune|10|20|0.1|2.0"),
		LINE("extstore max_sleep 1\r\n", "extstore|max_sleep|1"),
		LINE("watch 1 2 3 4 5 6 7 8 9 a b c d e f g h i j k l m n o p"
		     " q r\r\n",
		     "watch|1|2|3|4|5|6|7|8|9|a|b|c|d|e|f|g|h|i|j|k|l|m|n"),
		LINE("lru 1 2 3 4 5 6 7 8 9 a b c d e f g h i j k l m n o p"
		     " noreply\r\n",
		     "lru|1|2|3|4|5|6|7|8|9|a|b|c|d|e|f|g|h|i|j|k|l|m|n"
		     " noreply"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_debug_commands(void **state)
{
	static const struct line_case cases[] = {
#if DOZO_DEBUG_COMMANDS
		LINE("debugtime 10\r\n", "debugtime|10"),
#else
		LINE("debugtime 10\r\n", "-: ERROR"),
#endif
	};

	(void)state;
	CHECK_LINES(cases);
}

/* ---- long lines -------------------------------------------------------- */

/* What the parser says to `count` times `fill` behind `head`, no newline. */
static void check_pending(const char *head, size_t count, char fill,
			  const char *expected)
{
	size_t len = strlen(head) + count;
	char *bytes = malloc(len);
	struct description d;
	struct parsed p;
	size_t scanned = 0;

	assert_non_null(bytes);
	memcpy(bytes, head, strlen(head));
	memset(bytes + strlen(head), fill, count);
	describe_parse(bytes, len, &scanned, &d, &p);
	if (strcmp(d.text, expected) != 0) {
		fail_msg("%s...: %s, not %s", head, d.text, expected);
	}
	if (strcmp(d.text, "more") == 0) {
		assert_int_equal(scanned, len);
	}
	free(bytes);
}

static void test_pending(void **state)
{
	char spaces[128];

	(void)state;
	check_pending("", 0, 'x', "more");
	check_pending("", 2048, 'x', "more");
	check_pending("", 2049, 'x', "close");
	check_pending("", 100000, '\0', "close");
	check_pending("set ", 2044, 'k', "more");
	check_pending("set ", 2045, 'k', "close");
	check_pending("gat 1 ", 2043, 'k', "close");
	check_pending("mg ", 2046, 'k', "close");
	check_pending("get ", 2045, 'k', "more");
	check_pending("get ", 1000000, 'k', "more");
	check_pending("gets ", 1000000, 'k', "more");
	check_pending("get", 2046, 'k', "close");
	check_pending("gets", 2045, 'k', "close");
	check_pending("getsx ", 2045, 'k', "close");
	memset(spaces, ' ', sizeof(spaces));
	memcpy(spaces + 100, "get ", 5);
	check_pending(spaces, 3000, 'k', "more");
	memset(spaces, ' ', sizeof(spaces));
	memcpy(spaces + 101, "get ", 5);
	check_pending(spaces, 3000, 'k', "close");
	check_pending("", 2049, ' ', "close");
	check_pending("", 2048, ' ', "more");
}

static void test_long_complete(void **state)
{
	(void)state;
	check_filled("get a", 5000, ' ', "b\r\n", "get a b");
	check_filled("set a 1 2 3", 5000, ' ', "noreply\r\n",
		     "set a flags=1 exp=2 len=3 noreply");
	check_filled("bogus ", 5000, 'x', "\r\n", "-: ERROR");
	check_filled("", 5000, 'x', "\r\n", "-: ERROR");
	check_filled("delete ", 5000, 'x', "\r\n", "delete: BAD_FORMAT");
	check_filled("set ", 5000, 'x', " 0 0 1\r\n",
		     "set: BAD_FORMAT swallow=3");
	check_filled("", 5000, ' ', "\r\n", "-: BAD_FORMAT");
}

/* A multiget of ten thousand keys; the walk gives each of them. */
static void test_many_keys(void **state)
{
	enum { KEYS = 10000 };
	char *line = malloc(KEYS * 8 + 8);
	size_t len = 0;
	size_t scanned = 0;
	struct request r;
	struct parsed p;
	struct span rest;
	struct span key;
	int count = 0;

	(void)state;
	assert_non_null(line);
	len += (size_t)sprintf(line, "gets");
	for (int i = 0; i < KEYS; i++) {
		len += (size_t)sprintf(line + len, " k%d", i);
	}
	assert_int_equal(text_parse(line, len, &scanned, &r, &p), PARSE_MORE);
	line[len++] = '\n';
	assert_int_equal(text_parse(line, len, &scanned, &r, &p), PARSE_OK);
	assert_int_equal(p.consumed, len);
	rest = r.keys;
	while (text_next_key(&rest, &key)) {
		char expected[16];

		sprintf(expected, "k%d", count);
		assert_true(span_is(key, expected));
		count++;
	}
	assert_int_equal(count, KEYS);
	free(line);
}

/* A command's name with as many words behind it that `words` is reached. */
static enum parse_result parse_with_words(const struct command_info *info,
					  unsigned words, struct parsed *p)
{
	char line[64];
	struct description d;
	size_t scanned = 0;
	int len = sprintf(line, "%s", info->name);

	for (unsigned i = 1; i < words; i++) {
		len += sprintf(line + len, " 1");
	}
	len += sprintf(line + len, "\r\n");
	return describe_parse(line, (size_t)len, &scanned, &d, p);
}

/* The table's least number of words is what the parser asks for. */
static void test_fewest_words(void **state)
{
	struct parsed p;

	(void)state;
	for (int i = 0; i < CMD_COUNT; i++) {
		const struct command_info *info = &command_table[i];

		assert_int_equal(parse_with_words(info, info->words, &p),
				 PARSE_OK);
		if (info->words > 1) {
			assert_int_equal(parse_with_words(info,
							  info->words - 1U, &p),
					 PARSE_ERROR);
			assert_int_equal(p.error, REPLY_BAD_FORMAT);
		}
	}
}

/* The walk over keys ends where its span does. */
static void test_next_key(void **state)
{
	char *bytes = malloc(6);
	struct span rest = { bytes, 6 };
	struct span key;

	(void)state;
	assert_non_null(bytes);
	memcpy(bytes, " a bc ", 6);
	assert_true(text_next_key(&rest, &key));
	assert_true(span_is(key, "a"));
	assert_true(text_next_key(&rest, &key));
	assert_true(span_is(key, "bc"));
	assert_false(text_next_key(&rest, &key));
	rest = (struct span){ bytes, 5 };
	assert_true(text_next_key(&rest, &key));
	assert_true(text_next_key(&rest, &key));
	assert_true(span_is(key, "bc"));
	assert_false(text_next_key(&rest, &key));
	rest = (struct span){ bytes, 0 };
	assert_false(text_next_key(&rest, &key));
	free(bytes);
}

/* One buffer with several commands gives one after the other. */
static void test_pipeline(void **state)
{
	static const char bytes[] = "get a\r\nset b 0 0 1\nx y\r\n\r\nmn\r\nge";
	static const char *const expected[] = {
		"get a",    "set b flags=0 exp=0 len=1",
		"-: ERROR", "-: BAD_FORMAT",
		"mn",       "more",
	};
	size_t len = sizeof(bytes) - 1;
	size_t at = 0;
	size_t scanned = 0;
	struct description d;
	struct parsed p;

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		describe_parse(bytes + at, len - at, &scanned, &d, &p);
		assert_string_equal(d.text, expected[i]);
		if (i + 1 < sizeof(expected) / sizeof(*expected)) {
			at += p.consumed;
		}
	}
	assert_int_equal(scanned, 2);
	assert_int_equal(at + scanned, len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_ends),
		cmocka_unit_test(test_spaces_only_separate),
		cmocka_unit_test(test_short_lines),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_http_closes),
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_gat),
		cmocka_unit_test(test_store),
		cmocka_unit_test(test_store_numbers),
		cmocka_unit_test(test_store_keeps_data),
		cmocka_unit_test(test_store_swallows),
		cmocka_unit_test(test_cas),
		cmocka_unit_test(test_delete),
		cmocka_unit_test(test_delta),
		cmocka_unit_test(test_touch),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_debug_commands),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_long_complete),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_fewest_words),
		cmocka_unit_test(test_next_key),
		cmocka_unit_test(test_pipeline),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
