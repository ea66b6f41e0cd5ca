/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The heap is made to grow by blocks that are given back at once, so that the
 * next pieces are cut from them.  In between they are joined to huge pages: the
 * heap has written no more to them than a few words each.  A last block, which
 * stays until the pieces have been taken, keeps the heap from giving the free
 * ones in front of it back to the system.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/arena.h"
#include "base/heap.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum {
	/* Less than what the C library maps apart. */
	BLOCK = 120 * 1024,
	/* What there may be between two that follow each other. */
	GAP_MAX = 64,
};

struct block {
	struct block *next;
};

/* Bytes that follow each other. */
struct run {
	uintptr_t from;
	uintptr_t to;
};

/* The huge pages that are wholly within it. */
static void join(const struct run *run)
{
	uintptr_t from = (run->from + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	uintptr_t to = run->to & ~(HUGE_PAGE - 1);

	if (from < to) {
		/* Old kernels refuse; nothing is lost by that. */
		(void)madvise((void *)from, to - from, MADV_COLLAPSE);
	}
}

static void add(struct run *run, const void *block)
{
	uintptr_t at = (uintptr_t)block;

	if (at < run->to || at - run->to > GAP_MAX) {
		join(run);
		run->from = at;
	}
	run->to = at + BLOCK;
}

void *heap_prepare(size_t bytes)
{
	struct run run = { 0, 0 };
	struct block *all = NULL;
	void *last;

	for (size_t got = 0; got < bytes; got += BLOCK) {
		struct block *b = malloc(BLOCK);

		if (b == NULL) {
			break;
		}
		b->next = all;
		all = b;
		add(&run, b);
	}
	join(&run);
	last = malloc(BLOCK);
	while (all != NULL) {
		struct block *next = all->next;

		free(all);
		all = next;
	}
	return last;
}

void heap_settle(void *prepared)
{
	free(prepared);
}
