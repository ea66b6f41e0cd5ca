/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Growing bytes: pieces add up in order, and running out of memory is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void pieces_add_up(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (int i = 0; i < 10000; i++) {
		buf_printf(&b, "%04d", i);
	}
	assert_false(b.failed);
	assert_int_equal(b.len, 40000);
	assert_memory_equal(b.data, "00000001", 8);
	assert_memory_equal(b.data + 39992, "99989999", 8);
	buf_release(&b);
	assert_null(b.data);
	assert_int_equal(b.cap, 0);
}

static void room_of_any_size(void **state)
{
	struct buf b = { 0 };
	char *to = buf_room(&b, 1 << 20);

	(void)state;
	assert_non_null(to);
	memset(to, 'x', 1 << 20);
	buf_add(&b, 1 << 20);
	to = buf_room(&b, 1);
	assert_non_null(to);
	assert_ptr_equal(to, b.data + (1 << 20));
	buf_release(&b);
}

static void failure_is_kept(void **state)
{
	struct buf b = { 0 };

	(void)state;
	buf_printf(&b, "kept");
	assert_null(buf_room(&b, SIZE_MAX / 4));
	assert_true(b.failed);
	assert_null(buf_room(&b, 1));
	buf_printf(&b, "lost");
	assert_int_equal(b.len, 4);
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_add_up),
		cmocka_unit_test(room_of_any_size),
		cmocka_unit_test(failure_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
