/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The linked list: order at both ends, removal in a walk, removal twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/list.h"

struct member {
	int value;
	struct list link;
};

static struct list head;
static struct member members[5];

static int setup(void **state)
{
	(void)state;
	list_init(&head);
	for (int i = 0; i < 5; i++) {
		members[i].value = i;
		list_init(&members[i].link);
	}
	return 0;
}

/* The list holds the values of the digits in `expected`, both ways round. */
static void check_order(const char *expected)
{
	char got[8];
	size_t n = 0;

	list_each(link, &head)
	{
		assert_true(n < sizeof(got) - 1);
		assert_ptr_equal(link->next->prev, link);
		assert_ptr_equal(link->prev->next, link);
		got[n++] = (char)('0' +
				  list_entry(link, struct member, link)->value);
	}
	got[n] = '\0';
	assert_string_equal(got, expected);
	assert_int_equal(list_empty(&head), n == 0);
}

static void test_push(void **state)
{
	(void)state;
	check_order("");
	list_push_tail(&head, &members[1].link);
	check_order("1");
	list_push_tail(&head, &members[2].link);
	list_push_head(&head, &members[0].link);
	check_order("012");
	list_insert_between(&members[4].link, &members[0].link,
			    &members[1].link);
	check_order("0412");
}

static void test_remove(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		list_push_tail(&head, &members[i].link);
	}
	list_remove(&members[1].link);
	check_order("023");
	assert_true(list_empty(&members[1].link));
	list_remove(&members[1].link);
	check_order("023");
	list_remove(&members[0].link);
	list_remove(&members[3].link);
	check_order("2");
	list_remove(&members[2].link);
	check_order("");
	list_push_head(&head, &members[1].link);
	check_order("1");
}

static void test_pop(void **state)
{
	(void)state;
	assert_null(list_pop_head(&head));
	list_push_tail(&head, &members[3].link);
	list_push_tail(&head, &members[4].link);
	assert_ptr_equal(list_pop_head(&head), &members[3].link);
	assert_true(list_empty(&members[3].link));
	check_order("4");
	assert_ptr_equal(list_pop_head(&head), &members[4].link);
	assert_null(list_pop_head(&head));
}

static void test_remove_in_walk(void **state)
{
	int seen = 0;

	(void)state;
	for (int i = 0; i < 5; i++) {
		list_push_tail(&head, &members[i].link);
	}
	list_each_safe(link, after, &head)
	{
		struct member *m = list_entry(link, struct member, link);

		assert_int_equal(m->value, seen);
		seen++;
		if (m->value % 2 == 0) {
			list_remove(link);
			memset(m, 0xa5, sizeof(*m));
		}
	}
	assert_int_equal(seen, 5);
	check_order("13");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_push, setup),
		cmocka_unit_test_setup(test_remove, setup),
		cmocka_unit_test_setup(test_pop, setup),
		cmocka_unit_test_setup(test_remove_in_walk, setup),
	};

	return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
