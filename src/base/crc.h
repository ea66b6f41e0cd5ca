/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CRC32C (Castagnoli, polynomial 0x1EDC6F41 reflected, as in RFC 3720): by the
 * processor's instruction where it has one (SSE4.2), else by tables.
 */
#ifndef DOZO_BASE_CRC_H
#define DOZO_BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Of `n` bytes that follow those of which `crc` is the sum; 0 to begin. */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);

/* The same without the instruction; for tests. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t n);

#endif
