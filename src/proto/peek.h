/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A look ahead at requests that a client has sent in one go: which keys will
 * be asked for next, so that their memory can be on its way.
 *
 * A hint and no more: the parser in text.h decides what a request is.
 */
#ifndef DOZO_PROTO_PEEK_H
#define DOZO_PROTO_PEEK_H

#include <stddef.h>

#include "proto/request.h"

/*
 * Walks the complete requests at the start of `buf` and stores the first key
 * of each, at most `room` of them, as spans of 1 to KEY_MAX bytes inside
 * `buf`; returns how many.  Stops at the first request that is incomplete,
 * has no key or looks unusual.  A meta key in base64 is given as it stands.
 */
size_t text_peek_keys(const char *buf, size_t len, struct span *keys,
		      size_t room);

#endif
