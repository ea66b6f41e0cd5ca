/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one form of a short reply: a code.  Each protocol has its own words
 * for it; the text protocol's stand in the table below.
 *
 *	REPLY(symbol, text without CR LF)
 */
#ifndef DOZO_PROTO_REPLY_H
#define DOZO_PROTO_REPLY_H

#include <stddef.h>

#define REPLY_LIST                                                             \
	REPLY(STORED, "STORED")                                                \
	REPLY(NOT_STORED, "NOT_STORED")                                        \
	REPLY(EXISTS, "EXISTS")                                                \
	REPLY(NOT_FOUND, "NOT_FOUND")                                          \
	REPLY(DELETED, "DELETED")                                              \
	REPLY(TOUCHED, "TOUCHED")                                              \
	REPLY(OK, "OK")                                                        \
	REPLY(END, "END")                                                      \
	REPLY(EN, "EN")                                                        \
	REPLY(MN, "MN")                                                        \
	REPLY(RESET, "RESET")                                                  \
	REPLY(ERROR, "ERROR")                                                  \
	REPLY(TOO_MANY_CONNECTIONS, "ERROR Too many open connections")         \
	REPLY(BAD_FORMAT, "CLIENT_ERROR bad command line format")              \
	REPLY(BAD_DELETE, "CLIENT_ERROR bad command line format.  Usage: "     \
			  "delete <key> [noreply]")                            \
	REPLY(BAD_CHUNK, "CLIENT_ERROR bad data chunk")                        \
	REPLY(BAD_DELTA, "CLIENT_ERROR invalid numeric delta argument")        \
	REPLY(BAD_EXPTIME, "CLIENT_ERROR invalid exptime argument")            \
	REPLY(NOT_NUMBER, "CLIENT_ERROR cannot increment or decrement "        \
			  "non-numeric value")                                 \
	REPLY(TOO_LARGE, "SERVER_ERROR object too large for cache")            \
	REPLY(NO_MEMORY_STORE, "SERVER_ERROR out of memory storing object")    \
	REPLY(NO_MEMORY, "SERVER_ERROR out of memory")                         \
	REPLY(NO_MEMORY_GET,                                                   \
	      "SERVER_ERROR out of memory writing get response")               \
	REPLY(NO_MEMORY_STATS, "SERVER_ERROR out of memory writing stats")     \
	REPLY(NO_MEMORY_READ, "SERVER_ERROR out of memory reading request")    \
	REPLY(NO_MEMORY_ITEM, "SERVER_ERROR Out of memory allocating new "     \
			      "item")                                          \
	REPLY(READ_ONLY, "SERVER_ERROR read-only: changes cannot be kept on "  \
			 "disk at present")                                    \
	REPLY(DUPLICATE_FLAG, "CLIENT_ERROR duplicate flag")                   \
	REPLY(INVALID_FLAG, "CLIENT_ERROR invalid flag")                       \
	REPLY(INVALID_OR_DUPLICATE, "CLIENT_ERROR invalid or duplicate flag")  \
	REPLY(FLAGS_TOO_LONG, "CLIENT_ERROR options flags are too long")       \
	REPLY(BAD_KEY_ENCODING, "CLIENT_ERROR error decoding key")             \
	REPLY(BAD_META_DELTA, "CLIENT_ERROR invalid numeric delta value")      \
	REPLY(BAD_META_INITIAL, "CLIENT_ERROR invalid numeric initial value")  \
	REPLY(BAD_TOKEN, "CLIENT_ERROR bad token in command line format")      \
	REPLY(OPAQUE_TOO_LONG, "CLIENT_ERROR opaque token too long")           \
	REPLY(BAD_MS_MODE, "CLIENT_ERROR invalid mode for ms M token")         \
	REPLY(BAD_MA_MODE, "CLIENT_ERROR invalid mode for ma M token")

enum reply {
	REPLY_NONE,
#define REPLY(symbol, text) REPLY_##symbol,
	REPLY_LIST
#undef REPLY
		REPLY_COUNT,
};

/* The text form with its CR LF; *len is its length. */
const char *reply_text(enum reply code, size_t *len);

#endif
