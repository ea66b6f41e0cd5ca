/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Base64 (RFC 4648, standard alphabet, with padding) for keys.
 */
#ifndef DOZO_PROTO_BASE64_H
#define DOZO_PROTO_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Encoded length of `len` bytes. */
static inline size_t base64_encoded_len(size_t len)
{
	return (len + 2) / 3 * 4;
}

/* Encodes to `to` (base64_encoded_len() bytes); returns the length. */
size_t base64_encode(char *to, const char *from, size_t len);

/*
 * Decodes to `to`, which has room for `room` bytes.  False when the input is
 * not exactly canonical base64 or does not fit.
 */
bool base64_decode(char *to, size_t room, const char *from, size_t len,
		   size_t *out_len);

#endif
