/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory from the kernel: reads as zero, is gone when it is dropped, and a
 * refusal is an answer.
 */
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static bool is_zero(const unsigned char *at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (at[i] != 0) {
			return false;
		}
	}
	return true;
}

static void test_round(void **state)
{
	size_t page = page_size();

	(void)state;
	assert_int_equal(arena_round(0), 0);
	assert_int_equal(arena_round(1), page);
	assert_int_equal(arena_round(page - 1), page);
	assert_int_equal(arena_round(page), page);
	assert_int_equal(arena_round(page + 1), 2 * page);
}

/* Pages of [at, at + pages) that are in memory. */
static size_t resident(void *at, size_t pages)
{
	unsigned char map[64];
	size_t count = 0;

	assert_true(pages <= sizeof(map));
	assert_int_equal(mincore(at, pages * page_size(), map), 0);
	for (size_t i = 0; i < pages; i++) {
		count += map[i] & 1;
	}
	return count;
}

static void test_map_and_drop(void **state)
{
	enum { PAGES = 16 };
	size_t page = page_size();
	unsigned char *at = arena_map(PAGES * page - 5);

	(void)state;
	assert_non_null(at);
	assert_true(is_zero(at, PAGES * page));
	memset(at, 0xff, PAGES * page);
	assert_int_equal(resident(at, PAGES), PAGES);
	arena_drop(at + 4 * page, 8 * page);
	assert_int_equal(resident(at, PAGES), PAGES - 8);
	assert_int_equal(at[4 * page - 1], 0xff);
	assert_int_equal(at[12 * page], 0xff);
	assert_true(is_zero(at + 4 * page, 8 * page));
	at[5 * page] = 1;
	assert_int_equal(at[5 * page], 1);
	arena_want_huge(at, PAGES * page);
	assert_int_equal(at[5 * page], 1);
	arena_unmap(at, PAGES * page - 5);
}

/* More than any machine has: an answer, not an end. */
static void test_refusal(void **state)
{
	(void)state;
	assert_null(arena_map((size_t)1 << 60));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_map_and_drop),
		cmocka_unit_test(test_refusal),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
