/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gate: up to which LSN the node's changes are committed, and so which
 * replies may leave (CONSISTENCY L4).
 *
 * An operation runs at once; its reply carries the highest LSN it depends on
 * and is held until the gate has passed it.  Without a journal that is waited
 * for, and without replicas, the gate is open for ever, and a reply costs one
 * compare.
 *
 * Who finds it closed leaves word where the mover of the gate will look, and
 * then looks at the gate once more.  Mover and waiter both store first and
 * load second, in sequentially consistent order, so at least one of them sees
 * the other: no wake-up is lost.
 *
 * Thread rule: any thread reads; one thread moves it.
 */
#ifndef DOZO_LOG_GATE_H
#define DOZO_LOG_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct gate {
	_Atomic uint64_t committed;
};

/* Nothing to wait for. */
static inline void gate_init_open(struct gate *g)
{
	atomic_init(&g->committed, UINT64_MAX);
}

/* May a reply leave that depends on `lsn`? */
static inline bool gate_passes(const struct gate *g, uint64_t lsn)
{
	return lsn <= atomic_load_explicit(&g->committed, memory_order_acquire);
}

/* The same, after word was left. */
static inline bool gate_passes_by_now(const struct gate *g, uint64_t lsn)
{
	return lsn <= atomic_load(&g->committed);
}

/* Moves the gate; the caller then wakes the workers that left word. */
static inline void gate_move(struct gate *g, uint64_t lsn)
{
	atomic_store(&g->committed, lsn);
}

#endif
