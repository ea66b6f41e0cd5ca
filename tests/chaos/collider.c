/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prints keys that would all fall into one place of a hash table that hashes
 * with XXH3 and no seed, as somebody would send them who knows the code: the
 * bits --mask of their hashes are the same. One key of 16 bytes a line.
 *
 * The default mask is made for the tables of a server with -m 32: the top 8
 * bits choose the shard, bits 9 to 17 the home bucket among up to 512, so
 * that some thousands of keys stand in one long row of full buckets, and each
 * search walks it. About 2^17 keys are tried for each that is found.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "toolargs.h"

#define KEY_BYTES 16
#define MASK_DEFAULT UINT64_C(0xff0000000003fe00)

/* The next number, in hexadecimal with the least digit in front. */
static void key_next(char *digit)
{
	while (*digit == 'f') {
		*digit++ = '0';
	}
	*digit = *digit == '9' ? 'a' : (char)(*digit + 1);
}

int main(int argc, char **argv)
{
	uint64_t count = 3000, mask = MASK_DEFAULT;
	const struct tool_arg args[] = {
		{ "count", &count, "keys to find" },
		{ "mask", &mask, "bits of the hash that are the same" },
	};
	char key[] = "0000000000000000";
	uint64_t wanted;
	uint64_t found = 0;

	toolargs_read(argc, argv, args, sizeof(args) / sizeof(args[0]));
	wanted = XXH3_64bits(key, KEY_BYTES) & mask;
	for (; found < count; key_next(key)) {
		if ((XXH3_64bits(key, KEY_BYTES) & mask) == wanted) {
			puts(key);
			found++;
		}
	}
	return 0;
}
