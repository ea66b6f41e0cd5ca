/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the parts of the store get their memory: the budget that it is
 * charged to, and the question that tests ask at each allocation.
 *
 * Thread rule: any thread.
 */
#ifndef DOZO_STORE_SUPPLY_H
#define DOZO_STORE_SUPPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/budget.h"

struct supply {
	struct budget budget;
	bool (*deny)(void *arg); /* true: this allocation fails; or NULL */
	void *deny_arg;
};

/* True when the next allocation is to fail. */
bool supply_denied(struct supply *s);

/*
 * `bytes` of zeroed memory on a cache line of its own, charged whether the
 * budget has room or not: for tables, without which nothing goes on.
 */
void *supply_take(struct supply *s, size_t bytes);
void supply_give(struct supply *s, void *at, size_t bytes); /* NULL is fine */

/* What supply_take() charges for `bytes`. */
size_t supply_cost(size_t bytes);

#endif
