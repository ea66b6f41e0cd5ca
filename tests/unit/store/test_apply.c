/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records become items again: which of two wins, what flushes, touches and
 * expiry mean when they are replayed, and what happens when memory is short.
 */
#include "store_fixture.h"
#include "store_replay.h"

/* A record by its few interesting parts. */
static struct record item(uint64_t lsn, const char *key, const char *value)
{
	return (struct record){
		.kind = RECORD_ITEM,
		.lsn = lsn,
		.time = NOW,
		.key = key,
		.key_len = (uint8_t)strlen(key),
		.value = value,
		.value_len = (uint32_t)strlen(value),
	};
}

static struct record removal(uint64_t lsn, const char *key)
{
	struct record r = item(lsn, key, "");

	r.kind = RECORD_REMOVE;
	return r;
}

static struct record touch(uint64_t lsn, const char *key, uint64_t item_lsn,
			   uint32_t exptime)
{
	struct record r = item(lsn, key, "");

	r.kind = RECORD_TOUCH;
	r.item_lsn = item_lsn;
	r.exptime = exptime;
	return r;
}

static struct record flushing(uint64_t lsn, uint32_t at)
{
	return (struct record){
		.kind = at != 0 ? RECORD_FLUSH_AT : RECORD_FLUSH,
		.lsn = lsn,
		.time = NOW,
		.number = at,
	};
}

static enum store_applied apply(struct fixture *f, struct record r)
{
	return replay_apply(f->s, f->c, &r);
}

/* Is this what lives under the key?  NULL: nothing does. */
static void expect(struct fixture *f, const char *name, const char *value)
{
	struct store_key key = key_named(f, name);
	struct store_entry e;
	bool found = store_open(f->c, &key, f->now, &e);

	assert_int_equal(found, value != NULL);
	if (found) {
		assert_int_equal(e.item.value_len, strlen(value));
		assert_memory_equal(e.item.value, value, e.item.value_len);
	}
	store_close(&e);
}

static void test_newer_wins(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	assert_int_equal(apply(&f, item(5, "a", "five")), APPLY_DONE);
	assert_int_equal(apply(&f, item(4, "a", "four")), APPLY_OLDER);
	assert_int_equal(apply(&f, item(5, "a", "again")), APPLY_OLDER);
	assert_int_equal(apply(&f, removal(4, "a")), APPLY_OLDER);
	expect(&f, "a", "five");
	assert_int_equal(apply(&f, item(6, "a", "six")), APPLY_DONE);
	expect(&f, "a", "six");
	assert_int_equal(apply(&f, removal(7, "a")), APPLY_DONE);
	expect(&f, "a", NULL);
	assert_int_equal(store_lsn(f.s), 7);
	/* The next change is above all of them. */
	put_number(&f, 1, 10, 0);
	assert_int_equal(store_lsn(f.s), 8);
	fixture_close(&f);
}

static void test_all_of_an_item(void **state)
{
	static char large[300000];
	struct fixture f;
	struct record r = item(1ULL << 40, "a", "");
	struct store_key key;
	struct store_entry e;

	(void)state;
	fixture_open(&f, 16 * MIB, true);
	memset(large, 'x', sizeof(large));
	for (int i = 0; i < 2; i++) {
		/* The second is too old to be told by its segment. */
		r.lsn = i == 0 ? 1ULL << 40 : 77;
		r.key = i == 0 ? "a" : "b";
		r.value = large;
		r.value_len = i == 0 ? sizeof(large) : 100;
		r.cflags = 3;
		r.exptime = NOW + 9;
		r.cas = 12345;
		r.marks = MARK_STALE | MARK_WON | MARK_BINKEY | MARK_FETCHED;
		assert_int_equal(apply(&f, r), APPLY_DONE);
		key = key_named(&f, r.key);
		assert_true(store_open(f.c, &key, NOW, &e));
		assert_int_equal(e.item.lsn, r.lsn);
		assert_int_equal(e.item.cas, 12345);
		assert_int_equal(e.item.cflags, 3);
		assert_int_equal(e.item.exptime, NOW + 9);
		assert_int_equal(e.item.accessed, NOW);
		assert_true(e.item.stale && e.item.won && e.item.binkey &&
			    e.item.fetched);
		assert_int_equal(e.item.value_len, r.value_len);
		assert_memory_equal(e.item.value, large, r.value_len);
		store_close(&e);
	}
	fixture_close(&f);
}

static void test_flushes_in_any_order(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	apply(&f, item(10, "a", "old"));
	apply(&f, flushing(20, 0));
	assert_int_equal(apply(&f, item(19, "b", "old")), APPLY_OLDER);
	assert_int_equal(apply(&f, item(21, "c", "new")), APPLY_DONE);
	expect(&f, "a", NULL);
	expect(&f, "b", NULL);
	expect(&f, "c", "new");
	/* An intention that was withdrawn by a flush, and one that was not. */
	assert_int_equal(apply(&f, flushing(15, NOW + 5)), APPLY_OLDER);
	assert_int_equal(store_flush_pending(f.s), 0);
	apply(&f, flushing(30, NOW + 5));
	assert_int_equal(store_flush_pending(f.s), NOW + 5);
	assert_int_equal(apply(&f, flushing(25, 0)), APPLY_OLDER);
	assert_int_equal(store_flush_pending(f.s), NOW + 5);
	assert_int_equal(stats_of(&f).barrier, 25);
	apply(&f, flushing(31, 0));
	assert_int_equal(store_flush_pending(f.s), 0);
	/* A snapshot's barrier and intention. */
	apply(&f, flushing(40, 0));
	apply(&f, flushing(40, NOW + 9));
	apply(&f, flushing(40, 0));
	assert_int_equal(store_flush_pending(f.s), NOW + 9);
	fixture_close(&f);
}

/* What had its time while the node was away takes effect when it is back. */
static void test_pending_flush_fires(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	apply(&f, item(1, "a", "old"));
	apply(&f, flushing(2, NOW + 5));
	apply(&f, item(3, "b", "old"));
	f.now = NOW + 100;
	expect(&f, "a", NULL);
	expect(&f, "b", NULL);
	assert_int_equal(store_flush_pending(f.s), 0);
	fixture_close(&f);
}

static void test_touch(void **state)
{
	struct fixture f;
	struct record r = item(1, "a", "value");

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	r.exptime = NOW + 10;
	apply(&f, r);
	/* Of another item, and of none. */
	assert_int_equal(apply(&f, touch(9, "a", 2, 0)), APPLY_OLDER);
	assert_int_equal(apply(&f, touch(9, "b", 1, 0)), APPLY_OLDER);
	/* Its time has come long since, but then it was prolonged. */
	f.now = NOW + 20;
	assert_int_equal(apply(&f, touch(2, "a", 1, NOW + 30)), APPLY_DONE);
	expect(&f, "a", "value");
	f.now = NOW + 30;
	expect(&f, "a", NULL);
	/* One that had none gets a time. */
	apply(&f, item(5, "c", "value"));
	assert_int_equal(apply(&f, touch(6, "c", 5, NOW + 40)), APPLY_DONE);
	expect(&f, "c", "value");
	f.now = NOW + 40;
	expect(&f, "c", NULL);
	fixture_close(&f);
}

static void test_expired_hides_older(void **state)
{
	struct fixture f;
	struct record r = item(2, "a", "short");

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	apply(&f, item(1, "a", "long"));
	r.exptime = NOW;
	assert_int_equal(apply(&f, r), APPLY_EXPIRED);
	expect(&f, "a", NULL);
	assert_int_equal(stats_of(&f).items, 0);
	apply(&f, item(1, "b", "long"));
	r = item(2, "b", "short");
	r.exptime = NOW + 1;
	assert_int_equal(apply(&f, r), APPLY_DONE);
	f.now = NOW + 1;
	expect(&f, "b", NULL);
	fixture_close(&f);
}

/* ---- memory ------------------------------------------------------------ */

static struct record sized(uint64_t lsn, char *key, uint32_t n,
			   const char *value, uint32_t len)
{
	struct record r;

	sprintf(key, "key:%u", n);
	r = item(lsn, key, "");
	r.value = value;
	r.value_len = len;
	return r;
}

static void test_smaller_store_evicts(void **state)
{
	static char value[1000];
	struct fixture f;
	char key[32];
	uint32_t n;

	(void)state;
	fixture_open(&f, 4 * MIB, true);
	for (n = 0; n < 10000; n++) {
		assert_int_equal(apply(&f, sized(n + 1, key, n, value, 1000)),
				 APPLY_DONE);
	}
	assert_true(f.evicted > 5000);
	assert_true(stats_of(&f).items > 3000);
	fixture_close(&f);
}

static void test_full_forgets_older(void **state)
{
	static char value[200000];
	struct fixture f;
	struct record r;
	char key[32];
	uint32_t n = 0;

	(void)state;
	fixture_open(&f, 8 * MIB, false);
	apply(&f, item(1, "a", "old"));
	expect(&f, "a", "old");
	while (apply(&f, sized(2 + n, key, n, value, 1000)) == APPLY_DONE) {
		assert_true(++n < 10000);
	}
	assert_true(n > 6000);
	assert_int_equal(apply(&f, sized(2 + n, key, n, value, 200000)),
			 APPLY_NO_MEMORY);
	r = item(20000, "a", "");
	r.value = value;
	r.value_len = sizeof(value);
	assert_int_equal(apply(&f, r), APPLY_NO_MEMORY);
	expect(&f, "a", NULL);
	fixture_close(&f);
}

/* Four times as much as fits, of which a tenth lives at any time. */
static void test_expired_makes_room(void **state)
{
	static char value[1001];
	struct fixture f;
	char key[32];

	(void)state;
	memset(value, 'v', 1000);
	fixture_open(&f, 8 * MIB, false);
	for (uint32_t n = 0; n < 32000; n++) {
		struct record r = sized(n + 1, key, n, value, 1000);

		r.time = NOW + n / 100;
		r.exptime = r.time + 8;
		assert_int_equal(apply(&f, r), APPLY_DONE);
	}
	f.now = NOW + 319;
	expect(&f, "key:31999", value);
	expect(&f, "key:1000", NULL);
	fixture_close(&f);
}

/* ---- parts ------------------------------------------------------------- */

static void test_parts(void **state)
{
	uint32_t counts[3] = { 0 };
	struct fixture f;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	assert_int_equal(state_shards(f.s), 256);
	for (uint64_t n = 0; n < 3000; n++) {
		struct store_key key = key_of(&f, n);
		struct store_key low = key;
		unsigned part = store_part(f.s, &key, 3);

		assert_true(part < 3);
		counts[part]++;
		assert_int_equal(store_part(f.s, &key, 1), 0);
		/* All of a shard is in one part. */
		low.hash = key.hash >> 56 << 56;
		assert_int_equal(store_part(f.s, &low, 3), part);
	}
	for (int i = 0; i < 3; i++) {
		assert_true(counts[i] > 800);
	}
	fixture_close(&f);
}

static void test_unknown_kinds(void **state)
{
	struct record mark = { .kind = RECORD_MARK, .lsn = 99 };
	struct record epoch = { .kind = RECORD_EPOCH, .lsn = 9 };
	struct fixture f;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	assert_int_equal(apply(&f, mark), APPLY_UNKNOWN);
	assert_int_equal(apply(&f, epoch), APPLY_UNKNOWN);
	fixture_close(&f);
}

/* ---- tables that are made before they are needed ------------------------ */

enum { EXPECTED = 100000 };

static void apply_many(struct fixture *f, uint64_t from, uint64_t to)
{
	char name[32];

	for (uint64_t n = from; n < to; n++) {
		snprintf(name, sizeof(name), "key-%llu", (unsigned long long)n);
		assert_int_equal(apply(f, item(n + 1, name, "value")),
				 APPLY_DONE);
	}
}

/* What the tables take, with as many items and no wish. */
static uint64_t plain_table_bytes(void)
{
	struct fixture f;
	uint64_t bytes;

	fixture_open(&f, 64 * MIB, true);
	apply_many(&f, 0, EXPECTED);
	bytes = stats_of(&f).table_bytes;
	fixture_close(&f);
	return bytes;
}

static void test_expected(void **state)
{
	uint64_t plain = plain_table_bytes();
	struct fixture f;
	uint64_t bytes;

	(void)state;
	fixture_open(&f, 64 * MIB, true);
	store_expect(f.s, EXPECTED);
	bytes = stats_of(&f).table_bytes;
	assert_in_range(bytes, plain / 100 * 95, plain / 100 * 110);
	apply_many(&f, 0, EXPECTED);
	assert_in_range(stats_of(&f).table_bytes, bytes, bytes / 100 * 105);
	store_fit(f.s);
	assert_true(stats_of(&f).table_bytes <= plain / 100 * 110);
	/* So many that their memory is made ready; and they do not come. */
	store_expect(f.s, 10 * EXPECTED);
	assert_true(stats_of(&f).table_bytes > 9 * plain);
	store_verify(f.s);
	store_fit(f.s);
	assert_true(stats_of(&f).table_bytes <= plain / 100 * 110);
	store_verify(f.s);
	fixture_close(&f);
}

/* The tables never take what the limit has not. */
static void test_expected_too_many(void **state)
{
	struct fixture f;
	uint64_t used;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	used = stats_of(&f).memory_used;
	store_expect(f.s, 2000000);
	assert_int_equal(stats_of(&f).memory_used, used);
	store_expect(f.s, UINT64_MAX);
	assert_int_equal(stats_of(&f).memory_used, used);
	store_expect(f.s, 200000);
	assert_in_range(stats_of(&f).memory_used, used + 1, 8 * MIB);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_newer_wins),
		cmocka_unit_test(test_all_of_an_item),
		cmocka_unit_test(test_flushes_in_any_order),
		cmocka_unit_test(test_pending_flush_fires),
		cmocka_unit_test(test_touch),
		cmocka_unit_test(test_expired_hides_older),
		cmocka_unit_test(test_smaller_store_evicts),
		cmocka_unit_test(test_full_forgets_older),
		cmocka_unit_test(test_expired_makes_room),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_unknown_kinds),
		cmocka_unit_test(test_expected),
		cmocka_unit_test(test_expected_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
