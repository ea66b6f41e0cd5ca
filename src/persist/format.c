/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names and headers of files.
 *
 * The bytes of a number are put one by one, least first, so that files mean
 * the same on every machine.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crc.h"
#include "base/hash.h"
#include "base/le.h"
#include "persist/format.h"

enum {
	OFFSET_VERSION = 8,
	OFFSET_KIND = 12,
	OFFSET_IDENTITY = 16,
	OFFSET_LSN = 24,
	OFFSET_LSN_BEFORE = 32,
	OFFSET_HASH_SEED = 40,
	OFFSET_TIME = 48,
	OFFSET_LSN_FLOOR = 52,
	OFFSET_CRC = 60,
	LSN_DIGITS = 16,
};

#define PART_SUFFIX ".part"

/*
 * A text that a transfer as text would change: line ends of both kinds, a byte
 * that ends a text on some systems.
 */
static const char magic[8] = { 'd', 'o', 'z', 'o', '\r', '\n', 0x1a, '\n' };

static const char *const prefixes[] = {
	[FILE_JOURNAL] = "journal-",
	[FILE_SNAPSHOT] = "snapshot-",
};

void header_write(char to[HEADER_SIZE], const struct file_header *h)
{
	memcpy(to, magic, sizeof(magic));
	le_put_32(to + OFFSET_VERSION, FORMAT_VERSION);
	le_put_32(to + OFFSET_KIND, h->kind);
	le_put_64(to + OFFSET_IDENTITY, h->identity);
	le_put_64(to + OFFSET_LSN, h->lsn);
	le_put_64(to + OFFSET_LSN_BEFORE, h->lsn_before);
	le_put_64(to + OFFSET_HASH_SEED, h->hash_seed);
	le_put_32(to + OFFSET_TIME, h->time);
	le_put_64(to + OFFSET_LSN_FLOOR, h->lsn_floor);
	le_put_32(to + OFFSET_CRC, crc32c(0, to, OFFSET_CRC));
}

/* A header of other bytes may have its sum elsewhere. */
static const char *version_problem(uint32_t version, bool whole)
{
	if (!whole) {
		return "made by another version of dozo, or the header is "
		       "damaged";
	}
	if (version == FORMAT_RELEASE) {
		return "made by a release of dozo, and this is a development "
		       "build";
	}
	if (version == (FORMAT_VERSION ^ 0x80000000U)) {
		return "made by a development build of dozo";
	}
	return "made by another version of dozo";
}

const char *header_read(const char from[HEADER_SIZE], enum file_kind kind,
			struct file_header *h)
{
	uint32_t version = le_get_32(from + OFFSET_VERSION);
	bool whole = le_get_32(from + OFFSET_CRC) ==
		     crc32c(0, from, OFFSET_CRC);

	if (memcmp(from, magic, sizeof(magic)) != 0) {
		return "not a file of dozo";
	}
	if (version != FORMAT_VERSION) {
		return version_problem(version, whole);
	}
	if (!whole) {
		return "the header is damaged";
	}
	h->kind = le_get_32(from + OFFSET_KIND);
	h->identity = le_get_64(from + OFFSET_IDENTITY);
	h->lsn = le_get_64(from + OFFSET_LSN);
	h->lsn_before = le_get_64(from + OFFSET_LSN_BEFORE);
	h->hash_seed = le_get_64(from + OFFSET_HASH_SEED);
	h->time = le_get_32(from + OFFSET_TIME);
	h->lsn_floor = le_get_64(from + OFFSET_LSN_FLOOR);
	if (h->kind != kind) {
		return "a file of dozo, but of another kind";
	}
	return NULL;
}

void file_name(char *to, enum file_kind kind, uint64_t lsn)
{
	snprintf(to, FILE_NAME_SIZE, "%s%0*" PRIx64, prefixes[kind], LSN_DIGITS,
		 lsn);
}

/* Only as file_name() writes it: a number has one name. */
static bool parse_lsn(const char *digits, uint64_t *lsn)
{
	static const char hex[] = "0123456789abcdef";
	uint64_t n = 0;

	if (strlen(digits) != LSN_DIGITS) {
		return false;
	}
	for (int i = 0; i < LSN_DIGITS; i++) {
		const char *digit = strchr(hex, digits[i]);

		if (digit == NULL) {
			return false;
		}
		n = n << 4 | (uint64_t)(digit - hex);
	}
	*lsn = n;
	return true;
}

bool file_name_parse(const char *name, enum file_kind *kind, uint64_t *lsn)
{
	for (int k = FILE_JOURNAL; k <= FILE_SNAPSHOT; k++) {
		size_t len = strlen(prefixes[k]);

		if (strncmp(name, prefixes[k], len) == 0) {
			*kind = (enum file_kind)k;
			return parse_lsn(name + len, lsn);
		}
	}
	return false;
}

bool file_name_is_part(const char *name)
{
	char whole[FILE_NAME_SIZE];
	size_t len = strlen(name);
	size_t suffix = strlen(PART_SUFFIX);
	enum file_kind kind;
	uint64_t lsn;

	if (len <= suffix || len - suffix >= sizeof(whole) ||
	    strcmp(name + len - suffix, PART_SUFFIX) != 0) {
		return false;
	}
	memcpy(whole, name, len - suffix);
	whole[len - suffix] = '\0';
	return strcmp(whole, NAME_IDENTITY) == 0 ||
	       file_name_parse(whole, &kind, &lsn);
}

int header_file_make(struct dir *dir, const char *name,
		     const struct file_header *h, bool *named)
{
	char part[FILE_NAME_SIZE + sizeof(PART_SUFFIX)];
	char header[HEADER_SIZE];
	int file;
	int result;

	*named = false;
	snprintf(part, sizeof(part), "%s" PART_SUFFIX, name);
	header_write(header, h);
	result = dir_remove(dir, part);
	if (result < 0 && result != -ENOENT) {
		return result;
	}
	file = dir_open(dir, part, FILE_CREATE);
	if (file < 0) {
		return file;
	}
	result = dir_write_all(dir, file, header, HEADER_SIZE, 0);
	if (result == 0) {
		result = dir_sync(dir, file);
	}
	if (result == 0) {
		*named = true;
		result = dir_rename(dir, part, dir, name);
	}
	if (result == 0) {
		result = dir_sync_names(dir);
	}
	if (result != 0) {
		dir_close(dir, file);
		return result;
	}
	return file;
}

uint64_t mark_seal(const struct file_header *h, uint64_t lsn, uint64_t offset)
{
	char place[24];

	le_put_64(place, h->identity);
	le_put_64(place + 8, lsn);
	le_put_64(place + 16, offset);
	return hash_bytes(place, sizeof(place), h->hash_seed) | 1;
}
