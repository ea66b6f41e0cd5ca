/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A long mixed load with expiry and eviction in which every reply is
 * verified. Each value tells its key, its number and its length, and the rest
 * of it follows from these, so that a mixed-up byte is seen.
 *
 * Every key has one connection that writes it, and a number that each of its
 * changes raises. So besides whole values these hold, numbered as the code
 * cites them:
 *   S1 the writer reads exactly its last value, or a miss;
 *   S2 others read nothing older than what was acknowledged before they
 *      asked, and nothing that was not sent yet;
 *   S3 what the writer once missed, or deleted, stays away until it is set;
 *   S4 nothing is read two seconds after it expired;
 *   S5 a counter moves by exactly one.
 * The warm-up ends when enough was evicted for all memory to be in use; from
 * then on the time counts, and memory grows by less than one percent to the
 * end.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dialer.h"
#include "dice.h"
#include "toolargs.h"
#include "victim.h"

#define CONNS 8
#define KEYS 60000u
#define BATCH 16
#define MULTI 10
#define VALUE_MIN 64u
#define VALUE_MAX 30000u
#define TTL_MAX_S 5u
#define LATE_US UINT64_C(2000000) /* S4: two ticks of a 1 s clock */
#define WARM_EVICTIONS 4000
#define PATIENCE_MS 60000
#define SAMPLES_MAX 86400u
#define REQUEST_ROOM (BATCH * (VALUE_MAX + 256u))

enum op_kind {
	OP_GET,
	OP_MULTI,
	OP_META_GET,
	OP_SET,
	OP_META_SET,
	OP_DELETE,
	OP_TOUCH,
	OP_INCR,
};

/* What is known of one key by its only writer. */
struct key {
	uint32_t sent;       /* number of its last change that was sent */
	uint32_t acked;      /* ... that was acknowledged */
	uint32_t missed;     /* number at which it was found to be gone */
	uint32_t deleted;    /* number of its last deletion */
	uint64_t expires_us; /* of the last that was acknowledged; 0: never */
};

struct op {
	enum op_kind kind;
	uint32_t keys[MULTI];
	uint32_t floors[MULTI]; /* oldest number that may be read */
	uint32_t number;        /* of the change */
	unsigned int ttl_s;     /* that it gives; 0: none */
	size_t count;           /* keys */
	uint64_t asked_us;
};

struct actor {
	struct talk talk;
	struct op ops[BATCH];
	uint64_t counter;
	bool counting; /* the counter exists as far as is known */
};

struct soak {
	struct victim victim;
	struct dice dice;
	struct key *keys;
	struct actor actors[CONNS];
	char *request;
	size_t used;
	char *value;  /* as it came */
	char *wanted; /* as it should be */
	uint64_t ops;
	uint64_t hits;
	uint64_t misses;
	uint64_t sets;
	uint64_t expired; /* misses behind an expiry */
	uint64_t wrong;
};

/* ---- values ------------------------------------------------------------- */

static uint32_t value_size(uint32_t key, uint32_t number)
{
	struct dice dice = { .state = ((uint64_t)key << 32) | number };
	uint32_t max = dice_below(&dice, 50) == 0 ? VALUE_MAX : 4000u;

	return VALUE_MIN + (uint32_t)dice_below(&dice, max - VALUE_MIN);
}

/* The value of that number; returns its size. */
static uint32_t value_make(char *to, uint32_t key, uint32_t number)
{
	struct dice dice = { .state = ((uint64_t)number << 32) | key };
	uint32_t size = value_size(key, number);
	uint32_t at;

	at = (uint32_t)snprintf(to, size, "k%u:%u:%u:", key, number, size);
	while (at < size) {
		uint64_t bits = dice_roll(&dice);
		uint32_t part = size - at < 8 ? size - at : 8;

		memcpy(to + at, &bits, part);
		at += part;
	}
	return size;
}

static void soak_wrong(struct soak *soak, const struct op *op, uint32_t key,
		       const char *what, const char *got)
{
	soak->wrong++;
	if (soak->wrong <= 20) {
		fprintf(stderr,
			"WRONG op %d key k%u (sent %u, acked %u, missed %u, "
			"deleted %u): %s: %.60s\n",
			(int)op->kind, key, soak->keys[key].sent,
			soak->keys[key].acked, soak->keys[key].missed,
			soak->keys[key].deleted, what, got);
	}
}

/* ---- making requests ---------------------------------------------------- */

static void request_add(struct soak *soak, const void *data, size_t size)
{
	memcpy(soak->request + soak->used, data, size);
	soak->used += size;
}

/* Low numbers are asked for more often, as keys in the world are. */
static uint32_t key_pick(struct soak *soak)
{
	uint64_t a = dice_below(&soak->dice, KEYS);
	uint64_t b = dice_below(&soak->dice, KEYS);

	return (uint32_t)(a * b / KEYS);
}

static uint32_t key_owned(struct soak *soak, size_t actor)
{
	return key_pick(soak) / CONNS * CONNS + (uint32_t)actor;
}

static enum op_kind kind_pick(struct soak *soak)
{
	static const struct {
		enum op_kind kind;
		unsigned int percent;
	} mix[] = {
		{ OP_GET, 38 },  { OP_MULTI, 5 },    { OP_META_GET, 10 },
		{ OP_SET, 28 },  { OP_META_SET, 8 }, { OP_DELETE, 4 },
		{ OP_TOUCH, 4 }, { OP_INCR, 3 },
	};
	unsigned int roll = (unsigned int)dice_below(&soak->dice, 100);

	for (size_t i = 0; i < sizeof(mix) / sizeof(mix[0]); i++) {
		if (roll < mix[i].percent) {
			return mix[i].kind;
		}
		roll -= mix[i].percent;
	}
	return OP_GET;
}

static void op_make_read(struct soak *soak, struct op *op, size_t actor)
{
	char text[64];
	int length;

	op->count = op->kind == OP_MULTI ? MULTI : 1;
	request_add(soak, op->kind == OP_META_GET ? "mg" : "get",
		    op->kind == OP_META_GET ? 2 : 3);
	for (size_t i = 0; i < op->count; i++) {
		uint32_t key = key_pick(soak);

		if (dice_below(&soak->dice, 4) != 0) {
			key = key_owned(soak, actor);
		}
		op->keys[i] = key;
		op->floors[i] = key % CONNS == actor ? soak->keys[key].sent :
						       soak->keys[key].acked;
		length = snprintf(text, sizeof(text), " k%u", key);
		request_add(soak, text, (size_t)length);
	}
	request_add(soak, op->kind == OP_META_GET ? " v\r\n" : "\r\n",
		    op->kind == OP_META_GET ? 4 : 2);
}

/* A new time to live for a value: mostly none. */
static unsigned int ttl_pick(struct soak *soak)
{
	if (dice_below(&soak->dice, 3) != 0) {
		return 0;
	}
	return 1 + (unsigned int)dice_below(&soak->dice, TTL_MAX_S);
}

/* The change was acknowledged, so its time to live has begun by now. */
static void key_acked(struct key *known, const struct op *op)
{
	known->acked = op->number;
	known->expires_us = op->ttl_s == 0 ?
				    0 :
				    victim_now_us() +
					    op->ttl_s * UINT64_C(1000000);
}

static void op_make_store(struct soak *soak, struct op *op, uint32_t key)
{
	char line[128];
	uint32_t size;
	int length;

	op->ttl_s = ttl_pick(soak);
	op->number = ++soak->keys[key].sent;
	size = value_make(soak->value, key, op->number);
	if (op->kind == OP_SET) {
		length = snprintf(line, sizeof(line), "set k%u 0 %u %u\r\n",
				  key, op->ttl_s, size);
	} else {
		length = snprintf(line, sizeof(line), "ms k%u %u T%u\r\n", key,
				  size, op->ttl_s);
	}
	request_add(soak, line, (size_t)length);
	request_add(soak, soak->value, size);
	request_add(soak, "\r\n", 2);
	soak->sets++;
}

static void op_make_short(struct soak *soak, struct op *op, size_t actor)
{
	uint32_t key = op->keys[0];
	char line[128];
	int length = 0;

	op->ttl_s = 0;
	if (op->kind == OP_DELETE) {
		op->number = ++soak->keys[key].sent;
		soak->keys[key].deleted = op->number;
		length = snprintf(line, sizeof(line), "delete k%u\r\n", key);
	} else if (op->kind == OP_TOUCH) {
		op->number = soak->keys[key].sent;
		op->ttl_s = ttl_pick(soak);
		length = snprintf(line, sizeof(line), "touch k%u %u\r\n", key,
				  op->ttl_s);
	} else {
		length = snprintf(line, sizeof(line), "incr counter%zu 1\r\n",
				  actor);
	}
	request_add(soak, line, (size_t)length);
}

static void op_make(struct soak *soak, struct op *op, size_t actor)
{
	op->kind = kind_pick(soak);
	op->asked_us = victim_now_us();
	if (op->kind == OP_GET || op->kind == OP_MULTI ||
	    op->kind == OP_META_GET) {
		op_make_read(soak, op, actor);
		return;
	}
	op->count = 1;
	op->keys[0] = key_owned(soak, actor);
	if (op->kind == OP_SET || op->kind == OP_META_SET) {
		op_make_store(soak, op, op->keys[0]);
	} else {
		op_make_short(soak, op, actor);
	}
}

/* ---- checking replies --------------------------------------------------- */

/*
 * expires_us is of the writer's last change, so it speaks of this value only
 * if the writer has not changed it since the question (number == sent).
 */
static void check_hit(struct soak *soak, const struct op *op, size_t i,
		      size_t actor, uint32_t size)
{
	uint32_t key = op->keys[i];
	const struct key *known = &soak->keys[key];
	bool own = key % CONNS == actor;
	uint32_t got_key = 0;
	uint32_t number = 0;

	soak->hits++;
	soak->value[size] = '\0';
	if (sscanf(soak->value, "k%u:%u:", &got_key, &number) != 2 ||
	    got_key != key || value_size(key, number) != size ||
	    value_make(soak->wanted, key, number) != size ||
	    memcmp(soak->wanted, soak->value, size) != 0) {
		soak_wrong(soak, op, key, "not a value of it", soak->value);
	} else if (number < op->floors[i]) {
		soak_wrong(soak, op, key, "S2: too old", soak->value);
	} else if (number > (own ? op->floors[i] : known->sent)) {
		soak_wrong(soak, op, key, "S1: too new", soak->value);
	} else if (number == known->missed) {
		soak_wrong(soak, op, key, "S3: came back", soak->value);
	} else if (number == known->deleted) {
		soak_wrong(soak, op, key, "S3: never set", soak->value);
	} else if (own && number == known->sent && known->expires_us != 0 &&
		   op->asked_us > known->expires_us + LATE_US) {
		soak_wrong(soak, op, key, "S4: expired", soak->value);
	}
}

/* Only the writer's misses say that the value is gone for good. */
static void check_miss(struct soak *soak, const struct op *op, size_t i,
		       size_t actor)
{
	struct key *known = &soak->keys[op->keys[i]];

	soak->misses++;
	if (op->keys[i] % CONNS == actor) {
		known->missed = op->floors[i];
		soak->expired += known->expires_us != 0 &&
				 known->expires_us < op->asked_us;
	}
}

static bool read_values(struct soak *soak, struct op *op, size_t actor)
{
	struct talk *talk = &soak->actors[actor].talk;
	char line[512];
	size_t next = 0;

	while (talk_line(talk, line, sizeof(line))) {
		unsigned int key;
		unsigned int size;

		if (strcmp(line, "END") == 0) {
			for (; next < op->count; next++) {
				check_miss(soak, op, next, actor);
			}
			return true;
		}
		if (sscanf(line, "VALUE k%u 0 %u", &key, &size) != 2 ||
		    size > VALUE_MAX) {
			soak_wrong(soak, op, op->keys[0], "not a hit", line);
			return false;
		}
		while (next < op->count && op->keys[next] != key) {
			check_miss(soak, op, next++, actor);
		}
		if (next == op->count ||
		    !talk_bytes(talk, soak->value, size + 2)) {
			soak_wrong(soak, op, key, "cut off or unasked", line);
			return false;
		}
		check_hit(soak, op, next++, actor, size);
	}
	return false;
}

static bool read_meta_value(struct soak *soak, struct op *op, size_t actor)
{
	struct talk *talk = &soak->actors[actor].talk;
	char line[512];
	unsigned int size;

	if (!talk_line(talk, line, sizeof(line))) {
		return false;
	}
	if (strcmp(line, "EN") == 0) {
		check_miss(soak, op, 0, actor);
		return true;
	}
	if (sscanf(line, "VA %u", &size) != 1 || size > VALUE_MAX ||
	    !talk_bytes(talk, soak->value, size + 2)) {
		soak_wrong(soak, op, op->keys[0], "not a meta hit", line);
		return false;
	}
	check_hit(soak, op, 0, actor, size);
	return true;
}

/* S5. A counter that went is begun anew with the next one. */
static bool check_counter(struct soak *soak, struct op *op, size_t actor,
			  const char *line)
{
	struct actor *self = &soak->actors[actor];
	char text[64];

	if (strcmp(line, "NOT_FOUND") == 0) {
		self->counting = false;
		return true;
	}
	snprintf(text, sizeof(text), "%" PRIu64, self->counter + 1);
	if (!self->counting || strcmp(line, text) != 0) {
		soak_wrong(soak, op, op->keys[0], "S5: counter", line);
		return false;
	}
	self->counter++;
	return true;
}

static bool read_line_reply(struct soak *soak, struct op *op, size_t actor)
{
	struct key *known = &soak->keys[op->keys[0]];
	char line[512];

	if (!talk_line(&soak->actors[actor].talk, line, sizeof(line))) {
		return false;
	}
	switch (op->kind) {
	case OP_SET:
	case OP_META_SET:
		key_acked(known, op);
		if (strcmp(line, op->kind == OP_SET ? "STORED" : "HD") == 0) {
			return true;
		}
		break;
	case OP_DELETE:
		key_acked(known, op);
		if (strcmp(line, "DELETED") == 0 ||
		    strcmp(line, "NOT_FOUND") == 0) {
			return true;
		}
		break;
	case OP_TOUCH:
		if (strcmp(line, "NOT_FOUND") == 0) {
			known->missed = op->number;
			return true;
		}
		if (strcmp(line, "TOUCHED") == 0) {
			key_acked(known, op);
			return true;
		}
		break;
	default:
		return check_counter(soak, op, actor, line);
	}
	soak_wrong(soak, op, op->keys[0], "reply", line);
	return false;
}

static bool op_read(struct soak *soak, struct op *op, size_t actor)
{
	soak->ops++;
	if (op->kind == OP_GET || op->kind == OP_MULTI) {
		return read_values(soak, op, actor);
	}
	if (op->kind == OP_META_GET) {
		return read_meta_value(soak, op, actor);
	}
	return read_line_reply(soak, op, actor);
}

/* ---- the run ------------------------------------------------------------ */

static bool counter_begin(struct actor *self, size_t actor)
{
	char line[64];

	self->counter = 1000000;
	self->counting = true;
	return talk_say(&self->talk, "set counter%zu 0 0 7\r\n1000000\r\n",
			actor) &&
	       talk_line(&self->talk, line, sizeof(line)) &&
	       strcmp(line, "STORED") == 0;
}

/* All connections send a batch each, then all answers are read. */
static bool soak_round(struct soak *soak)
{
	for (size_t a = 0; a < CONNS; a++) {
		struct actor *self = &soak->actors[a];

		if (!self->counting && !counter_begin(self, a)) {
			return false;
		}
		soak->used = 0;
		for (size_t i = 0; i < BATCH; i++) {
			op_make(soak, &self->ops[i], a);
		}
		if (!talk_send(&self->talk, soak->request, soak->used)) {
			return false;
		}
	}
	for (size_t a = 0; a < CONNS; a++) {
		for (size_t i = 0; i < BATCH; i++) {
			if (!op_read(soak, &soak->actors[a].ops[i], a)) {
				return false;
			}
		}
	}
	return soak->wrong == 0;
}

static bool soak_init(struct soak *soak)
{
	soak->keys = calloc(KEYS + CONNS, sizeof(*soak->keys));
	soak->request = malloc(REQUEST_ROOM);
	soak->value = malloc(VALUE_MAX + 16);
	soak->wanted = malloc(VALUE_MAX + 16);
	if (soak->keys == NULL || soak->request == NULL ||
	    soak->value == NULL || soak->wanted == NULL) {
		return false;
	}
	for (size_t i = 0; i < KEYS + CONNS; i++) {
		soak->keys[i].missed = UINT32_MAX;
		soak->keys[i].deleted = UINT32_MAX;
	}
	for (size_t a = 0; a < CONNS; a++) {
		if (!talk_open(&soak->actors[a].talk, soak->victim.port,
			       PATIENCE_MS)) {
			return false;
		}
	}
	return true;
}

static void soak_release(struct soak *soak)
{
	for (size_t a = 0; a < CONNS; a++) {
		talk_close(&soak->actors[a].talk);
	}
	free(soak->keys);
	free(soak->request);
	free(soak->value);
	free(soak->wanted);
}

/* Memory second by second, from the end of the warm-up on. */
struct samples {
	long kib[SAMPLES_MAX];
	size_t count;
};

/* Growth in percent from the first tenth to the last. */
static double samples_growth(const struct samples *samples)
{
	size_t span = samples->count / 10 + 1;
	double first = 0;
	double last = 0;

	for (size_t i = 0; i < span; i++) {
		first += (double)samples->kib[i];
		last += (double)samples->kib[samples->count - 1 - i];
	}
	return (last - first) * 100.0 / first;
}

static void soak_print(const struct soak *soak, uint64_t elapsed_us)
{
	printf("soak %" PRIu64 " s: ops %" PRIu64 " (%" PRIu64
	       "/s) hits %" PRIu64 " misses %" PRIu64 " sets %" PRIu64
	       " expired %" PRIu64 " wrong %" PRIu64 " rss %ld KiB\n",
	       elapsed_us / 1000000, soak->ops,
	       soak->ops * 1000000 / (elapsed_us + 1), soak->hits, soak->misses,
	       soak->sets, soak->expired, soak->wrong,
	       victim_rss_kib(&soak->victim));
	fflush(stdout);
}

static bool soak_evictions(const struct soak *soak, uint64_t *evictions)
{
	struct talk talk;
	bool good;

	if (!talk_open(&talk, soak->victim.port, PATIENCE_MS)) {
		return false;
	}
	good = talk_stat(&talk, "evictions", evictions);
	talk_close(&talk);
	return good;
}

/* Until all memory is in use, for some time; false if that takes too long. */
static bool soak_warm(struct soak *soak, uint64_t seconds_max)
{
	uint64_t start_us = victim_now_us();
	uint64_t evictions = 0;

	while (evictions < WARM_EVICTIONS) {
		if (victim_now_us() - start_us > seconds_max * 1000000u) {
			printf("only %" PRIu64 " evictions\n", evictions);
			return false;
		}
		for (int i = 0; i < 100; i++) {
			if (!soak_round(soak)) {
				return false;
			}
		}
		if (!soak_evictions(soak, &evictions)) {
			return false;
		}
	}
	soak_print(soak, victim_now_us() - start_us);
	printf("that was the warm-up\n");
	return true;
}

static bool soak_run(struct soak *soak, uint64_t seconds,
		     struct samples *samples)
{
	uint64_t start_us = victim_now_us();
	bool good = true;

	while (good) {
		uint64_t elapsed_us = victim_now_us() - start_us;

		if (elapsed_us >= seconds * 1000000u) {
			break;
		}
		if (elapsed_us / 1000000 >= samples->count &&
		    samples->count < SAMPLES_MAX) {
			samples->kib[samples->count++] =
				victim_rss_kib(&soak->victim);
			if (samples->count % 10 == 0) {
				soak_print(soak, elapsed_us);
			}
		}
		good = soak_round(soak);
	}
	soak_print(soak, victim_now_us() - start_us);
	printf("ran %" PRIu64 " of %" PRIu64 " s\n",
	       (victim_now_us() - start_us) / 1000000, seconds);
	return good;
}

static bool soak_check(bool good, const char *what)
{
	if (!good) {
		printf("FAILED: %s\n", what);
	}
	return good;
}

static bool soak_judge(const struct soak *soak, const struct samples *samples,
		       double growth_max)
{
	const struct victim *victim = &soak->victim;
	uint64_t evictions = 0;
	double growth;
	bool good;

	if (!soak_check(victim_alive(victim), "server alive") ||
	    !soak_check(samples->count > 0, "longer than its warm-up")) {
		return false;
	}
	good = soak_check(soak_evictions(soak, &evictions), "statistics");
	growth = samples_growth(samples);
	printf("evictions %" PRIu64 ", memory growth after the warm-up: "
	       "%.2f %% (allowed %.2f)\n",
	       evictions, growth, growth_max);
	good &= soak_check(growth < growth_max, "memory stands still");
	good &= soak_check(evictions > WARM_EVICTIONS, "evictions happened");
	good &= soak_check(soak->expired > 0, "expiry happened");
	good &= soak_check(soak->hits > soak->misses / 4, "enough hits");
	return good;
}

int main(int argc, char **argv)
{
	uint64_t port = 0, pid = 0, seconds = 60, seed = 1, warm_s = 120;
	uint64_t growth_permille = 10;
	const struct tool_arg args[] = {
		{ "port", &port, "TCP port of the server" },
		{ "pid", &pid, "process id of the server" },
		{ "seconds", &seconds, "length of the load that counts" },
		{ "seed", &seed, "repeats the same choices" },
		{ "warm", &warm_s, "most seconds of the warm-up" },
		{ "growth", &growth_permille, "memory growth allowed, 1/1000" },
	};
	static struct samples samples;
	struct soak soak = { 0 };
	bool good;
	long fds;

	toolargs_read(argc, argv, args, sizeof(args) / sizeof(args[0]));
	printf("seed %" PRIu64 "\n", seed);
	soak.victim.pid = (pid_t)pid;
	soak.victim.port = (uint16_t)port;
	soak.dice.state = seed;
	fds = victim_fds(&soak.victim);
	if (!soak_init(&soak)) {
		fprintf(stderr, "cannot prepare\n");
		return 2;
	}
	good = soak_check(soak_warm(&soak, warm_s) &&
				  soak_run(&soak, seconds, &samples),
			  "every reply right and in time");
	good &= soak_judge(&soak, &samples, (double)growth_permille / 10.0);
	soak_release(&soak);
	good &= soak_check(victim_wait_fds(&soak.victim, fds, PATIENCE_MS),
			   "descriptors back to the start");
	printf("%s\n", good ? "passed" : "failed");
	return good ? 0 : 1;
}
