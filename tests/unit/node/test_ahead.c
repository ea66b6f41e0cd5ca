/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is handed out for a key is its own hash, whatever was looked at before
 * and whatever became of the requests in between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "node/ahead.h"

static struct store *store;
static struct ahead ahead;

static int setup(void **state)
{
	struct store_config config = {
		.memory_limit = 16 * MIB,
		.evict = true,
		.hash_seed = 7,
	};

	(void)state;
	memset(&ahead, 0, sizeof(ahead));
	store = store_new(&config);
	return store == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	store_free(store);
	return 0;
}

/* The word in `text`, as its request would name it. */
static struct store_key key_of(const char *text, const char *word)
{
	const char *at = strstr(text, word);

	assert_non_null(at);
	return ahead_key(&ahead, store, at, strlen(word));
}

static void assert_own(struct store_key key, const char *word)
{
	assert_int_equal(key.len, strlen(word));
	assert_memory_equal(key.data, word, key.len);
	assert_true(key.hash == store_key(store, word, key.len).hash);
}

static void assert_unknown(struct store_key key, const char *word)
{
	assert_own(key, word);
	assert_int_equal(key.seen, 0);
}

/* Marks what is known, so that its use can be seen. */
static void mark_known(void)
{
	for (unsigned i = 0; i < ahead.count; i++) {
		ahead.keys[i].seen = i + 1;
	}
}

static void pipelined_keys_are_known(void **state)
{
	static const char text[] = "get first\r\nset second 0 0 1\r\nx\r\n"
				   "mg third v\r\n";

	(void)state;
	ahead_pipeline(&ahead, store, text, strlen(text));
	assert_int_equal(ahead.left, 3);
	assert_own(key_of(text, "first"), "first");
	assert_own(key_of(text, "second"), "second");
	assert_own(key_of(text, "third"), "third");
}

static void known_keys_are_not_hashed_again(void **state)
{
	static const char text[] = "get first\r\nget second\r\nget third\r\n";

	(void)state;
	ahead_pipeline(&ahead, store, text, strlen(text));
	mark_known();
	assert_int_equal(key_of(text, "first").seen, 1);
	/* The second was refused. */
	assert_int_equal(key_of(text, "third").seen, 3);
	/* Nothing is handed out twice. */
	assert_unknown(key_of(text, "third"), "third");
	assert_unknown(key_of(text, "second"), "second");
}

static void another_length_is_another_key(void **state)
{
	static const char text[] = "get first\r\nget second\r\n";

	(void)state;
	ahead_pipeline(&ahead, store, text, strlen(text));
	mark_known();
	assert_unknown(key_of(text, "firs"), "firs");
	assert_int_equal(key_of(text, "second").seen, 2);
}

static void nothing_is_known_after_the_buffer(void **state)
{
	static const char text[] = "get first\r\nget second\r\n";

	(void)state;
	ahead_pipeline(&ahead, store, text, strlen(text));
	mark_known();
	ahead_forget(&ahead);
	assert_int_equal(ahead.left, 0);
	assert_unknown(key_of(text, "first"), "first");
}

static void each_slot_has_its_own_key(void **state)
{
	static const char one[] = "get one\r\nget more\r\n";
	static const char two[] = "delete two\r\n";
	static const char none[] = "version\r\n";

	(void)state;
	ahead_arrived(&ahead, store, 0, one, strlen(one));
	ahead_arrived(&ahead, store, 1, none, strlen(none));
	ahead_arrived(&ahead, store, 2, two, strlen(two));
	ahead_hand_over(&ahead, store, 0);
	assert_int_equal(ahead.left, 1);
	assert_own(key_of(one, "one"), "one");
	ahead_hand_over(&ahead, store, 1);
	assert_int_equal(ahead.left, 0);
	ahead_hand_over(&ahead, store, 2);
	mark_known();
	assert_int_equal(key_of(two, "two").seen, 1);
	/* A slot that is used again has nothing of before. */
	ahead_no_key(&ahead, 2);
	ahead_hand_over(&ahead, store, 2);
	assert_int_equal(ahead.left, 0);
	assert_unknown(key_of(two, "two"), "two");
}

static void no_more_than_there_is_room_for(void **state)
{
	char text[20 * AHEAD_MAX];
	size_t len = 0;

	(void)state;
	for (int i = 0; i < AHEAD_MAX + 4; i++) {
		len += (size_t)sprintf(text + len, "get k%02d\r\n", i);
	}
	ahead_pipeline(&ahead, store, text, len);
	assert_int_equal(ahead.count, AHEAD_MAX);
	assert_own(key_of(text, "k15"), "k15");
	assert_own(key_of(text, "k16"), "k16");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pipelined_keys_are_known, setup,
						teardown),
		cmocka_unit_test_setup_teardown(known_keys_are_not_hashed_again,
						setup, teardown),
		cmocka_unit_test_setup_teardown(another_length_is_another_key,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			nothing_is_known_after_the_buffer, setup, teardown),
		cmocka_unit_test_setup_teardown(each_slot_has_its_own_key,
						setup, teardown),
		cmocka_unit_test_setup_teardown(no_more_than_there_is_room_for,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
