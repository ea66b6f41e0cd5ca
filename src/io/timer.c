/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timers of an event loop: a list sorted by due time.  A loop has a handful
 * of them, so that a walk is shorter than the upkeep of a heap.
 */
#include <limits.h>

#include "io/clock.h"
#include "io/loop_inside.h"

static struct io_timer *timer_of(struct list *link)
{
	return list_entry(link, struct io_timer, link);
}

void io_timer_init(struct io_timer *t, void (*fire)(struct io_timer *t))
{
	list_init(&t->link);
	t->due_ms = 0;
	t->fire = fire;
}

void io_timer_set(struct io_loop *l, struct io_timer *t, uint64_t after_ms)
{
	struct list *before;

	list_remove(&t->link);
	t->due_ms = io_loop_now_ms(l) + after_ms;
	/* From the end: equal times fire in the order they were set. */
	before = l->timers.prev;
	while (before != &l->timers && timer_of(before)->due_ms > t->due_ms) {
		before = before->prev;
	}
	list_push_head(before, &t->link);
}

void io_timer_cancel(struct io_timer *t)
{
	list_remove(&t->link);
}

void timer_run_due(struct io_loop *l)
{
	struct list due;
	struct list *link;

	/* Apart first: one that sets itself to 0 must not hold the turn. */
	list_init(&due);
	while (!list_empty(&l->timers) &&
	       timer_of(l->timers.next)->due_ms <= l->now_ms) {
		list_push_tail(&due, list_pop_head(&l->timers));
	}
	while ((link = list_pop_head(&due)) != NULL) {
		struct io_timer *t = timer_of(link);

		t->fire(t);
	}
}

int timer_wait_ms(const struct io_loop *l)
{
	uint64_t due_ms;

	if (list_empty(&l->timers)) {
		return -1;
	}
	due_ms = timer_of(l->timers.next)->due_ms;
	if (due_ms <= l->now_ms) {
		return 0;
	}
	if (due_ms - l->now_ms > INT_MAX) {
		return INT_MAX;
	}
	return (int)(due_ms - l->now_ms);
}
