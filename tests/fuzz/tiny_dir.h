/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A directory of one file that is only read: the input of a fuzz target, as it
 * stands.  The directory in memory of the unit tests copies, locks and keeps a
 * history, which would take most of the time here.
 */
#ifndef DOZO_TESTS_FUZZ_TINY_DIR_H
#define DOZO_TESTS_FUZZ_TINY_DIR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "io/file.h"

enum { TINY_FILE = 1 };

struct tiny_dir {
	struct dir dir;
	const char *name; /* of the only file that may be asked for */
	const char *bytes;
	size_t size;
};

static inline int tiny_open(struct dir *d, const char *name, enum file_use use)
{
	check(strcmp(name, ((struct tiny_dir *)d)->name) == 0);
	check(use == FILE_READ);
	return TINY_FILE;
}

static inline int64_t tiny_size(struct dir *d, int file)
{
	check(file == TINY_FILE);
	return (int64_t)((struct tiny_dir *)d)->size;
}

static inline long tiny_read(struct dir *d, int file, void *to, size_t n,
			     uint64_t offset)
{
	const struct tiny_dir *t = (struct tiny_dir *)d;
	size_t left = offset < t->size ? t->size - offset : 0;

	check(file == TINY_FILE);
	n = n < left ? n : left;
	if (n > 0) {
		memcpy(to, t->bytes + offset, n);
	}
	return (long)n;
}

static inline void tiny_close(struct dir *d, int file)
{
	(void)d;
	check(file == TINY_FILE);
}

static const struct dir_ops tiny_ops = { .open = tiny_open,
					 .size = tiny_size,
					 .read = tiny_read,
					 .close = tiny_close };

static inline struct tiny_dir tiny_dir(const char *name, const char *bytes,
				       size_t size)
{
	return (struct tiny_dir){ { &tiny_ops }, name, bytes, size };
}

#endif
