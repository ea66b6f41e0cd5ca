/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one form of a request, whatever protocol it came in, and the table of
 * commands.
 *
 * A parser fills in what the command's shape needs and leaves the rest as it
 * was; handlers read only that.  Pointers lead into the bytes that were
 * parsed and hold as long as those stay.
 */
#ifndef DOZO_PROTO_REQUEST_H
#define DOZO_PROTO_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

struct span {
	const char *data;
	size_t len;
};

enum command {
#define COMMAND(symbol, name, shape, words, flags, handler) CMD_##symbol,
#include "proto/commands.def"
#undef COMMAND
	CMD_COUNT,
	CMD_NONE = CMD_COUNT, /* not a command */
};

enum shape {
	SHAPE_NONE,       /* further words are ignored */
	SHAPE_KEYS,       /* KEY+ */
	SHAPE_TIME_KEYS,  /* EXP KEY+ */
	SHAPE_STORE,      /* KEY FLAGS EXP LEN [CAS] */
	SHAPE_DELETE,     /* KEY [0] */
	SHAPE_DELTA,      /* KEY DELTA */
	SHAPE_TOUCH,      /* KEY EXP */
	SHAPE_META,       /* KEY [LEN] FLAG* */
	SHAPE_META_DEBUG, /* KEY [b] */
	SHAPE_WORDS,      /* words[]: the handler reads them */
};

enum command_flag {
	CF_READ = 1,  /* reads items */
	CF_WRITE = 2, /* changes items */
	CF_VALUE = 4, /* a data block follows the line */
	CF_META = 8,  /* meta replies; noreply is no word for it */
	CF_LOUD = 16, /* noreply does not silence it */
};

struct command_info {
	const char *name;
	uint8_t name_len;
	enum shape shape;
	uint8_t words;
	uint8_t flags;
};

extern const struct command_info command_table[CMD_COUNT];

enum { WORDS_MAX = 24 };

/* Meta flags: which letters were given, in which order, with what. */
struct meta_flag {
	char letter;
	uint8_t arg_len;
	const char *arg; /* behind the letter */
};

/* Bit of a letter in meta.given. */
static inline uint64_t meta_bit(char letter)
{
	return 1ULL << ((unsigned)letter - 'A');
}

struct meta {
	uint64_t given; /* meta_bit() of each flag */
	uint8_t count;
	char mode; /* first letter of M's argument; 0 if not given */
	struct meta_flag flags[META_FLAGS_MAX];
	/* Arguments, where the flag was given. */
	uint64_t compare_cas;   /* C */
	uint64_t new_cas;       /* E */
	uint64_t initial;       /* J */
	uint64_t delta;         /* D; 1 if not given */
	int32_t exptime;        /* T */
	int32_t vivify_exptime; /* N */
	int32_t recache_time;   /* R */
};

struct request {
	enum command cmd;
	bool noreply; /* the one-line reply, an error too, is not sent */
	bool binkey;  /* key was base64; it is decoded in key_store */
	uint8_t key_len;
	const char *key;    /* the first key */
	struct span keys;   /* SHAPE_KEYS, TIME_KEYS: from the first key on */
	uint32_t value_len; /* of the data block */
	uint32_t cflags;
	int32_t exptime; /* as on the wire: relative, absolute or negative */
	uint64_t cas;
	uint64_t delta;
	/* SHAPE_WORDS: words[0] is the command; noreply is taken off. */
	uint8_t word_count;
	struct span words[WORDS_MAX];
	struct meta meta;
	char key_store[KEY_MAX];
};

static inline bool meta_has(const struct request *r, char letter)
{
	return (r->meta.given & meta_bit(letter)) != 0;
}

/* Is this span the word `text`? */
bool span_is(struct span s, const char *text);

#endif
