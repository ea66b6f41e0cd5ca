/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page mappings.  They are private and anonymous, and not reserved: the store
 * maps what the limit may ever be raised to, and its own budget, not the
 * kernel's promise, says how much of that is used.
 */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"

size_t arena_round(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) & ~(page - 1);
}

void *arena_map(size_t bytes)
{
	void *at = mmap(NULL, arena_round(bytes), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

void arena_unmap(void *at, size_t bytes)
{
	check(munmap(at, arena_round(bytes)) == 0);
}

#ifdef __SANITIZE_THREAD__

/* The sanitizer does not see mremap(): it would take what was done before, at
 * the addresses that a mapping moves to, for a race with what comes after. */
void *arena_resize(void *at, size_t from, size_t to)
{
	void *moved = arena_map(to);

	if (moved != NULL) {
		memcpy(moved, at, from < to ? from : to);
		arena_unmap(at, from);
	}
	return moved;
}

#else

void *arena_resize(void *at, size_t from, size_t to)
{
	void *moved = mremap(at, arena_round(from), arena_round(to),
			     MREMAP_MAYMOVE);

	return moved == MAP_FAILED ? NULL : moved;
}

#endif

void arena_want_huge(void *at, size_t bytes)
{
	/* Kernels without huge pages refuse; nothing is lost by that. */
	(void)madvise(at, bytes, MADV_HUGEPAGE);
}

void arena_drop(void *at, size_t bytes)
{
	/* Locked pages cannot be dropped; they stay, and stay usable. */
	(void)madvise(at, bytes, MADV_DONTNEED);
	(void)madvise(at, bytes, MADV_NOHUGEPAGE);
}
