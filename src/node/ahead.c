/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looking ahead at keys.
 */
#include "base/check.h"
#include "node/ahead.h"
#include "proto/peek.h"

void ahead_arrived(struct ahead *a, const struct store *store, unsigned slot,
		   const char *data, size_t len)
{
	struct span name;

	check(slot < IO_BATCH);
	if (text_peek_keys(data, len, &name, 1) == 0) {
		ahead_no_key(a, slot);
		return;
	}
	a->first[slot] = store_key(store, name.data, name.len);
	store_prefetch_shard(store, &a->first[slot]);
	a->batch_pending = true;
}

void ahead_forget_slots(struct ahead *a)
{
	for (unsigned i = 0; i < IO_BATCH; i++) {
		a->first[i].data = NULL;
	}
	a->batch_pending = false;
}

static void ask_for_batch(struct ahead *a, const struct store *store)
{
	struct store_key keys[IO_BATCH];
	unsigned slot[IO_BATCH];
	unsigned n = 0;

	for (unsigned i = 0; i < IO_BATCH; i++) {
		if (a->first[i].data != NULL) {
			slot[n] = i;
			keys[n++] = a->first[i];
		}
	}
	store_prefetch_batch(store, keys, n);
	for (unsigned i = 0; i < n; i++) {
		a->first[slot[i]] = keys[i];
	}
	a->batch_pending = false;
}

void ahead_hand_over(struct ahead *a, const struct store *store, unsigned slot)
{
	struct store_key *first = &a->first[slot];

	if (a->batch_pending) {
		ask_for_batch(a, store);
	}
	ahead_forget(a);
	if (first->data != NULL) {
		a->keys[0] = *first;
		a->count = 1;
		a->next = 0;
		a->left = 1;
		first->data = NULL;
	}
}

void ahead_pipeline(struct ahead *a, const struct store *store,
		    const char *data, size_t len)
{
	struct span names[AHEAD_MAX];
	size_t n = text_peek_keys(data, len, names, AHEAD_MAX);

	for (size_t i = 0; i < n; i++) {
		a->keys[i] = store_key(store, names[i].data, names[i].len);
	}
	store_prefetch_batch(store, a->keys, (unsigned)n);
	a->count = (unsigned)n;
	a->next = 0;
	a->left = (unsigned)n;
}

struct store_key ahead_key(struct ahead *a, const struct store *store,
			   const char *data, size_t len)
{
	/* Requests that were refused have left theirs behind. */
	while (a->next < a->count && a->keys[a->next].data < data) {
		a->next++;
	}
	if (a->next < a->count && a->keys[a->next].data == data &&
	    a->keys[a->next].len == len) {
		check(!DOZO_DEBUG_COMMANDS ||
		      a->keys[a->next].hash ==
			      store_key(store, data, len).hash);
		return a->keys[a->next++];
	}
	return store_key(store, data, len);
}
