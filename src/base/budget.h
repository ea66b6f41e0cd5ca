/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One memory limit shared by all that use memory on behalf of clients: item
 * segments, the table, large values, connection buffers.
 *
 * budget_take() asks and may be refused; budget_force() does not ask, for
 * memory that is needed to go on (a reply that is being written): it may push
 * the sum over the limit, which makes the next asker evict.
 *
 * Thread rule: any thread, no lock.
 */
#ifndef DOZO_BASE_BUDGET_H
#define DOZO_BASE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct budget {
	_Atomic uint64_t limit; /* bytes */
	_Atomic uint64_t used;  /* bytes */
};

static inline void budget_init(struct budget *b, uint64_t limit)
{
	atomic_init(&b->limit, limit);
	atomic_init(&b->used, 0);
}

static inline uint64_t budget_limit(const struct budget *b)
{
	return atomic_load_explicit(&b->limit, memory_order_relaxed);
}

static inline uint64_t budget_used(const struct budget *b)
{
	return atomic_load_explicit(&b->used, memory_order_relaxed);
}

static inline bool budget_over(const struct budget *b)
{
	return budget_used(b) > budget_limit(b);
}

static inline void budget_force(struct budget *b, uint64_t bytes)
{
	atomic_fetch_add_explicit(&b->used, bytes, memory_order_relaxed);
}

static inline void budget_give(struct budget *b, uint64_t bytes)
{
	atomic_fetch_sub_explicit(&b->used, bytes, memory_order_relaxed);
}

static inline bool budget_take(struct budget *b, uint64_t bytes)
{
	uint64_t before = atomic_fetch_add_explicit(&b->used, bytes,
						    memory_order_relaxed);

	if (before + bytes <= budget_limit(b)) {
		return true;
	}
	budget_give(b, bytes);
	return false;
}

#endif
