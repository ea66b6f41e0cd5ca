/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memcached text protocol, classic and meta: bytes to requests, results
 * to bytes.  Follows memcached 1.6.45.
 *
 * Pure and without state: a parser is called with what has arrived and says
 * what to do; composers write into memory that the caller provides.
 */
#ifndef DOZO_PROTO_TEXT_H
#define DOZO_PROTO_TEXT_H

#include "proto/reply.h"
#include "proto/request.h"

enum parse_result {
	PARSE_OK,    /* *r is a request */
	PARSE_MORE,  /* no complete line yet */
	PARSE_ERROR, /* answer p->error, then go on behind p->swallow */
	PARSE_CLOSE, /* close without a word */
};

struct parsed {
	size_t consumed;  /* bytes of the line, its newline included */
	enum reply error; /* of PARSE_ERROR */
	/*
	 * Of PARSE_ERROR: bytes behind the line that belong to the refused
	 * command (its data block with CR LF) and are to be dropped.
	 */
	uint64_t swallow;
};

/*
 * Parses one line from `buf`.  On PARSE_ERROR, r->cmd (or CMD_NONE) and
 * r->noreply tell whether the answer is to be sent; for ms, r->meta may be
 * incomplete.  `scanned` saves work on long lines that arrive in pieces: it
 * is 0 for a new line, kept by the caller, and set on PARSE_MORE to the
 * number of bytes known to hold no newline, else to 0.
 */
enum parse_result text_parse(const char *buf, size_t len, size_t *scanned,
			     struct request *r, struct parsed *p);

/* The next key of r->keys; false behind the last.  Starts with *rest =
 * r->keys. */
bool text_next_key(struct span *rest, struct span *key);

/* ---- composing --------------------------------------------------------- */

/* Most bytes of a line that a composer below writes. */
enum { TEXT_LINE_MAX = 1024 };

/* "VALUE key flags len[ cas]\r\n"; its length. */
size_t text_put_value_line(char *to, const char *key, size_t key_len,
			   uint32_t cflags, uint32_t value_len, bool with_cas,
			   uint64_t cas);

enum meta_code { META_HD, META_VA, META_EN, META_NF, META_NS, META_EX };

/* What a meta command found, for its reply line. */
struct meta_result {
	enum meta_code code;
	bool has_item;   /* the item fields below are set */
	bool won;        /* W */
	bool stale;      /* X */
	bool won_before; /* Z */
	bool created;    /* by N */
	bool key_is_binary;
	bool fetched;
	uint8_t key_len;
	const char *key;    /* as stored; NULL for the request's own */
	uint32_t value_len; /* of VA and of s; for ms even without an item */
	uint32_t cflags;
	uint32_t idle_s;       /* of l */
	int64_t ttl_before_s;  /* of t in front of T or N; -1 for none */
	int64_t ttl_between_s; /* of t between N and T, if both set it */
	int64_t ttl_s;         /* of t elsewhere; -1 for none */
	uint64_t cas;          /* for ms even without an item: 0 */
};

/*
 * The reply line of a meta command with the flags that return something, in
 * the order of the request, and the marks.  Returns its length, 0 if the
 * flag q hides it.  A key flag k or O is returned on misses too; flags that
 * need an item are left out when there is none, but for c and s of ms.  The
 * marks are those of mg only.
 */
size_t meta_put_line(char *to, const struct request *r,
		     const struct meta_result *m);

/* "ME key exp=.. la=.. cas=.. fetch=.. cls=.. size=..\r\n". */
struct meta_debug {
	const char *key;
	uint8_t key_len;
	bool key_is_binary;
	bool fetched;
	int64_t ttl_s;
	uint32_t idle_s;
	uint64_t cas;
	unsigned class_id;
	uint32_t size;
};
size_t meta_put_debug_line(char *to, const struct meta_debug *m);

/*
 * Percent-encodes a key as `watch` and metadump show it; `to` has room for
 * 3 * len bytes.  Letters, digits and -._~ stay.
 */
size_t text_put_uri_key(char *to, const char *key, size_t len);

#endif
