/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hash of keys inside a process: XXH3, 64 bits, with a seed drawn at
 * start, so that keys cannot be chosen to collide.  Placement of keys over
 * machines must not depend on a process and does not use it.
 */
#ifndef DOZO_BASE_HASH_H
#define DOZO_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *data, size_t len, uint64_t seed);

#endif
