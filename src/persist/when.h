/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Moments of the store's clock, as people read and write them.  The store's
 * clock counts like Unix time; people look at their own clock on the wall, so
 * both forms are shown, and both are taken.
 */
#ifndef DOZO_PERSIST_WHEN_H
#define DOZO_PERSIST_WHEN_H

#include <stdint.h>

enum { WHEN_SIZE = 32 };

/* "2026-11-26 04:15:00", in the zone of TZ.  `to` is of WHEN_SIZE. */
const char *when_local(char *to, uint32_t t);

/* "2026-11-26T04:15:00Z" */
const char *when_utc(char *to, uint32_t t);

/*
 * Reads Unix seconds, or either of the two forms above; a 'T' in the middle
 * without the 'Z' is local too.  NULL, or what is wrong with it; a local time
 * that came twice is refused.
 */
const char *when_parse(const char *text, uint32_t *out);

#endif
