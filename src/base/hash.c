/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * XXH3 from the xxHash library, compiled in place so that short keys are
 * hashed without a call through the library.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/hash.h"

uint64_t hash_bytes(const void *data, size_t len, uint64_t seed)
{
	return XXH3_64bits_withSeed(data, len, seed);
}
