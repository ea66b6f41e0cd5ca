/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gate: up to which LSN the node's changes are committed, and so which
 * replies may leave (CONSISTENCY L4).
 *
 * An operation runs at once; its reply carries the highest LSN it depends on
 * and is held until the gate has passed it.  Without a journal and without
 * replicas nothing has to be waited for: the gate is open for ever, and a
 * reply costs one compare.
 *
 * Thread rule: any thread reads; what commits moves it on.
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

/* Moves the gate; the caller then wakes the workers that hold replies. */
static inline void gate_move(struct gate *g, uint64_t lsn)
{
	atomic_store_explicit(&g->committed, lsn, memory_order_release);
}

#endif
