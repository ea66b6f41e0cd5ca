/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each allocation of a course through the store fails once: the first, the
 * second, and so on until one passes without a refusal.  After each the store
 * is consistent, nothing is lost from the books, and goes on.
 */
#include "store_fixture.h"

enum { SMALL = 100, COURSES_MAX = 100000 };

static struct store *open_store(struct fixture *f)
{
	struct store_config config = {
		.memory_limit = 8 * MIB,
		.memory_reserve = 8 * MIB,
		.hash_seed = 99,
		.evict = true,
		.deny = fixture_deny,
		.deny_arg = f,
	};

	return store_new(&config);
}

static void expect_stored(enum store_result res)
{
	assert_true(res == STORE_OK || res == STORE_NO_MEMORY);
}

/* A value that arrives slowly. */
static void receive(struct fixture *f, uint64_t n, uint32_t len)
{
	static const struct commit how = { .mode = MODE_SET };
	struct store_key key = key_of(f, n);
	struct reservation r;
	struct change out;

	if (store_reserve(f->c, &key, len, 0, 0, false, f->now, &r) !=
	    STORE_OK) {
		return;
	}
	memset(r.value, (int)('a' + n % 26), len / 2);
	if (store_hold(f->c, &r, len / 2) != STORE_OK) {
		return;
	}
	memset(r.value + len / 2, (int)('a' + n % 26), len - len / 2);
	expect_stored(store_commit(f->c, &r, &how, JOINED_MAX, f->now, &out));
}

/* All that takes memory; most of it is taken already, so that some must go. */
static void course(struct fixture *f)
{
	struct store_entry e;
	struct store_key key;
	uint64_t i;

	budget_force(store_budget(f->s), 6 * MIB);
	for (i = 0; i < SMALL; i++) {
		expect_stored(put_number(f, i, 20, 0));
	}
	for (i = 0; i < 4; i++) {
		expect_stored(put_number(f, SMALL + i, 100000, 0));
	}
	receive(f, 3, 50);
	receive(f, 4, 200000);
	key = key_of(f, 5);
	if (store_open_touch(f->c, &key, NOW + 100, f->now, &e) !=
	    STORE_NO_MEMORY) {
		store_close(&e);
	}
	for (i = 0; i < 20; i++) {
		expect_stored(put_number(f, 1000 + i, 100000, 0));
	}
	budget_give(store_budget(f->s), 6 * MIB);
}

/* One course with its n-th allocation refused; true: there was an n-th. */
static bool refuse(uint32_t n)
{
	struct fixture f = { .now = NOW, .fail_in = n };
	bool refused;

	f.s = open_store(&f);
	if (f.s == NULL) {
		return true;
	}
	f.c = store_ctx_new(f.s);
	if (f.c == NULL) {
		store_free(f.s);
		return true;
	}
	course(&f);
	refused = f.fail_in == 0;
	store_verify(f.s);
	f.fail_in = 0;
	for (uint64_t i = 0; i < 100; i++) {
		assert_int_equal(put_number(&f, i, 30, 0), STORE_OK);
		assert_true(has_number(&f, i));
	}
	fixture_close(&f);
	return refused;
}

static void test_each_allocation_refused(void **state)
{
	uint32_t n = 1;

	(void)state;
	while (refuse(n)) {
		n++;
		assert_true(n < COURSES_MAX);
	}
	print_message("%u allocations\n", n - 1);
	assert_true(n > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_allocation_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
