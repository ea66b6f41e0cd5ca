/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parser of meta commands' words.  Inside the module.
 */
#ifndef DOZO_PROTO_META_H
#define DOZO_PROTO_META_H

#include <stdint.h>

#include "proto/reply.h"
#include "proto/request.h"
#include "proto/words.h"

/*
 * Reads what stands behind the name of mg, ms, md or ma (r->cmd) into *r.
 * Returns REPLY_NONE or the answer; *swallow is set where text_parse() says.
 */
enum reply meta_parse(struct request *r, struct words w, uint64_t *swallow);

/* The same for me. */
enum reply meta_parse_debug(struct request *r, struct words w);

#endif
