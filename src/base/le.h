/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers in formats: little-endian, at any address.
 */
#ifndef DOZO_BASE_LE_H
#define DOZO_BASE_LE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline void le_put_32(char *to, uint32_t n)
{
	n = htole32(n);
	memcpy(to, &n, sizeof(n));
}

static inline void le_put_64(char *to, uint64_t n)
{
	n = htole64(n);
	memcpy(to, &n, sizeof(n));
}

static inline uint32_t le_get_32(const char *from)
{
	uint32_t n;

	memcpy(&n, from, sizeof(n));
	return le32toh(n);
}

static inline uint64_t le_get_64(const char *from)
{
	uint64_t n;

	memcpy(&n, from, sizeof(n));
	return le64toh(n);
}

#endif
