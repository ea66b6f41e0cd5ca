/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ghost of one shard: fingerprints of the keys that were evicted not long
 * ago.  A key that comes back while its fingerprint is still there was
 * evicted too early, and goes to the main queue (S3-FIFO: J. Yang, Y. Zhang,
 * Z. Qiu, Y. Yue, R. Vinayak, "FIFO queues are all you need for cache
 * eviction", SOSP 2023).
 *
 * It is made of lines of one cache line: a position and 31 fingerprints of 16
 * bits, each line a FIFO of its own, chosen by the same bits of the hash that
 * choose a bucket.  One line to six buckets makes 0.7 fingerprints for each
 * item, at 1.5 bytes.  A wrong answer (1 in
 * 2,000) puts an item into the wrong queue, no more.
 *
 * Thread rule: that of the shard's lock.
 */
#ifndef DOZO_STORE_GHOST_H
#define DOZO_STORE_GHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/supply.h"

struct ghost {
	uint16_t *lines; /* NULL until the first eviction */
	uint32_t nlines;
};

/*
 * Remembers a hash; `nbuckets` says how large the ghost should be.  Without
 * memory it forgets.
 */
void ghost_add(struct ghost *g, struct supply *s, uint64_t hash,
	       uint32_t nbuckets);

/* Was it there?  If so, it no longer is. */
bool ghost_take(struct ghost *g, uint64_t hash);

void ghost_release(struct ghost *g, struct supply *s);

/* Bytes charged. */
size_t ghost_cost(const struct ghost *g);

#endif
