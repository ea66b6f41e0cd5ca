/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of a reservation, for store_commit().
 */
#ifndef DOZO_STORE_PLACE_H
#define DOZO_STORE_PLACE_H

#include "store/space.h"

/* The item as it was reserved: no LSN, no times, no marks. */
void place_view(const struct reservation *r, struct item_view *v);

/* Its space, if an item could be published in it; else SPACE_NONE. */
struct space place_space(const struct reservation *r);

/* It no longer counts among those that arrive slowly. */
void place_unhold(struct store *s, struct reservation *r);

/* Its space was published. */
void place_spent(struct reservation *r);

/* Ends a reservation; what was not published is given up. */
void place_done(struct store *s, struct reservation *r);

#endif
