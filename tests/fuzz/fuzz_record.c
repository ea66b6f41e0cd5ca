/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records from whatever bytes: what is good is inside the bytes and is written
 * as the same bytes again.
 *
 * Searching does not find a CRC, so each input is read a second time with the
 * length and the CRC made right.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc.h"
#include "base/limits.h"
#include "log/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(const char *data, size_t len, const char *at,
			 size_t size)
{
	check(data >= at && data <= at + size);
	check(len <= (size_t)(at + size - data));
}

static void check_good(const struct record *r, const char *at, uint32_t size)
{
	char *again = malloc(size);

	check(again != NULL);
	check_inside(r->key, r->key_len, at, size);
	check_inside(r->value, r->value_len, at, size);
	check(r->key_len <= KEY_MAX);
	check(record_kind_name(r->kind) != NULL);
	check(record_size(r) == size);
	check(record_write(again, r) == size);
	record_set_length(again, size);
	check(memcmp(again, at, size) == 0);
	free(again);
}

static enum record_state read_at(const char *at, size_t size)
{
	struct record r;
	struct record unsummed;
	uint32_t length = 0;
	uint32_t length_2 = 0;
	enum record_state state = record_read(at, size, &r, &length);
	enum record_state state_2 = record_read_checked(at, size, &unsummed,
							&length_2);

	if (state == RECORD_GOOD) {
		check(state_2 == RECORD_GOOD && length == length_2);
		check(length <= size);
		check_good(&r, at, length);
		check(record_read(at, length - 1, &r, &length) == RECORD_SHORT);
	}
	check((state == RECORD_SHORT) == (state_2 == RECORD_SHORT));
	return state;
}

/* A copy that ends where its memory ends. */
static char *exact_copy(const uint8_t *data, size_t size)
{
	char *copy = malloc(size > 0 ? size : 1);

	check(copy != NULL);
	memcpy(copy, data, size);
	return copy;
}

static void make_right(char *at, size_t size)
{
	uint32_t crc;

	record_set_length(at, (uint32_t)size);
	crc = crc32c(crc32c(0, at, 4), at + 8, size - 8);
	memcpy(at + 4, &crc, sizeof(crc));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = exact_copy(data, size);

	read_at(copy, size);
	free(copy);
	size -= size % RECORD_ALIGN;
	if (size >= RECORD_SIZE_MIN) {
		copy = exact_copy(data, size);
		make_right(copy, size);
		check(read_at(copy, size) != RECORD_SHORT);
		free(copy);
	}
	return 0;
}
