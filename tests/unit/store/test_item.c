/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packed form of an item: what goes in comes out, for every mix of
 * optional fields, and nothing is written outside its size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/item.h"

enum { ROOM = 1024, GUARD = 0x5a };

static const uint64_t base = 1000000;

static struct item_view sample(void)
{
	return (struct item_view){
		.key = "the-key",
		.key_len = 7,
		.value_len = 11,
		.lsn = base + 5,
		.cas = base + 5,
		.accessed = 77,
	};
}

static void write_all(char *raw, const struct item_view *v, unsigned extras)
{
	memset(raw, GUARD, ROOM);
	item_write(raw, v, extras, base);
	memset(raw + item_value_at(v, extras), 'v', v->value_len);
}

static void check_same(const struct item_view *a, const struct item_view *b)
{
	assert_int_equal(a->key_len, b->key_len);
	assert_memory_equal(a->key, b->key, a->key_len);
	assert_int_equal(a->value_len, b->value_len);
	assert_int_equal(a->lsn, b->lsn);
	assert_int_equal(a->cas, b->cas);
	assert_int_equal(a->cflags, b->cflags);
	assert_int_equal(a->exptime, b->exptime);
	assert_int_equal(a->accessed, b->accessed);
	assert_int_equal(a->fetched, b->fetched);
	assert_int_equal(a->stale, b->stale);
	assert_int_equal(a->won, b->won);
	assert_int_equal(a->binkey, b->binkey);
}

static void check_round(const struct item_view *v, unsigned extras)
{
	char raw[ROOM];
	struct item_view out;
	struct item_outline o;
	uint32_t size = (uint32_t)item_size(v, extras);

	write_all(raw, v, extras);
	assert_int_equal(size % ITEM_ALIGN, 0);
	for (uint32_t i = size; i < ROOM; i++) {
		assert_int_equal(raw[i], GUARD);
	}
	item_read(raw, base, &out);
	check_same(v, &out);
	assert_int_equal(out.size, size);
	for (uint32_t i = 0; i < v->value_len; i++) {
		assert_int_equal(out.value[i], 'v');
	}
	item_peek(raw, &o);
	assert_int_equal(o.size, size);
	assert_int_equal(o.key_len, v->key_len);
	assert_ptr_equal(o.key, out.key);
}

/* Every mix: ten properties, each there or not. */
static void test_round_trips(void **state)
{
	(void)state;
	for (unsigned mix = 0; mix < 1024; mix++) {
		struct item_view v = sample();
		unsigned extras = EXTRA_NONE;

		v.exptime = (mix & 1) != 0 ? 99 : 0;
		v.cflags = (mix & 2) != 0 ? 0xfffffff0 : 0;
		v.fetched = (mix & 4) != 0;
		v.stale = (mix & 8) != 0;
		v.won = (mix & 16) != 0;
		v.binkey = (mix & 32) != 0;
		if ((mix & 64) != 0) {
			v.cas = 42;
			extras |= EXTRA_CAS;
		}
		if ((mix & 128) != 0) {
			v.lsn = 1;
			v.cas = extras == EXTRA_NONE ? 1 : 42;
			extras |= EXTRA_WIDE;
		}
		v.value_len = (mix & 256) != 0 ? 12 : 0;
		v.key_len = (mix & 512) != 0 ? 6 : 7;
		check_round(&v, extras);
	}
}

static void test_overhead(void **state)
{
	struct item_view v = sample();

	(void)state;
	v.key_len = 16;
	v.value_len = 32;
	assert_int_equal(item_size(&v, EXTRA_NONE), 12 + 16 + 32);
	v.exptime = 1;
	assert_int_equal(item_size(&v, EXTRA_NONE), 16 + 16 + 32);
	v.value_len = ITEM_SIZE_MAX - 1;
	assert_int_equal(item_size(&v, EXTRA_NONE), 16 + 16 + ITEM_SIZE_MAX);
}

static void test_lsn_range(void **state)
{
	(void)state;
	assert_true(item_lsn_fits(base + INT32_MAX, base));
	assert_false(item_lsn_fits(base + INT32_MAX + 1ULL, base));
	assert_true(item_lsn_fits((5ULL << 44) - (1ULL << 31), 5ULL << 44));
	assert_false(
		item_lsn_fits((5ULL << 44) - (1ULL << 31) - 1, 5ULL << 44));
}

static void test_amend(void **state)
{
	struct item_view v = sample();
	struct item_view out;
	char raw[ROOM];

	(void)state;
	v.exptime = 10;
	write_all(raw, &v, EXTRA_NONE);
	v.exptime = 0;
	v.fetched = true;
	v.won = true;
	v.accessed = 78;
	v.lsn = v.cas = base + 9;
	assert_true(item_amendable(raw, &v, EXTRA_NONE, base));
	item_amend(raw, &v, base);
	item_read(raw, base, &out);
	check_same(&v, &out);
	/* The field stays, so that the size does, and the value. */
	assert_int_equal(out.size, 16 + 7 + 11);
	assert_int_equal(out.value[0], 'v');
	assert_int_equal(out.value[10], 'v');
}

static void test_amend_without_field(void **state)
{
	struct item_view v = sample();
	char raw[ROOM];

	(void)state;
	write_all(raw, &v, EXTRA_NONE);
	v.exptime = 10;
	assert_false(item_amendable(raw, &v, EXTRA_NONE, base));
	v = sample();
	assert_false(item_amendable(raw, &v, EXTRA_CAS, base));
	v.lsn = base + (1ULL << 31);
	assert_false(item_amendable(raw, &v, EXTRA_NONE, base));
}

static void test_rebase(void **state)
{
	struct item_view v = sample();
	struct item_view out;
	char raw[ROOM];

	(void)state;
	write_all(raw, &v, EXTRA_NONE);
	assert_true(item_rebase(raw, v.lsn, base + 70000));
	item_read(raw, base + 70000, &out);
	check_same(&v, &out);
	assert_false(item_rebase(raw, v.lsn, base + (1ULL << 40)));
	write_all(raw, &v, EXTRA_WIDE);
	assert_true(item_rebase(raw, v.lsn, base + (1ULL << 40)));
	item_read(raw, base + (1ULL << 40), &out);
	check_same(&v, &out);
}

static void test_gap(void **state)
{
	struct item_outline o;
	char raw[ROOM];

	(void)state;
	item_bury(raw, 260000);
	item_peek(raw, &o);
	assert_int_equal(o.key_len, 0);
	assert_int_equal(o.size, 260000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_overhead),
		cmocka_unit_test(test_lsn_range),
		cmocka_unit_test(test_amend),
		cmocka_unit_test(test_amend_without_field),
		cmocka_unit_test(test_rebase),
		cmocka_unit_test(test_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
