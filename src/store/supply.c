/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Charged allocations from the heap.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "store/supply.h"

enum {
	LINE = 64,
	/* What the heap adds to a block: its size word, and alignment. */
	HEAP_OVERHEAD = 16,
};

bool supply_denied(struct supply *s)
{
	return s->deny != NULL && s->deny(s->deny_arg);
}

size_t supply_cost(size_t bytes)
{
	return bytes + HEAP_OVERHEAD;
}

void *supply_take(struct supply *s, size_t bytes)
{
	void *at;

	check(bytes > 0 && bytes % LINE == 0);
	if (supply_denied(s)) {
		return NULL;
	}
	at = aligned_alloc(LINE, bytes);
	if (at != NULL) {
		memset(at, 0, bytes);
		budget_force(&s->budget, supply_cost(bytes));
	}
	return at;
}

void supply_give(struct supply *s, void *at, size_t bytes)
{
	if (at != NULL) {
		free(at);
		budget_give(&s->budget, supply_cost(bytes));
	}
}
