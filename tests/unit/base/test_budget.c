/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory budget and the counters: sums that hold under threads.
 */
#include <pthread.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/budget.h"
#include "base/counter.h"

static void test_take_and_give(void **state)
{
	struct budget b;

	(void)state;
	budget_init(&b, 100);
	assert_int_equal(budget_limit(&b), 100);
	assert_int_equal(budget_used(&b), 0);
	assert_true(budget_take(&b, 60));
	assert_false(budget_take(&b, 41));
	assert_int_equal(budget_used(&b), 60);
	assert_true(budget_take(&b, 40));
	assert_false(budget_over(&b));
	assert_false(budget_take(&b, 1));
	assert_true(budget_take(&b, 0));
	budget_give(&b, 100);
	assert_int_equal(budget_used(&b), 0);
}

static void test_force(void **state)
{
	struct budget b;

	(void)state;
	budget_init(&b, 100);
	budget_force(&b, 150);
	assert_true(budget_over(&b));
	assert_false(budget_take(&b, 0));
	assert_int_equal(budget_used(&b), 150);
	budget_give(&b, 50);
	assert_false(budget_over(&b));
	atomic_store(&b.limit, 50);
	assert_true(budget_over(&b));
}

enum { THREADS = 4, LIMIT = 100000 };

struct taker {
	struct budget *budget;
	uint64_t got;
};

/* Takes pieces until one is refused, and gives every third back. */
static void *take_all(void *arg)
{
	struct taker *t = arg;

	for (int i = 0; budget_take(t->budget, 3); i++) {
		t->got += 3;
		if (i % 3 == 0) {
			budget_give(t->budget, 3);
			t->got -= 3;
		}
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct budget b;
	struct taker takers[THREADS];
	pthread_t threads[THREADS];
	uint64_t sum = 0;

	(void)state;
	budget_init(&b, LIMIT);
	for (int i = 0; i < THREADS; i++) {
		takers[i] = (struct taker){ &b, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, take_all,
						&takers[i]),
				 0);
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		sum += takers[i].got;
	}
	assert_int_equal(budget_used(&b), sum);
	/* A taker may be refused while others are about to be. */
	assert_in_range(sum, LIMIT - 3 * THREADS, LIMIT);
}

static void test_counter(void **state)
{
	counter c = 0;

	(void)state;
	counter_add(&c, 5);
	counter_add(&c, (uint64_t)-2);
	assert_int_equal(counter_read(&c), 3);
	counter_set(&c, 0);
	assert_int_equal(counter_read(&c), 0);
	counter_add(&c, UINT64_MAX);
	counter_add(&c, 1);
	assert_int_equal(counter_read(&c), 0);
}

struct pair {
	counter count;
	atomic_bool done;
};

enum { COUNTS = 200000 };

static void *count_up(void *arg)
{
	struct pair *p = arg;

	for (int i = 0; i < COUNTS; i++) {
		counter_add(&p->count, 1);
	}
	atomic_store(&p->done, true);
	return NULL;
}

/* A reader beside the one writer sees it grow and never fall. */
static void test_counter_reader(void **state)
{
	struct pair p = { 0, false };
	pthread_t thread;
	uint64_t last = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, count_up, &p), 0);
	while (!atomic_load(&p.done)) {
		uint64_t now = counter_read(&p.count);

		assert_true(now >= last && now <= COUNTS);
		last = now;
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(counter_read(&p.count), COUNTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take_and_give),
		cmocka_unit_test(test_force),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_counter),
		cmocka_unit_test(test_counter_reader),
	};

	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
