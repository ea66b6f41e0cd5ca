/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records there and back, the example of the format's page byte by byte, and
 * bytes that lie.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "../base/child.h"
#include "base/crc.h"
#include "base/rand.h"
#include "record_samples.h"

static char letters[1024];

static void fill_letters(void)
{
	struct rng r;

	rng_init(&r, 1);
	for (size_t i = 0; i < sizeof(letters); i++) {
		letters[i] = (char)rng_next(&r);
	}
}

static struct record item(uint8_t key_len, uint32_t value_len)
{
	return (struct record){
		.lsn = 3ULL << 44 | 77,
		.key = letters,
		.key_len = key_len,
		.value = letters + 300,
		.value_len = value_len,
		.time = 1700000000,
		.kind = RECORD_ITEM,
	};
}

static struct record touch(void)
{
	struct record r = item(7, 0);

	r.kind = RECORD_TOUCH;
	r.item_lsn = 76;
	return r;
}

static struct record bare(enum record_kind kind)
{
	return (struct record){ .lsn = 9, .time = 8, .kind = (uint8_t)kind };
}

static void there_and_back(const struct record *r)
{
	struct record back;
	struct record again;
	uint32_t size;
	uint32_t read;
	char *at = sample_written(r, &size);

	assert_int_equal(size % RECORD_ALIGN, 0);
	memset(&back, 0x5a, sizeof(back));
	assert_int_equal(record_read(at, size, &back, &read), RECORD_GOOD);
	assert_int_equal(read, size);
	sample_expect_same(r, &back);
	assert_int_equal(record_read_checked(at, size, &again, &read),
			 RECORD_GOOD);
	assert_int_equal(read, size);
	sample_expect_same(r, &again);
	free(at);
}

/* Every padding, with every set of the fields that an item may have. */
static void test_items(void **state)
{
	static const uint8_t key_lens[] = { 1, 2, 7, 8, 249, 250 };

	(void)state;
	for (unsigned set = 0; set < 8; set++) {
		for (size_t k = 0; k < sizeof(key_lens); k++) {
			for (uint32_t value_len = 0; value_len < 18;
			     value_len++) {
				struct record r = item(key_lens[k], value_len);

				r.exptime = (set & 1) != 0 ? UINT32_MAX : 0;
				r.cflags = (set & 2) != 0 ? 0x80000001 : 0;
				r.cas = (set & 4) != 0 ? UINT64_MAX : 0;
				r.marks = (uint8_t)(value_len % 16);
				there_and_back(&r);
			}
		}
	}
}

static void test_other_kinds(void **state)
{
	static const enum record_kind to_come[] = { RECORD_EPOCH, RECORD_SLOT,
						    RECORD_TRANSACTION };
	struct record r = item(7, 0);

	(void)state;
	r.kind = RECORD_REMOVE;
	there_and_back(&r);
	r = touch();
	there_and_back(&r);
	r.exptime = 12;
	there_and_back(&r);
	r = bare(RECORD_FLUSH);
	there_and_back(&r);
	r = bare(RECORD_MARK);
	there_and_back(&r);
	r.number = UINT64_MAX;
	there_and_back(&r);
	r = bare(RECORD_FLUSH_AT);
	there_and_back(&r);
	r.number = 1700000001;
	there_and_back(&r);
	for (size_t i = 0; i < sizeof(to_come) / sizeof(*to_come); i++) {
		r = bare(to_come[i]);
		there_and_back(&r);
		r = item(250, 33);
		r.kind = (uint8_t)to_come[i];
		r.exptime = 1;
		r.cflags = 2;
		r.cas = 3;
		r.item_lsn = 4;
		r.number = 5;
		r.marks = 15;
		there_and_back(&r);
	}
}

/* The example of docs/formats/record.md. */
static void test_example(void **state)
{
	static const unsigned char expected[] = {
		0x38, 0x00, 0x00, 0x00, 0x35, 0xd9, 0xbf, 0xc8, 0x2a, 0x00,
		0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0xf1, 0x53, 0x65,
		0x01, 0x05, 0x00, 0xc3, 0x3c, 0xf1, 0x53, 0x65, 0x01, 0x00,
		0x00, 0x00, 'a',  'p',  'p',  'l',  'e',  'r',  'e',  'd',
		' ',  'a',  'n',  'd',  ' ',  's',  'w',  'e',  'e',  't',
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	};
	const struct record r = {
		.lsn = 1ULL << 44 | 42,
		.time = 1700000000,
		.kind = RECORD_ITEM,
		.exptime = 1700000060,
		.cflags = 1,
		.key = "apple",
		.key_len = 5,
		.value = "red and sweet",
		.value_len = 13,
	};
	uint32_t size;
	char *at = sample_written(&r, &size);

	(void)state;
	assert_int_equal(size, sizeof(expected));
	assert_memory_equal(at, expected, size);
	free(at);
}

/* What is longer than the bytes given says so, at every length. */
static void test_short(void **state)
{
	struct record r = item(20, 100);
	struct record back;
	uint32_t size;
	uint32_t read;
	char *at = sample_written(&r, &size);

	(void)state;
	for (uint32_t n = 0; n < size; n++) {
		char *part = malloc(n > 0 ? n : 1);

		assert_non_null(part);
		memcpy(part, at, n);
		assert_int_equal(record_read(part, n, &back, &read),
				 RECORD_SHORT);
		assert_int_equal(record_read_checked(part, n, &back, &read),
				 RECORD_SHORT);
		free(part);
	}
	free(at);
}

static void test_flipped_bit_shows(void **state)
{
	struct record r = item(20, 100);
	struct record back;
	uint32_t size;
	uint32_t read;
	char *at;

	(void)state;
	r.exptime = 5;
	at = sample_written(&r, &size);
	for (uint32_t bit = 0; bit < size * 8; bit++) {
		at[bit / 8] = (char)(at[bit / 8] ^ (1 << bit % 8));
		assert_int_not_equal(record_read(at, size, &back, &read),
				     RECORD_GOOD);
		at[bit / 8] = (char)(at[bit / 8] ^ (1 << bit % 8));
	}
	assert_int_equal(record_read(at, size, &back, &read), RECORD_GOOD);
	free(at);
}

/* Only the sum is wrong: those who have checked it before do not see it. */
static void test_without_sum(void **state)
{
	struct record r = item(20, 100);
	struct record back;
	uint32_t size;
	uint32_t read;
	char *at = sample_written(&r, &size);

	(void)state;
	at[5] = (char)(at[5] ^ 1);
	assert_int_equal(record_read(at, size, &back, &read), RECORD_BAD);
	assert_int_equal(record_read_checked(at, size, &back, &read),
			 RECORD_GOOD);
	sample_expect_same(&r, &back);
	free(at);
}

/* Writes `r`, sets the byte at `where` to `byte`, makes the sum right. */
static void expect_bad(const struct record *r, size_t where, unsigned byte)
{
	struct record back;
	uint32_t size;
	uint32_t read;
	uint32_t crc;
	char *at = sample_written(r, &size);

	at[where] = (char)byte;
	crc = crc32c(crc32c(0, at, 4), at + 8, size - 8);
	memcpy(at + 4, &crc, sizeof(crc));
	assert_int_equal(record_read(at, size, &back, &read), RECORD_BAD);
	assert_int_equal(record_read_checked(at, size, &back, &read),
			 RECORD_BAD);
	free(at);
}

enum { KIND = 20, KEY_LEN = 21, MARKS = 22, FIELDS = 23 };

static void test_lengths_that_lie(void **state)
{
	struct record r = item(8, 8);

	(void)state;
	expect_bad(&r, 0, 0);
	expect_bad(&r, 0, 16);
	expect_bad(&r, 0, 39);
	expect_bad(&r, 0, 44);
	expect_bad(&r, 3, 0x80);
	/* A key or padding that is longer than the record. */
	expect_bad(&r, KEY_LEN, 17);
	expect_bad(&r, KEY_LEN, 250);
	r = item(1, 0);
	expect_bad(&r, FIELDS, 0xff);
	r = bare(RECORD_FLUSH);
	expect_bad(&r, FIELDS, 1 << 5);
	expect_bad(&r, FIELDS, 7 << 5);
	/* A length that is too large is not waited for. */
	r = item(8, 8);
	expect_bad(&r, 3, 0xff);
}

static void test_contents_that_lie(void **state)
{
	struct record r = item(8, 300);

	(void)state;
	expect_bad(&r, KEY_LEN, 0);
	expect_bad(&r, KEY_LEN, 251);
	expect_bad(&r, KEY_LEN, 255);
	expect_bad(&r, MARKS, 0x10);
	expect_bad(&r, MARKS, 0x80);
	expect_bad(&r, KIND, 0);
	expect_bad(&r, KIND, 7);
	expect_bad(&r, KIND, 15);
	expect_bad(&r, KIND, 19);
	expect_bad(&r, KIND, 255);
	/* Padding that is not zero: four bytes of it, last and first. */
	expect_bad(&r, 24 + 8 + 300 + 3, 1);
	expect_bad(&r, 24 + 8 + 300, 1);
	/* A field that is there and 0. */
	r = item(8, 300);
	memset(letters + 600, 0, 8);
	r.key = letters + 600;
	expect_bad(&r, FIELDS, 4 << 5 | 1);
	expect_bad(&r, FIELDS, 4 << 5 | 2);
	expect_bad(&r, FIELDS, 4 << 5 | 4);
}

/* What a kind may not have, and lacks what it must. */
static void test_kinds_that_lie(void **state)
{
	struct record r = item(8, 8);

	(void)state;
	expect_bad(&r, KIND, RECORD_REMOVE);
	expect_bad(&r, KIND, RECORD_TOUCH);
	expect_bad(&r, KIND, RECORD_FLUSH);
	expect_bad(&r, KIND, RECORD_FLUSH_AT);
	expect_bad(&r, KIND, RECORD_MARK);
	expect_bad(&r, FIELDS, 8);
	expect_bad(&r, FIELDS, 16);
	r = item(8, 0);
	expect_bad(&r, KIND, RECORD_TOUCH);
	expect_bad(&r, KIND, RECORD_FLUSH);
	expect_bad(&r, KIND, RECORD_FLUSH_AT);
	expect_bad(&r, KIND, RECORD_MARK);
	r.marks = MARK_WON;
	expect_bad(&r, KIND, RECORD_REMOVE);
	r = touch();
	expect_bad(&r, KIND, RECORD_ITEM);
	expect_bad(&r, KIND, RECORD_REMOVE);
	r = bare(RECORD_FLUSH_AT);
	r.number = 4;
	expect_bad(&r, KIND, RECORD_FLUSH);
	r = bare(RECORD_FLUSH);
	expect_bad(&r, KIND, RECORD_ITEM);
	expect_bad(&r, KIND, RECORD_REMOVE);
	expect_bad(&r, KIND, RECORD_TOUCH);
	expect_bad(&r, MARKS, MARK_STALE);
}

static void test_too_large(void **state)
{
	struct record r = item(8, 0x7fffffff - 40);

	(void)state;
	assert_true(record_size(&r) == 0x7ffffff8);
	r.value_len++;
	assert_true(record_size(&r) == 0x7ffffff8);
	r.value_len = 0x7ffffff8 - 32 + 1;
	assert_true(record_size(&r) == 0);
	r.value_len = UINT32_MAX;
	assert_true(record_size(&r) == 0);
}

static void write_flush_with_key(void)
{
	char room[64];
	struct record r = item(8, 0);

	r.kind = RECORD_FLUSH;
	record_write(room, &r);
}

/* What no reader would take is not written. */
static void test_writer_is_held_to_it(void **state)
{
	struct child c;

	(void)state;
	assert_true(child_run(&c, write_flush_with_key));
	assert_true(WIFSIGNALED(c.status));
	assert_int_equal(WTERMSIG(c.status), SIGABRT);
	assert_non_null(strstr(c.text, "check failed"));
}

static void test_names(void **state)
{
	int named = 0;

	(void)state;
	for (int kind = 0; kind < 256; kind++) {
		named += record_kind_name((uint8_t)kind) != NULL;
	}
	assert_int_equal(named, 9);
	assert_string_equal(record_kind_name(RECORD_ITEM), "item");
	assert_string_equal(record_kind_name(RECORD_TRANSACTION),
			    "transaction");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_other_kinds),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_flipped_bit_shows),
		cmocka_unit_test(test_without_sum),
		cmocka_unit_test(test_lengths_that_lie),
		cmocka_unit_test(test_contents_that_lie),
		cmocka_unit_test(test_kinds_that_lie),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_writer_is_held_to_it),
		cmocka_unit_test(test_names),
	};

	fill_letters();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
