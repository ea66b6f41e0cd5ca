/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool of segments against the kernel's own account of its memory.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "store/segment.h"
#include "store_fixture.h"

/* Pages in memory from the start of segment n to that of segment `to`. */
static size_t resident(const struct pool *p, uint32_t n, uint32_t to)
{
	static unsigned char pages[4096];
	size_t bytes = (size_t)(to - n) * p->size;
	size_t count = bytes / (size_t)sysconf(_SC_PAGESIZE);
	size_t found = 0;

	assert_in_range(count, 1, sizeof(pages));
	assert_int_equal(mincore(segment_start(p, n), bytes, pages), 0);
	for (size_t i = 0; i < count; i++) {
		found += pages[i] & 1U;
	}
	return found;
}

static void test_full_takes_no_huge_page_past_its_end(void **state)
{
	(void)state;
	/* The end lies in another place of a huge page each time. */
	for (uint64_t more = 0; more < 2 * MIB; more += 512 * KIB) {
		struct supply supply = { 0 };
		struct pool_config config = { .limit = 36 * MIB + more,
					      .evicts = true,
					      .huge_pages = true };
		struct pool pool;
		uint32_t last = 0;
		uint32_t n;

		budget_init(&supply.budget, config.limit);
		assert_true(pool_init(&pool, &supply, &config));
		while ((n = pool_open(&pool, QUEUE_MAIN, 0, 0, 0)) != 0) {
			*segment_start(&pool, n) = 1;
			last = n;
		}
		assert_in_range(last, SEGMENTS_MIN, pool.count);
		assert_true(resident(&pool, last, last + 1) > 0);
		assert_int_equal(resident(&pool, last + 1, pool.count), 0);
		pool_release(&pool);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_takes_no_huge_page_past_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
