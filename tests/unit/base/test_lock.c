/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The four-byte lock: one holder at a time, and nobody left asleep.
 */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/lock.h"

enum { THREADS = 4, ROUNDS = 50000, DEADLINE_S = 120 };

struct shared {
	struct lock lock;
	uint64_t count;  /* plain: the lock is all that guards it */
	uint64_t mirror; /* equal to count whenever the lock is free */
};

static void *count_up(void *arg)
{
	struct shared *s = arg;

	for (int i = 0; i < ROUNDS; i++) {
		lock_take(&s->lock);
		s->count++;
		if (i % 1000 == 0) {
			/* A holder that loses its processor. */
			sched_yield();
		}
		s->mirror++;
		if (s->mirror != s->count) {
			abort();
		}
		lock_give(&s->lock);
	}
	return NULL;
}

static void test_one_holder(void **state)
{
	struct shared s = { 0 };
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(
			pthread_create(&threads[i], NULL, count_up, &s), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	}
	assert_int_equal(s.count, THREADS * ROUNDS);
	assert_int_equal(atomic_load(&s.lock.state), 0);
}

static void *take_once(void *arg)
{
	struct shared *s = arg;

	lock_take(&s->lock);
	s->count++;
	lock_give(&s->lock);
	return NULL;
}

/* Waits until somebody says that he sleeps on the lock. */
static void wait_for_sleeper(struct lock *l)
{
	time_t deadline = time(NULL) + DEADLINE_S;

	while (atomic_load(&l->state) != 2) {
		assert_true(time(NULL) < deadline);
		sched_yield();
	}
}

static void test_sleepers_wake(void **state)
{
	struct shared s = { 0 };
	pthread_t threads[THREADS];

	(void)state;
	lock_take(&s.lock);
	assert_int_equal(atomic_load(&s.lock.state), 1);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(
			pthread_create(&threads[i], NULL, take_once, &s), 0);
	}
	wait_for_sleeper(&s.lock);
	assert_int_equal(s.count, 0);
	lock_give(&s.lock);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	}
	assert_int_equal(s.count, THREADS);
	assert_int_equal(atomic_load(&s.lock.state), 0);
}

static void test_try(void **state)
{
	struct lock l = { 0 };

	(void)state;
	assert_true(lock_try(&l));
	assert_false(lock_try(&l));
	assert_int_equal(atomic_load(&l.state), 1);
	lock_give(&l);
	assert_true(lock_try(&l));
	lock_give(&l);
	assert_int_equal(atomic_load(&l.state), 0);
}

static void test_size(void **state)
{
	struct lock zeroed;

	(void)state;
	assert_int_equal(sizeof(struct lock), 4);
	memset(&zeroed, 0, sizeof(zeroed));
	lock_take(&zeroed);
	lock_give(&zeroed);
	assert_int_equal(atomic_load(&zeroed.state), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_try),
		cmocka_unit_test(test_one_holder),
		cmocka_unit_test(test_sleepers_wake),
	};

	return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
