/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing the parts of a line one behind the other.  Each function writes at
 * `to` and returns where the next part goes; room is the caller's concern.
 * Inside the module.
 */
#ifndef DOZO_PROTO_PUT_H
#define DOZO_PROTO_PUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/num.h"
#include "proto/base64.h"

static inline char *put_char(char *to, char c)
{
	*to = c;
	return to + 1;
}

static inline char *put_bytes(char *to, const char *from, size_t len)
{
	memcpy(to, from, len);
	return to + len;
}

/* A string literal without its end. */
#define put_literal(to, text) put_bytes(to, "" text, sizeof(text) - 1)

static inline char *put_u64(char *to, uint64_t n)
{
	return to + num_format_u64(to, n);
}

static inline char *put_s64(char *to, int64_t n)
{
	if (n < 0) {
		return put_u64(put_char(to, '-'), 0 - (uint64_t)n);
	}
	return put_u64(to, (uint64_t)n);
}

/* A key, in base64 if that is how its owner gave it. */
static inline char *put_key(char *to, const char *key, size_t len, bool binary)
{
	if (binary) {
		return to + base64_encode(to, key, len);
	}
	return put_bytes(to, key, len);
}

#endif
