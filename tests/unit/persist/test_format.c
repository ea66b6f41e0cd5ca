/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names and headers: where each byte stands, what is refused and how it is
 * told, that any bit that changes is seen, and that a file which has its name
 * has its header, whatever fails on the way.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc.h"
#include "memdir.h"
#include "persist/format.h"

static const struct file_header sample = {
	.kind = FILE_JOURNAL,
	.time = 0x31323334,
	.identity = 0x0102030405060708,
	.lsn = 0x1112131415161718,
	.lsn_before = 0x2122232425262728,
	.hash_seed = 0x4142434445464748,
	.lsn_floor = 0x5152535455565758,
};

static void put_32(char *to, uint32_t n)
{
	for (int i = 0; i < 4; i++) {
		to[i] = (char)(n >> (8 * i));
	}
}

/* With a sum that fits. */
static const char *read_with_version(uint32_t version)
{
	struct file_header h;
	char bytes[HEADER_SIZE];

	header_write(bytes, &sample);
	put_32(bytes + 8, version);
	put_32(bytes + 60, crc32c(0, bytes, 60));
	return header_read(bytes, FILE_JOURNAL, &h);
}

static void test_bytes(void **state)
{
	static const unsigned char expected[60] = {
		'd',  'o',  'z',  'o',  '\r', '\n', 0x1a, '\n', 0x01, 0x00,
		0x00, 0x80, 0x02, 0x00, 0x00, 0x00, 0x08, 0x07, 0x06, 0x05,
		0x04, 0x03, 0x02, 0x01, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13,
		0x12, 0x11, 0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21,
		0x48, 0x47, 0x46, 0x45, 0x44, 0x43, 0x42, 0x41, 0x34, 0x33,
		0x32, 0x31, 0x58, 0x57, 0x56, 0x55, 0x54, 0x53, 0x52, 0x51,
	};
	unsigned char bytes[HEADER_SIZE];
	uint32_t crc;

	(void)state;
	header_write((char *)bytes, &sample);
	if (FORMAT_VERSION != FORMAT_RELEASE) {
		assert_memory_equal(bytes, expected, sizeof(expected));
	}
	crc = bytes[60] | (uint32_t)bytes[61] << 8 | (uint32_t)bytes[62] << 16 |
	      (uint32_t)bytes[63] << 24;
	assert_int_equal(crc, crc32c(0, bytes, 60));
}

static void test_round_trip(void **state)
{
	struct file_header h = { 0 };
	char bytes[HEADER_SIZE];

	(void)state;
	header_write(bytes, &sample);
	assert_null(header_read(bytes, FILE_JOURNAL, &h));
	assert_int_equal(h.kind, sample.kind);
	assert_int_equal(h.time, sample.time);
	assert_int_equal(h.identity, sample.identity);
	assert_int_equal(h.lsn, sample.lsn);
	assert_int_equal(h.lsn_before, sample.lsn_before);
	assert_int_equal(h.hash_seed, sample.hash_seed);
	assert_int_equal(h.lsn_floor, sample.lsn_floor);
}

static void test_any_bit(void **state)
{
	struct file_header h;
	char bytes[HEADER_SIZE];

	(void)state;
	for (unsigned bit = 0; bit < 8 * HEADER_SIZE; bit++) {
		header_write(bytes, &sample);
		bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
		assert_non_null(header_read(bytes, FILE_JOURNAL, &h));
	}
}

static void test_refusals(void **state)
{
	struct file_header h;
	char bytes[HEADER_SIZE] = { 0 };

	(void)state;
	assert_string_equal(header_read(bytes, FILE_JOURNAL, &h),
			    "not a file of dozo");
	header_write(bytes, &sample);
	assert_string_equal(header_read(bytes, FILE_SNAPSHOT, &h),
			    "a file of dozo, but of another kind");
	bytes[16] ^= 1;
	assert_string_equal(header_read(bytes, FILE_JOURNAL, &h),
			    "the header is damaged");
	header_write(bytes, &sample);
	bytes[8] ^= 2;
	assert_string_equal(header_read(bytes, FILE_JOURNAL, &h),
			    "made by another version of dozo, or the header "
			    "is damaged");
	assert_string_equal(read_with_version(77),
			    "made by another version of dozo");
	assert_string_equal(read_with_version(FORMAT_VERSION ^ 0x80000000U),
			    FORMAT_VERSION == FORMAT_RELEASE ?
				    "made by a development build of dozo" :
				    "made by a release of dozo, and this is a "
				    "development build");
}

static void test_names(void **state)
{
	static const char *const not_ours[] = {
		"journal-",
		"journal",
		"journal-00000000000001a",
		"journal-00000000000001a44",
		"journal-00000000000001A4",
		"journal-00000000000001g4",
		"journal-00000000000001a4 ",
		"Journal-00000000000001a4",
		"snapshot-00000000000001a4.part",
		"snapshot_00000000000001a4",
		"dozo",
		"lock",
		"",
	};
	char name[FILE_NAME_SIZE];
	enum file_kind kind;
	uint64_t lsn;

	(void)state;
	file_name(name, FILE_JOURNAL, 0x1a4);
	assert_string_equal(name, "journal-00000000000001a4");
	assert_true(file_name_parse(name, &kind, &lsn));
	assert_int_equal(kind, FILE_JOURNAL);
	assert_int_equal(lsn, 0x1a4);
	file_name(name, FILE_SNAPSHOT, UINT64_MAX);
	assert_string_equal(name, "snapshot-ffffffffffffffff");
	assert_true(file_name_parse(name, &kind, &lsn));
	assert_int_equal(kind, FILE_SNAPSHOT);
	assert_int_equal(lsn, UINT64_MAX);
	for (size_t i = 0; i < sizeof(not_ours) / sizeof(*not_ours); i++) {
		assert_false(file_name_parse(not_ours[i], &kind, &lsn));
	}
}

static void test_part_names(void **state)
{
	(void)state;
	assert_true(file_name_is_part("dozo.part"));
	assert_true(file_name_is_part("journal-00000000000001a4.part"));
	assert_true(file_name_is_part("snapshot-00000000000001a4.part"));
	assert_false(file_name_is_part("snapshot-00000000000001a4"));
	assert_false(file_name_is_part("snapshot-1a4.part"));
	assert_false(file_name_is_part("film.part"));
	assert_false(file_name_is_part(".part"));
	assert_false(file_name_is_part("part"));
	assert_false(file_name_is_part(
		"a-name-that-is-far-too-long-to-be-one-of-ours.part"));
}

static void expect_header(struct memdir *m, const char *name)
{
	struct file_header h;
	size_t size;
	const char *bytes = memdir_content(m, name, &size);

	assert_non_null(bytes);
	assert_int_equal(size, HEADER_SIZE);
	assert_null(header_read(bytes, FILE_JOURNAL, &h));
	assert_int_equal(h.lsn, sample.lsn);
}

/*
 * In every state that a crash may leave on the way, the file is not there or
 * has its header; at the end it is there.
 */
static void test_make_and_crash(void **state)
{
	struct memdir *m = memdir_new();
	bool named;
	int file = header_file_make(memdir_dir(m), "x", &sample, &named);

	(void)state;
	assert_true(file >= 0);
	for (size_t at = 0; at <= memdir_position(m); at++) {
		for (uint64_t seed = 0; seed < 50; seed++) {
			struct memdir *after = memdir_crash(m, MEMDIR_POWER, at,
							    seed);
			size_t size;

			if (at == memdir_position(m) ||
			    memdir_content(after, "x", &size) != NULL) {
				expect_header(after, "x");
			}
			memdir_free(after);
		}
	}
	dir_close(memdir_dir(m), file);
	assert_int_equal(memdir_open_files(m), 0);
	memdir_free(m);
}

/* The n-th operation fails; the next try must do. */
static void test_make_fails(void **state)
{
	const unsigned ops = 1U << MEMDIR_CREATE | 1U << MEMDIR_WRITE |
			     1U << MEMDIR_SYNC | 1U << MEMDIR_RENAME |
			     1U << MEMDIR_SYNC_NAMES | 1U << MEMDIR_REMOVE;
	uint64_t n = 0;
	int file;

	(void)state;
	for (;;) {
		struct memdir *m = memdir_new();
		struct memdir_fault fault = { ops, NULL, n++, 1, -EIO };
		bool named;
		size_t size;

		memdir_fail(m, &fault);
		file = header_file_make(memdir_dir(m), "x", &sample, &named);
		if (file >= 0) {
			assert_int_equal(memdir_hits(m), 0);
			memdir_free(m);
			break;
		}
		assert_int_equal(file, -EIO);
		assert_true(named || memdir_content(m, "x", &size) == NULL);
		assert_int_equal(memdir_open_files(m), 0);
		file = header_file_make(memdir_dir(m), "x", &sample, &named);
		assert_true(file >= 0);
		assert_true(named);
		expect_header(m, "x");
		memdir_free(m);
	}
	assert_true(n > 5);
}

static void test_seal(void **state)
{
	struct file_header other = sample;
	uint64_t seal = mark_seal(&sample, 5, 64);

	(void)state;
	assert_int_equal(seal, mark_seal(&sample, 5, 64));
	assert_int_not_equal(seal, mark_seal(&sample, 5, 72));
	assert_int_not_equal(seal, mark_seal(&sample, 6, 64));
	other.hash_seed++;
	assert_int_not_equal(seal, mark_seal(&other, 5, 64));
	other = sample;
	other.identity++;
	assert_int_not_equal(seal, mark_seal(&other, 5, 64));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_any_bit),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_part_names),
		cmocka_unit_test(test_make_and_crash),
		cmocka_unit_test(test_make_fails),
		cmocka_unit_test(test_seal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
