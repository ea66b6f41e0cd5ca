/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Growth, insertion and removal in a shard's table.  Numbers T1 to T3 are
 * those of the header.
 */
#include "base/check.h"
#include "store/table.h"

enum {
	BUCKET_BYTES = BUCKET_SLOTS * 8,
	GROWTH_SHARE = 24,
	/* What a table may be too large by: two steps of growth. */
	FIT_SHARE = 12,
};

static uint64_t *bucket_at(const struct table *t, uint32_t n)
{
	return table_buckets(t) + (size_t)n * BUCKET_SLOTS;
}

static uint32_t after(const struct table *t, uint32_t n)
{
	return n + 1 < table_nbuckets(t) ? n + 1 : 0;
}

/* Buckets from `from` forward to `to`, around the end. */
static uint32_t distance(const struct table *t, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : to + table_nbuckets(t) - from;
}

static bool is_full(const uint64_t *bucket)
{
	return bucket[BUCKET_SLOTS - 1] != 0;
}

/* Slots in use at the front of a bucket (T2). */
static uint32_t filled(const uint64_t *bucket)
{
	uint32_t n = 0;

	while (n < BUCKET_SLOTS && bucket[n] != 0) {
		n++;
	}
	return n;
}

uint64_t *table_find(const struct table *t, uint32_t tag, uint64_t location)
{
	struct probe p = table_probe(t, tag);
	uint64_t *slot;

	while ((slot = probe_next(&p)) != NULL) {
		if (slot_location(*slot) == location) {
			return slot;
		}
	}
	return NULL;
}

/* Puts a slot where T3 wants it; there must be room. */
static uint64_t *place(struct table *t, uint64_t slot)
{
	uint32_t n = table_home(slot_tag(slot), table_nbuckets(t));
	uint64_t *b = bucket_at(t, n);
	uint32_t i;

	while (is_full(b)) {
		n = after(t, n);
		b = bucket_at(t, n);
	}
	i = filled(b);
	b[i] = slot;
	return &b[i];
}

static bool rebuild(struct table *t, struct supply *s, uint32_t nbuckets)
{
	uint64_t *old = table_buckets(t);
	uint32_t old_n = table_nbuckets(t);
	uint64_t *fresh = supply_take(s, (size_t)nbuckets * BUCKET_BYTES);

	if (fresh == NULL) {
		return false;
	}
	check((uint64_t)nbuckets * BUCKET_SLOTS >= t->count);
	atomic_store_explicit(&t->buckets, fresh, memory_order_relaxed);
	atomic_store_explicit(&t->nbuckets, nbuckets, memory_order_relaxed);
	for (size_t i = 0; i < (size_t)old_n * BUCKET_SLOTS; i++) {
		if (old[i] != 0) {
			place(t, old[i]);
		}
	}
	supply_give(s, old, (size_t)old_n * BUCKET_BYTES);
	return true;
}

/* Is it time to grow before one more is added?  At 0.94 of the slots. */
static bool is_crowded(const struct table *t)
{
	uint64_t slots = (uint64_t)table_nbuckets(t) * BUCKET_SLOTS;

	return (uint64_t)(t->count + 1) * 100 > slots * 94;
}

/* Buckets for so many items, as full as they become before they are more. */
static uint64_t buckets_for(uint64_t count)
{
	return count * 100 / 94 / BUCKET_SLOTS + 1;
}

/* The buckets that a table is to grow to; 0: it is large enough, or nearly. */
static uint32_t expected_buckets(const struct table *t, uint64_t count)
{
	uint64_t now = table_nbuckets(t);
	uint64_t n = buckets_for(count);

	return n > now + now / GROWTH_SHARE && n <= UINT32_MAX ? (uint32_t)n :
								 0;
}

size_t table_expect_cost(const struct table *t, uint64_t count)
{
	uint32_t n = expected_buckets(t, count);

	return n > 0 ? supply_cost((size_t)n * BUCKET_BYTES) : 0;
}

void table_expect(struct table *t, struct supply *s, uint64_t count)
{
	uint32_t n = expected_buckets(t, count);

	if (n > 0) {
		(void)rebuild(t, s, n);
	}
}

void table_fit(struct table *t, struct supply *s)
{
	uint32_t n = (uint32_t)buckets_for(t->count);

	if (n + 1 + n / FIT_SHARE < table_nbuckets(t)) {
		/* Refused: it stays as large as it is. */
		(void)rebuild(t, s, n);
	}
}

uint64_t *table_insert(struct table *t, struct supply *s, uint32_t tag,
		       uint64_t location)
{
	uint32_t n = table_nbuckets(t);

	if (is_crowded(t) && !rebuild(t, s, n + 1 + n / GROWTH_SHARE) &&
	    t->count == n * BUCKET_SLOTS) {
		return NULL;
	}
	t->count++;
	return place(t, slot_make(0, tag, location));
}

/*
 * A full bucket `n` has got a hole in its last slot.  Items that had to pass
 * it on their way would no longer be found, so the nearest of them comes
 * back into the hole, which leaves the next hole, and so on.
 */
static void pull_back(struct table *t, uint32_t n)
{
	uint32_t from = n;

	for (;;) {
		uint64_t *b;
		uint32_t used;
		bool moved = false;

		from = after(t, from);
		if (from == n) {
			return;
		}
		b = bucket_at(t, from);
		used = filled(b);
		for (uint32_t i = 0; i < used && !moved; i++) {
			uint32_t home = table_home(slot_tag(b[i]),
						   table_nbuckets(t));

			if (distance(t, home, from) >= distance(t, n, from)) {
				bucket_at(t, n)[BUCKET_SLOTS - 1] = b[i];
				b[i] = b[used - 1];
				b[used - 1] = 0;
				moved = true;
			}
		}
		if (used < BUCKET_SLOTS) {
			return;
		}
		if (moved) {
			n = from;
		}
	}
}

/* Far too large: a quarter in use. */
static bool is_desolate(const struct table *t)
{
	return table_nbuckets(t) > 4 &&
	       t->count < table_nbuckets(t) * (BUCKET_SLOTS / 4);
}

void table_remove(struct table *t, struct supply *s, uint64_t *slot)
{
	size_t index = (size_t)(slot - table_buckets(t));
	uint32_t n = (uint32_t)(index / BUCKET_SLOTS);
	uint64_t *b = bucket_at(t, n);
	uint32_t used = filled(b);

	check(*slot != 0 && t->count > 0);
	*slot = b[used - 1];
	b[used - 1] = 0;
	t->count--;
	if (used == BUCKET_SLOTS) {
		pull_back(t, n);
	}
	if (is_desolate(t)) {
		/* Refused: it stays as large as it is. */
		(void)rebuild(t, s, table_nbuckets(t) / 2);
	}
}

void table_release(struct table *t, struct supply *s)
{
	supply_give(s, table_buckets(t),
		    (size_t)table_nbuckets(t) * BUCKET_BYTES);
	atomic_store_explicit(&t->buckets, NULL, memory_order_relaxed);
	atomic_store_explicit(&t->nbuckets, 0, memory_order_relaxed);
	t->count = 0;
}

size_t table_cost(const struct table *t)
{
	return table_nbuckets(t) == 0 ?
		       0 :
		       supply_cost((size_t)table_nbuckets(t) * BUCKET_BYTES);
}

void table_verify(const struct table *t)
{
	uint32_t count = 0;

	for (uint32_t n = 0; n < table_nbuckets(t); n++) {
		uint64_t *b = bucket_at(t, n);
		uint32_t used = filled(b);

		count += used;
		for (uint32_t i = used; i < BUCKET_SLOTS; i++) {
			check(b[i] == 0);
		}
		for (uint32_t i = 0; i < used; i++) {
			uint32_t home = table_home(slot_tag(b[i]),
						   table_nbuckets(t));

			for (; home != n; home = after(t, home)) {
				check(is_full(bucket_at(t, home)));
			}
		}
	}
	check(count == t->count);
}
