/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Statistics by key prefix (`stats detail`): what stands before the first
 * delimiter (-D) counts its gets, hits, sets and deletes.
 *
 * At most PREFIXES_MAX prefixes are kept; further ones are not counted.
 * Thread rule: any thread; one short lock, taken only while it is on.
 */
#ifndef DOZO_NODE_PREFIX_H
#define DOZO_NODE_PREFIX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/lock.h"

enum { PREFIXES_MAX = 65536, PREFIX_BUCKETS = 4096 };

enum prefix_event { PREFIX_GET, PREFIX_HIT, PREFIX_SET, PREFIX_DELETE };

struct prefix;

struct prefix_stats {
	_Atomic bool on;
	char delimiter;
	uint64_t seed; /* of the hash: prefixes come from clients */
	struct lock lock;
	uint32_t count;
	struct prefix **buckets; /* PREFIX_BUCKETS */
};

bool prefix_init(struct prefix_stats *p, char delimiter, bool on,
		 uint64_t seed);
void prefix_release(struct prefix_stats *p);
void prefix_clear(struct prefix_stats *p);

/* The slow half of prefix_count(). */
void prefix_record(struct prefix_stats *p, const char *key, size_t len,
		   enum prefix_event event);

static inline void prefix_count(struct prefix_stats *p, const char *key,
				size_t len, enum prefix_event event)
{
	if (__builtin_expect(atomic_load_explicit(&p->on, memory_order_relaxed),
			     0)) {
		prefix_record(p, key, len, event);
	}
}

/* The dump with its END, added to `out`; out->failed tells of no memory. */
void prefix_dump(struct prefix_stats *p, struct buf *out);

#endif
