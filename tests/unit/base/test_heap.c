/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that is made ready for many small pieces: the pieces come out of it,
 * and what was not taken is free again.
 */
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/heap.h"
#include "base/limits.h"

enum { PIECES = 8000, PIECE = 2600 };

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { OTHER_HEAP = 1 };
#else
enum { OTHER_HEAP = 0 };
#endif

static long faults(void)
{
	struct rusage u;

	assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
	return u.ru_minflt;
}

/* Has this system huge pages for who asks for them? */
static bool has_huge(void)
{
	size_t bytes = 4 * MIB;
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t page = 2 * MIB;
	uintptr_t start = ((uintptr_t)at + page - 1) & ~(page - 1);
	bool has;

	assert_true(at != MAP_FAILED);
	*(char *)start = 1;
	has = madvise((void *)start, page, MADV_COLLAPSE) == 0;
	assert_int_equal(munmap(at, bytes), 0);
	return has;
}

static void test_pieces(void **state)
{
	static char *pieces[PIECES];
	size_t bytes = (size_t)PIECES * PIECE;
	void *prepared;
	long before;

	(void)state;
	prepared = heap_prepare(bytes + bytes / 8);
	before = faults();
	for (int i = 0; i < PIECES; i++) {
		pieces[i] = malloc(PIECE);
		assert_non_null(pieces[i]);
		memset(pieces[i], i, PIECE);
	}
	/* Of pages that nobody has touched before there are few. */
	if (!OTHER_HEAP && has_huge()) {
		assert_in_range(faults() - before, 0, bytes / 4096 / 4);
	}
	heap_settle(prepared);
	for (int i = 0; i < PIECES; i++) {
		for (int k = 0; k < PIECE; k += 100) {
			assert_int_equal(pieces[i][k], (char)i);
		}
		free(pieces[i]);
	}
}

static void test_nothing_stays(void **state)
{
	size_t before = mallinfo2().uordblks;

	(void)state;
	for (int i = 0; i < 3; i++) {
		heap_settle(heap_prepare(20 * MIB));
		heap_settle(heap_prepare(0));
	}
	heap_settle(NULL);
	assert_int_equal(mallinfo2().uordblks, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_nothing_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
