/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bell: no wake-up is lost, a sleep ends in time, many may ring.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "io/bell.h"
#include "io/clock.h"

enum { ROUNDS = 20000, RINGERS = 3, LONG_MS = 60000 };

static void test_already_rung(void **state)
{
	struct bell b;
	uint32_t seen;

	(void)state;
	memset(&b, 0, sizeof(b));
	seen = bell_count(&b);
	bell_ring(&b);
	assert_true(bell_wait(&b, seen, LONG_MS));
	assert_true(bell_wait(&b, seen, 0));
	assert_false(bell_wait(&b, bell_count(&b), 0));
}

static void test_timeout(void **state)
{
	struct bell b;
	uint64_t began = clock_ms();

	(void)state;
	memset(&b, 0, sizeof(b));
	assert_false(bell_wait(&b, 0, 30));
	assert_true(clock_ms() - began >= 30);
	assert_int_equal(atomic_load(&b.asleep), 0);
}

/* Two threads that wake each other in turn: one lost wake-up ends it. */
struct table {
	struct bell bell[2];
	_Atomic uint32_t turn;
};

static bool play(struct table *t, unsigned me)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		for (;;) {
			uint32_t seen = bell_count(&t->bell[me]);

			if (atomic_load(&t->turn) % 2 == me) {
				break;
			}
			if (!bell_wait(&t->bell[me], seen, LONG_MS)) {
				return false;
			}
		}
		atomic_fetch_add(&t->turn, 1);
		bell_ring(&t->bell[1 - me]);
	}
	return true;
}

static void *play_second(void *arg)
{
	return play(arg, 1) ? arg : NULL;
}

static void test_ping_pong(void **state)
{
	struct table t;
	pthread_t other;
	void *result;

	(void)state;
	memset(&t, 0, sizeof(t));
	assert_int_equal(pthread_create(&other, NULL, play_second, &t), 0);
	assert_true(play(&t, 0));
	assert_int_equal(pthread_join(other, &result), 0);
	assert_ptr_equal(result, &t);
	assert_int_equal(atomic_load(&t.turn), 2 * ROUNDS);
}

struct work {
	struct bell bell;
	_Atomic uint32_t todo;
};

static void *give_work(void *arg)
{
	struct work *w = arg;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		atomic_fetch_add(&w->todo, 1);
		bell_ring(&w->bell);
	}
	return NULL;
}

static void test_many_ringers(void **state)
{
	struct work w;
	pthread_t ringer[RINGERS];
	uint32_t done = 0;

	(void)state;
	memset(&w, 0, sizeof(w));
	for (int i = 0; i < RINGERS; i++) {
		assert_int_equal(
			pthread_create(&ringer[i], NULL, give_work, &w), 0);
	}
	while (done < RINGERS * ROUNDS) {
		uint32_t seen = bell_count(&w.bell);
		uint32_t got = atomic_exchange(&w.todo, 0);

		if (got == 0) {
			assert_true(bell_wait(&w.bell, seen, LONG_MS));
		}
		done += got;
	}
	for (int i = 0; i < RINGERS; i++) {
		assert_int_equal(pthread_join(ringer[i], NULL), 0);
	}
	assert_int_equal(done, RINGERS * ROUNDS);
	assert_int_equal(bell_count(&w.bell), RINGERS * ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_already_rung),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_ping_pong),
		cmocka_unit_test(test_many_ringers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
