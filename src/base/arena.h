/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory straight from the kernel, in pages: address space that is reserved
 * once and filled and emptied in pieces, and single mappings that go back to
 * the kernel the moment they are released.  Unlike a heap, what is given back
 * here is gone from the process's resident size at once, which is what a
 * memory limit is measured by.
 *
 * All memory reads as zero when it is first touched, and again after
 * arena_drop().  Thread rule: any thread; a piece has one owner at a time.
 */
#ifndef DOZO_BASE_ARENA_H
#define DOZO_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/limits.h"

/* Bytes of one, and where it can begin. */
#define HUGE_PAGE (2 * MIB)

/* `bytes` rounded up to whole pages. */
size_t arena_round(size_t bytes);

/* Address space for `bytes`, without memory behind it; NULL: refused. */
void *arena_map(size_t bytes);

/* Gives a mapping back; `bytes` as it was asked for. */
void arena_unmap(void *at, size_t bytes);

/*
 * Makes a mapping larger or smaller, perhaps elsewhere; what both sizes have in
 * common keeps its memory.  NULL: refused, and the old one stands.
 */
void *arena_resize(void *at, size_t from, size_t to);

/* Asks for huge pages behind a mapping; a wish only. */
void arena_want_huge(void *at, size_t bytes);

/*
 * Gives the memory of a part back and keeps its addresses.  The kernel will
 * not put a huge page over the hole, which would fill it again unasked.
 */
void arena_drop(void *at, size_t bytes);

#endif
