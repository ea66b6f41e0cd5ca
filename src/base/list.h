/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A doubly linked list whose links live in its members.  A list is a ring
 * with its head in it; a member that is on no list points to itself, so
 * removing twice is harmless and "is it on a list" is one compare.
 *
 * Ownership: a list owns nothing.  Thread rule: that of its owner.
 */
#ifndef DOZO_BASE_LIST_H
#define DOZO_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next;
	struct list *prev;
};

/* The struct of type `type` whose field `field` is the link `link`. */
#define list_entry(link, type, field)                                          \
	((type *)(void *)((char *)(link)-offsetof(type, field)))

/* Walks a list; the current member must not be removed meanwhile. */
#define list_each(link, head)                                                  \
	for (struct list *link = (head)->next; link != (head);                 \
	     link = link->next)

/* Walks a list; the current member may be removed or freed. */
#define list_each_safe(link, after, head)                                      \
	for (struct list *link = (head)->next, *after = link->next;            \
	     link != (head); link = after, after = link->next)

static inline void list_init(struct list *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert_between(struct list *m, struct list *prev,
				       struct list *next)
{
	m->prev = prev;
	m->next = next;
	prev->next = m;
	next->prev = m;
}

static inline void list_push_tail(struct list *head, struct list *m)
{
	list_insert_between(m, head->prev, head);
}

static inline void list_push_head(struct list *head, struct list *m)
{
	list_insert_between(m, head, head->next);
}

static inline void list_remove(struct list *m)
{
	m->prev->next = m->next;
	m->next->prev = m->prev;
	list_init(m);
}

static inline struct list *list_pop_head(struct list *head)
{
	struct list *m = head->next;

	if (m == head) {
		return NULL;
	}
	list_remove(m);
	return m;
}

#endif
