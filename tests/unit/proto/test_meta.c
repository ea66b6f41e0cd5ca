/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Meta commands: lines to requests, and results to reply lines.
 */
#include "describe.h"

#define O31 "1234567890123456789012345678901"

/* ---- parsing ----------------------------------------------------------- */

static void test_too_few_words(void **state)
{
	static const struct line_case cases[] = {
		LINE("mg\r\n", "mg: BAD_FORMAT"),
		LINE("md\r\n", "md: BAD_FORMAT"),
		LINE("ma\r\n", "ma: BAD_FORMAT"),
		LINE("me\r\n", "me: BAD_FORMAT"),
		LINE("ms\r\n", "ms: BAD_FORMAT"),
		LINE("ms a\r\n", "ms: BAD_FORMAT"),
		LINE("mg \r\n", "mg: BAD_FORMAT"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_mg(void **state)
{
	static const struct line_case cases[] = {
		LINE("mg a\r\n", "mg a"),
		LINE("mg a\n", "mg a"),
		LINE("mg a v\r\n", "mg a v"),
		LINE("mg  a  v  t \r\n", "mg a v t"),
		LINE("mg a s v f c t h l k u q\r\n",
		     "mg a s v f c t h l k u q"),
		LINE("mg a t T90\r\n", "mg a t T=90"),
		LINE("mg a T90 t\r\n", "mg a T=90 t"),
		LINE("mg a N30 R-5 C7 E8\r\n", "mg a N=30 R=-5 C=7 E=8"),
		LINE("mg a N0 T-1\r\n", "mg a N=0 T=-1"),
		LINE("mg a v P123 Lxyz\r\n", "mg a v P123 Lxyz"),
		LINE("mg a D5 J6 F7 I x Mz\r\n", "mg a D=5 J=6 F=7 I x M=z"),
		LINE("mg a M\r\n", "mg a M= "),
		LINE("mg a O\r\n", "mg a O"),
		LINE("mg a O" O31 "\r\n", "mg a O" O31),
		LINE("mg " K250 " v\r\n", "mg <250> v"),
		LINE("mg a v noreply\r\n", "mg: INVALID_FLAG"),
		LINE("mg a kfoo vbar q1\r\n", "mg a kfoo vbar q1"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_mg_refusals(void **state)
{
	static const struct line_case cases[] = {
		LINE("mg " K251 "\r\n", "mg: BAD_FORMAT"),
		LINE("mg " K251 " v v\r\n", "mg: BAD_FORMAT"),
		LINE("mg a v v\r\n", "mg: DUPLICATE_FLAG"),
		LINE("mg a T1 t T2\r\n", "mg: DUPLICATE_FLAG"),
		LINE("mg a \xff\r\n", "mg: DUPLICATE_FLAG"),
		LINE("mg a \x7f\r\n", "mg: DUPLICATE_FLAG"),
		LINE("mg a Z\r\n", "mg: INVALID_FLAG"),
		LINE("mg a W\r\n", "mg: INVALID_FLAG"),
		LINE("mg a S100\r\n", "mg: INVALID_FLAG"),
		LINE("mg a !\r\n", "mg: INVALID_FLAG"),
		LINE("mg a 1\r\n", "mg: INVALID_FLAG"),
		LINE("mg a ~\r\n", "mg: INVALID_FLAG"),
		LINE("mg a [\r\n", "mg: INVALID_FLAG"),
		LINE("mg a \0\r\n", "mg: INVALID_FLAG"),
		LINE("mg a \t\r\n", "mg: INVALID_FLAG"),
		LINE("mg a T\r\n", "mg: BAD_TOKEN"),
		LINE("mg a Tx\r\n", "mg: BAD_TOKEN"),
		LINE("mg a T+1\r\n", "mg: BAD_TOKEN"),
		LINE("mg a T2147483648\r\n", "mg: BAD_TOKEN"),
		LINE("mg a N-2147483649\r\n", "mg: BAD_TOKEN"),
		LINE("mg a R1.5\r\n", "mg: BAD_TOKEN"),
		LINE("mg a C\r\n", "mg: BAD_TOKEN"),
		LINE("mg a C-1\r\n", "mg: BAD_TOKEN"),
		LINE("mg a E18446744073709551616\r\n", "mg: BAD_TOKEN"),
		LINE("mg a F\r\n", "mg: BAD_FORMAT"),
		LINE("mg a F4294967296\r\n", "mg: BAD_FORMAT"),
		LINE("mg a F-1\r\n", "mg: BAD_FORMAT"),
		LINE("mg a D\r\n", "mg: BAD_META_DELTA"),
		LINE("mg a Dx\r\n", "mg: BAD_META_DELTA"),
		LINE("mg a J+1\r\n", "mg: BAD_META_INITIAL"),
		LINE("mg a O" O31 "x\r\n", "mg: OPAQUE_TOO_LONG"),
		LINE("mg a O" K251 K251 "\r\n", "mg: OPAQUE_TOO_LONG"),
	};

	(void)state;
	CHECK_LINES(cases);
}

/* Which fault is told when there are several. */
static void test_first_fault(void **state)
{
	static const struct line_case cases[] = {
		LINE("mg a Tx !\r\n", "mg: INVALID_FLAG"),
		LINE("mg a Tx v v\r\n", "mg: DUPLICATE_FLAG"),
		LINE("mg a ! v v\r\n", "mg: INVALID_FLAG"),
		LINE("mg a v v !\r\n", "mg: DUPLICATE_FLAG"),
		LINE("mg a Tx Dx\r\n", "mg: BAD_META_DELTA"),
		LINE("mg a Dx Tx\r\n", "mg: BAD_TOKEN"),
		LINE("mg a Tx F-\r\n", "mg: BAD_TOKEN"),
		LINE("mg a F- Tx\r\n", "mg: BAD_TOKEN"),
		LINE("ms a 1 Mz O" O31 "x\r\n", "ms: BAD_MS_MODE swallow=3"),
		LINE("ms a 1 Mz Tx\r\n", "ms: BAD_TOKEN swallow=3"),
		LINE("ma a Mz O" O31 "x\r\n", "ma: BAD_MA_MODE"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_flag_count(void **state)
{
	static const struct line_case cases[] = {
		LINE("mg a b\r\n", "mg: BAD_KEY_ENCODING"),
		LINE("mg a k s t c f v h u q x l O P L I N1 T1 R1\r\n",
		     "mg a k s t c f v h u q x l O P L I N=1 T=1 R=1"),
		LINE("mg a k s t c f v h u q x l O P L I N1 T1 R1 C1\r\n",
		     "mg: FLAGS_TOO_LONG"),
		LINE("mg a ! ! v v s t c f h u q x l O P L I N1\r\n",
		     "mg: INVALID_FLAG"),
		LINE("mg a ! ! v v s t c f h u q x l O P L I N1 T1\r\n",
		     "mg: FLAGS_TOO_LONG"),
		LINE("ms a 1 k s t c f v h u q x l O P L I N1 T1\r\n",
		     "ms a len=1 k s t c f v h u q x l O P L I N=1 T=1"),
		LINE("ms a 1 k s t c f v h u q x l O P L I N1 T1 R1\r\n",
		     "ms: FLAGS_TOO_LONG swallow=3"),
		LINE("ma a k s t c f v h u q x l O P L I N1 T1 R1 C1\r\n",
		     "ma: INVALID_OR_DUPLICATE"),
	};

	(void)state;
	CHECK_LINES(cases);
	check_filled("mg a ", 3000, ' ', "v\r\n", "mg a v");
}

static void test_base64_keys(void **state)
{
	static const struct line_case cases[] = {
		LINE("mg Zm9v b\r\n", "mg foo binkey b"),
		LINE("mg Zm8= k b\r\n", "mg fo binkey k b"),
		LINE("mg Zg== b v\r\n", "mg f binkey b v"),
		LINE("mg AAEC/w== b\r\n", "mg \\x00\\x01\\x02\\xff binkey b"),
		LINE("ms IA== 3 b\r\n", "ms \\x20 binkey len=3 b"),
		LINE("md Zm9v b\r\n", "md foo binkey b"),
		LINE("ma Zm9v b\r\n", "ma foo binkey b"),
		LINE("mg Zm9v\r\n", "mg Zm9v"),
		LINE("mg Zm9 b\r\n", "mg: BAD_KEY_ENCODING"),
		LINE("mg Zm9vx b\r\n", "mg: BAD_KEY_ENCODING"),
		LINE("mg Zm9! b\r\n", "mg: BAD_KEY_ENCODING"),
		LINE("mg ==== b\r\n", "mg: BAD_KEY_ENCODING"),
		LINE("mg Z=== b\r\n", "mg: BAD_KEY_ENCODING"),
		LINE("mg Zm==Zm== b\r\n", "mg: BAD_KEY_ENCODING"),
		LINE("mg Zh== b\r\n", "mg: BAD_KEY_ENCODING"),
		LINE("ms Zm9 2 b\r\n", "ms: BAD_KEY_ENCODING swallow=4"),
		LINE("ma Zm9 b\r\n", "ma: INVALID_OR_DUPLICATE"),
		LINE("md Zm9 b\r\n", "md: BAD_KEY_ENCODING"),
		LINE("mg Zm9v b b\r\n", "mg: DUPLICATE_FLAG"),
	};

	(void)state;
	CHECK_LINES(cases);
	check_filled("mg ", 248, 'A', " b\r\n", "mg <186> binkey b");
	check_filled("mg ", 252, 'A', " b\r\n", "mg: BAD_FORMAT");
}

static void test_ms(void **state)
{
	static const struct line_case cases[] = {
		LINE("ms a 0\r\n", "ms a len=0"),
		LINE("ms a 5 T60 F9 I C3 E4 c s k Oq q\r\n",
		     "ms a len=5 T=60 F=9 I C=3 E=4 c s k Oq q"),
		LINE("ms a 2147483645\r\n", "ms a len=2147483645"),
		LINE("ms a 5 F4294967295\r\n", "ms a len=5 F=4294967295"),
		LINE("ms a 1 ME\r\n", "ms a len=1 M=E"),
		LINE("ms a 1 MA N9\r\n", "ms a len=1 M=A N=9"),
		LINE("ms a 1 MP\r\n", "ms a len=1 M=P"),
		LINE("ms a 1 MR\r\n", "ms a len=1 M=R"),
		LINE("ms a 1 MS\r\n", "ms a len=1 M=S"),
		LINE("ms a 1 MSET\r\n", "ms a len=1 M=S"),
		LINE("ms a 1 M\r\n", "ms: BAD_MS_MODE swallow=3"),
		LINE("ms a 1 M v\r\n", "ms: BAD_MS_MODE swallow=3"),
		LINE("ms a 1 Ms\r\n", "ms: BAD_MS_MODE swallow=3"),
		LINE("ms a 1 MI\r\n", "ms: BAD_MS_MODE swallow=3"),
		LINE("ms a 1 M\0\r\n", "ms: BAD_MS_MODE swallow=3"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_ms_lengths(void **state)
{
	static const struct line_case cases[] = {
		LINE("ms a x\r\n", "ms: BAD_FORMAT"),
		LINE("ms a -1\r\n", "ms: BAD_FORMAT"),
		LINE("ms a +1\r\n", "ms: BAD_FORMAT"),
		LINE("ms a 1x\r\n", "ms: BAD_FORMAT"),
		LINE("ms a S1\r\n", "ms: BAD_FORMAT"),
		LINE("ms a 2147483646\r\n", "ms: BAD_FORMAT"),
		LINE("ms a 4294967297\r\n", "ms: BAD_FORMAT"),
		LINE("ms a 18446744073709551615 v v\r\n", "ms: BAD_FORMAT"),
		LINE("ms " K251 " 5\r\n", "ms: BAD_FORMAT swallow=7"),
		LINE("ms " K251 " x\r\n", "ms: BAD_FORMAT"),
		LINE("ms a 5 F-1\r\n", "ms: BAD_FORMAT swallow=7"),
		LINE("ms a 5 Tx q\r\n", "ms: BAD_TOKEN swallow=7"),
		LINE("ms a 5 v v\r\n", "ms: DUPLICATE_FLAG swallow=7"),
		LINE("ms a 5 !\r\n", "ms: INVALID_FLAG swallow=7"),
		LINE("ms a 5 noreply\r\n", "ms: INVALID_FLAG swallow=7"),
		LINE("ms a 5 O" O31 "x\r\n", "ms: OPAQUE_TOO_LONG swallow=7"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_md_and_ma(void **state)
{
	static const struct line_case cases[] = {
		LINE("md a\r\n", "md a"),
		LINE("md a q I T30 x C5 E6 F7 k O1\r\n",
		     "md a q I T=30 x C=5 E=6 F=7 k O1"),
		LINE("md a v v\r\n", "md: DUPLICATE_FLAG"),
		LINE("md a !\r\n", "md: INVALID_FLAG"),
		LINE("md a Mz\r\n", "md a M=z"),
		LINE("md " K251 "\r\n", "md: BAD_FORMAT"),
		LINE("ma a\r\n", "ma a"),
		LINE("ma a D5 J18446744073709551615 N0 v t c\r\n",
		     "ma a D=5 J=18446744073709551615 N=0 v t c"),
		LINE("ma a MI\r\n", "ma a M=I"),
		LINE("ma a M+\r\n", "ma a M=+"),
		LINE("ma a MD\r\n", "ma a M=D"),
		LINE("ma a M-\r\n", "ma a M=-"),
		LINE("ma a MINCR\r\n", "ma a M=I"),
		LINE("ma a Mi\r\n", "ma: BAD_MA_MODE"),
		LINE("ma a M\r\n", "ma: BAD_MA_MODE"),
		LINE("ma a MS\r\n", "ma: BAD_MA_MODE"),
		LINE("ma a Dx\r\n", "ma: INVALID_OR_DUPLICATE"),
		LINE("ma a D-1\r\n", "ma: INVALID_OR_DUPLICATE"),
		LINE("ma a Jx\r\n", "ma: INVALID_OR_DUPLICATE"),
		LINE("ma a Cx\r\n", "ma: INVALID_OR_DUPLICATE"),
		LINE("ma a Tx\r\n", "ma: INVALID_OR_DUPLICATE"),
		LINE("ma a v v\r\n", "ma: INVALID_OR_DUPLICATE"),
		LINE("ma a !\r\n", "ma: INVALID_OR_DUPLICATE"),
		LINE("ma " K251 "\r\n", "ma: INVALID_OR_DUPLICATE"),
		LINE("ma a O" O31 "x\r\n", "ma: OPAQUE_TOO_LONG"),
	};

	(void)state;
	CHECK_LINES(cases);
}

static void test_me_and_mn(void **state)
{
	static const struct line_case cases[] = {
		LINE("me a\r\n", "me a"),
		LINE("me a x y z\r\n", "me a"),
		LINE("me Zm9v b\r\n", "me foo binkey"),
		LINE("me Zm9v b x\r\n", "me foo binkey"),
		LINE("me Zm9v\r\n", "me Zm9v"),
		LINE("me Zm9 b\r\n", "me: BAD_FORMAT"),
		LINE("me " K250 "\r\n", "me <250>"),
		LINE("me " K251 "\r\n", "me: BAD_FORMAT"),
		LINE("mn\r\n", "mn"),
		LINE("mn a b c noreply\r\n", "mn"),
	};

	(void)state;
	CHECK_LINES(cases);
}

/* ---- composing --------------------------------------------------------- */

static const struct meta_result item = {
	.code = META_HD,
	.has_item = true,
	.fetched = true,
	.key = "foo",
	.key_len = 3,
	.value_len = 2,
	.cflags = 7,
	.idle_s = 11,
	.ttl_before_s = 90,
	.ttl_s = 30,
	.cas = 18446744073709551615ULL,
};

/* The reply to `line`, whose result is `m`, is `expected`. */
static void check_reply(const char *line, struct meta_result m,
			const char *expected)
{
	char out[TEXT_LINE_MAX];
	struct request r;
	struct parsed p;
	size_t scanned = 0;
	size_t len;

	memset(&r, 0xa5, sizeof(r));
	assert_int_equal(text_parse(line, strlen(line), &scanned, &r, &p),
			 PARSE_OK);
	memset(out, 0xa5, sizeof(out));
	len = meta_put_line(out, &r, &m);
	assert_true(len < sizeof(out));
	if (len != strlen(expected) || memcmp(out, expected, len) != 0) {
		fail_msg("%s  expected: %s  got:      %.*s", line, expected,
			 (int)len, out);
	}
	assert_int_equal((unsigned char)out[len], 0xa5);
}

static struct meta_result with_code(enum meta_code code)
{
	struct meta_result m = item;

	m.code = code;
	return m;
}

static struct meta_result miss(enum meta_code code)
{
	return (struct meta_result){ .code = code };
}

static void test_put_hits(void **state)
{
	struct meta_result m = with_code(META_VA);

	(void)state;
	check_reply("mg foo\r\n", item, "HD\r\n");
	check_reply("mg foo v\r\n", m, "VA 2\r\n");
	check_reply("mg foo k s f c h l t Oabc v q u\r\n", m,
		    "VA 2 kfoo s2 f7 c18446744073709551615 h1 l11 t30 Oabc"
		    "\r\n");
	check_reply("mg foo O c k\r\n", item,
		    "HD O c18446744073709551615 kfoo\r\n");
	check_reply("mg foo I x P1 L2 E3 C4 D5 J6 MI F8 R9\r\n", item,
		    "HD\r\n");
	m = item;
	m.fetched = false;
	m.ttl_s = -1;
	check_reply("mg foo h t\r\n", m, "HD h0 t-1\r\n");
	m.value_len = UINT32_MAX;
	m.cflags = UINT32_MAX;
	m.idle_s = UINT32_MAX;
	m.code = META_VA;
	m.ttl_s = INT64_MIN;
	check_reply("mg foo s f l t v\r\n", m,
		    "VA 4294967295 s4294967295 f4294967295 l4294967295 "
		    "t-9223372036854775808\r\n");
}

/* t shows the time as of its place in the line. */
static void test_put_times(void **state)
{
	struct meta_result m = item;

	(void)state;
	check_reply("mg foo t T30\r\n", m, "HD t90\r\n");
	check_reply("mg foo T30 t\r\n", m, "HD t30\r\n");
	check_reply("mg foo t\r\n", m, "HD t30\r\n");
	check_reply("mg foo t N30\r\n", m, "HD t30\r\n");
	check_reply("ma foo t T30\r\n", m, "HD t90\r\n");
	check_reply("ma foo T30 t\r\n", m, "HD t30\r\n");
	m.created = true;
	m.ttl_before_s = -1;
	check_reply("mg foo t N30\r\n", m, "HD t-1\r\n");
	check_reply("mg foo N30 t\r\n", m, "HD t30\r\n");
}

static void test_put_marks(void **state)
{
	struct meta_result m = with_code(META_VA);

	(void)state;
	m.won = true;
	check_reply("mg foo v\r\n", m, "VA 2 W\r\n");
	m.stale = true;
	check_reply("mg foo t v\r\n", m, "VA 2 t30 X W\r\n");
	m.won = false;
	m.won_before = true;
	check_reply("mg foo t v\r\n", m, "VA 2 t30 Z X\r\n");
	m.stale = false;
	m.code = META_HD;
	check_reply("mg foo Oz\r\n", m, "HD Oz Z\r\n");
	m.won = true;
	m.stale = true;
	check_reply("mg foo\r\n", m, "HD Z X W\r\n");
	check_reply("ma foo\r\n", m, "HD\r\n");
	check_reply("ms foo 1\r\n", m, "HD\r\n");
	check_reply("md foo\r\n", m, "HD\r\n");
}

static void test_put_misses(void **state)
{
	(void)state;
	check_reply("mg foo\r\n", miss(META_EN), "EN\r\n");
	check_reply("mg foo v t s c f h l k Oz\r\n", miss(META_EN),
		    "EN kfoo Oz\r\n");
	check_reply("mg Zm9v b O1 k\r\n", miss(META_EN), "EN O1 kZm9v b\r\n");
	check_reply("md foo Oz k\r\n", miss(META_NF), "NF Oz kfoo\r\n");
	check_reply("md foo k\r\n", miss(META_EX), "EX kfoo\r\n");
	check_reply("ma foo c t v k O\r\n", miss(META_NF), "NF kfoo O\r\n");
	check_reply("ma foo c t v\r\n", miss(META_EX), "EX\r\n");
}

static void test_put_ms(void **state)
{
	struct meta_result m = miss(META_NS);

	(void)state;
	check_reply("ms foo 2 k O9 c s t f h l\r\n", item,
		    "HD kfoo O9 c18446744073709551615 s2\r\n");
	m.value_len = 5;
	check_reply("ms foo 5 c s k\r\n", m, "NS c0 s5 kfoo\r\n");
	m.code = META_EX;
	check_reply("ms foo 5 c\r\n", m, "EX c0\r\n");
	m.code = META_NF;
	check_reply("ms foo 5 Ox q\r\n", m, "NF Ox\r\n");
}

static void test_put_quiet(void **state)
{
	(void)state;
	check_reply("mg foo q k\r\n", miss(META_EN), "");
	check_reply("mg foo q\r\n", item, "HD\r\n");
	check_reply("mg foo q v\r\n", with_code(META_VA), "VA 2\r\n");
	check_reply("ms foo 2 q\r\n", item, "");
	check_reply("ms foo 2 q\r\n", miss(META_NS), "NS\r\n");
	check_reply("ms foo 2 q\r\n", miss(META_EX), "EX\r\n");
	check_reply("ms foo 2 q\r\n", miss(META_NF), "NF\r\n");
	check_reply("md foo q\r\n", item, "");
	check_reply("md foo q\r\n", miss(META_NF), "NF\r\n");
	check_reply("md foo q\r\n", miss(META_EX), "EX\r\n");
	check_reply("ma foo q\r\n", item, "");
	check_reply("ma foo q v\r\n", with_code(META_VA), "");
	check_reply("ma foo q\r\n", miss(META_NF), "NF\r\n");
	check_reply("ma foo q\r\n", miss(META_NS), "NS\r\n");
	check_reply("ma foo q\r\n", miss(META_EX), "EX\r\n");
}

static void test_put_keys(void **state)
{
	struct meta_result m = item;

	(void)state;
	m.key_is_binary = true;
	check_reply("mg Zm9v b k\r\n", m, "HD kZm9v b\r\n");
	check_reply("mg foo k\r\n", m, "HD kZm9v b\r\n");
	m.key_is_binary = false;
	check_reply("mg Zm9v b k\r\n", m, "HD kfoo\r\n");
	check_reply("mg Zm9v b\r\n", m, "HD\r\n");
	check_reply("ms Zm9v 2 b k c\r\n",
		    (struct meta_result){ .code = META_HD, .cas = 5 },
		    "HD kZm9v b c5\r\n");
}

/* The longest reply that there can be fits its promise. */
static void test_put_longest(void **state)
{
	char key[KEY_MAX];
	char out[TEXT_LINE_MAX];
	const char *line = "mg a k s t c f h l O" O31 " v\r\n";
	struct meta_result m = with_code(META_VA);
	struct meta_debug d = { .key = key };
	struct request r;
	struct parsed p;
	size_t scanned = 0;

	(void)state;
	memset(key, 'k', sizeof(key));
	m.key = key;
	m.key_len = KEY_MAX;
	m.key_is_binary = true;
	m.value_len = m.cflags = m.idle_s = UINT32_MAX;
	m.ttl_s = INT64_MIN;
	m.won = m.won_before = m.stale = true;
	assert_int_equal(text_parse(line, strlen(line), &scanned, &r, &p),
			 PARSE_OK);
	assert_in_range(meta_put_line(out, &r, &m), 400, TEXT_LINE_MAX);
	d.key_len = KEY_MAX;
	d.key_is_binary = true;
	d.ttl_s = INT64_MIN;
	d.cas = UINT64_MAX;
	d.idle_s = d.class_id = d.size = UINT32_MAX;
	assert_in_range(meta_put_debug_line(out, &d), 300, TEXT_LINE_MAX);
}

static void test_put_debug(void **state)
{
	char out[TEXT_LINE_MAX];
	struct meta_debug d = {
		.key = "foo",
		.key_len = 3,
		.ttl_s = -1,
		.idle_s = 4,
		.cas = 5,
		.class_id = 6,
		.size = 7,
	};
	size_t len = meta_put_debug_line(out, &d);

	(void)state;
	out[len] = '\0';
	assert_string_equal(
		out, "ME foo exp=-1 la=4 cas=5 fetch=no cls=6 size=7\r\n");
	d.key_is_binary = true;
	d.fetched = true;
	d.ttl_s = 100;
	out[meta_put_debug_line(out, &d)] = '\0';
	assert_string_equal(
		out, "ME Zm9v exp=100 la=4 cas=5 fetch=yes cls=6 size=7\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_few_words),
		cmocka_unit_test(test_mg),
		cmocka_unit_test(test_mg_refusals),
		cmocka_unit_test(test_first_fault),
		cmocka_unit_test(test_flag_count),
		cmocka_unit_test(test_base64_keys),
		cmocka_unit_test(test_ms),
		cmocka_unit_test(test_ms_lengths),
		cmocka_unit_test(test_md_and_ma),
		cmocka_unit_test(test_me_and_mn),
		cmocka_unit_test(test_put_hits),
		cmocka_unit_test(test_put_times),
		cmocka_unit_test(test_put_marks),
		cmocka_unit_test(test_put_misses),
		cmocka_unit_test(test_put_ms),
		cmocka_unit_test(test_put_quiet),
		cmocka_unit_test(test_put_keys),
		cmocka_unit_test(test_put_longest),
		cmocka_unit_test(test_put_debug),
	};

	return cmocka_run_group_tests_name("meta", tests, NULL, NULL);
}
