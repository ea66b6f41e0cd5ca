/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Watchers.  The lines are memcached's (its doc/protocol.txt, "Watchers").
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "io/sock.h"
#include "node/node_state.h"
#include "node/output.h"
#include "node/session.h"
#include "node/watch.h"

/* A line: a key of 250 bytes in percent-encoding, and the rest. */
enum { LINE_ROOM = 3 * KEY_MAX + 512, SKIP_ROOM = 40 };

/* ---- writing ----------------------------------------------------------- */

/* Says how many lines were lost, when there is room again. */
static void put_skipped(struct watcher *to)
{
	if (to->skipped > 0 && to->cap - to->len >= SKIP_ROOM) {
		to->len += (size_t)snprintf(to->buf + to->len, SKIP_ROOM,
					    "skipped=%llu\n",
					    (unsigned long long)to->skipped);
		to->skipped = 0;
	}
}

static void watcher_put(struct watch *w, struct watcher *to, const char *line,
			size_t len)
{
	put_skipped(to);
	if (to->skipped > 0 || to->cap - to->len < len) {
		to->skipped++;
		w->dropped++;
		return;
	}
	memcpy(to->buf + to->len, line, len);
	to->len += len;
	w->written++;
}

static void event(struct watch *watch, enum watch_kind kind, const char *format,
		  ...) __attribute__((format(printf, 3, 4)));

static void event(struct watch *watch, enum watch_kind kind, const char *format,
		  ...)
{
	uint64_t now_us = clock_wall_us();
	char line[LINE_ROOM];
	va_list args;
	int head;
	int tail;

	lock_take(&watch->lock);
	head = snprintf(line, sizeof(line), "ts=%llu.%llu gid=%llu ",
			(unsigned long long)(now_us / 1000000),
			(unsigned long long)(now_us % 1000000),
			(unsigned long long)++watch->gid);
	va_start(args, format);
	tail = vsnprintf(line + head, sizeof(line) - (size_t)head, format,
			 args);
	va_end(args);
	check(tail > 0 && head + tail < (int)sizeof(line));
	for (int i = 0; i < WATCHERS_MAX; i++) {
		struct watcher *to = &watch->watchers[i];

		if (to->session != NULL && (to->kinds & kind) != 0) {
			watcher_put(watch, to, line, (size_t)(head + tail));
		}
	}
	lock_give(&watch->lock);
	atomic_store_explicit(&watch->news, true, memory_order_relaxed);
}

static struct watch *watch_of(const struct session *s)
{
	return &s->worker->node->watch;
}

/* A key in percent-encoding, ended with a NUL. */
struct uri_key {
	char text[3 * KEY_MAX + 1];
};

static struct uri_key uri_key(const char *key, size_t len)
{
	struct uri_key k;

	k.text[text_put_uri_key(k.text, key, len)] = '\0';
	return k;
}

void watch_get(struct session *s, const char *key, size_t key_len,
	       enum store_miss miss, uint32_t value_len)
{
	static const char *const status[] = {
		[MISS_NONE] = "found",
		[MISS_ABSENT] = "not_found",
		[MISS_EXPIRED] = "expired",
		[MISS_FLUSHED] = "flushed",
	};

	event(watch_of(s), WATCH_FETCHERS,
	      "type=item_get key=%s status=%s clsid=%u cfd=%d size=%u\n",
	      uri_key(key, key_len).text, status[miss],
	      miss == MISS_NONE ? CLASS_ITEMS : 0, s->stream.fd,
	      miss == MISS_NONE ? value_len : 0);
}

void watch_store(struct session *s, const char *key, size_t key_len,
		 const char *status, const char *cmd, int64_t ttl,
		 uint32_t size)
{
	event(watch_of(s), WATCH_MUTATIONS,
	      "type=item_store key=%s status=%s cmd=%s ttl=%lld clsid=%u "
	      "cfd=%d size=%u\n",
	      uri_key(key, key_len).text, status, cmd, (long long)ttl,
	      CLASS_ITEMS, s->stream.fd, size);
}

void watch_delete(struct session *s, const char *key, size_t key_len,
		  const char *cmd, uint32_t size)
{
	event(watch_of(s), WATCH_DELETIONS,
	      "type=deleted key=%s cmd=%s clsid=%u size=%u\n",
	      uri_key(key, key_len).text, cmd, CLASS_ITEMS, size);
}

void watch_evict(struct watch *w, const struct item_view *item, uint32_t now)
{
	int64_t ttl = item->exptime == 0 ?
			      -1 :
			      (int64_t)item->exptime - (int64_t)now;

	event(w, WATCH_EVICTIONS,
	      "type=eviction key=%s fetch=%s ttl=%lld la=%u clsid=%u "
	      "size=%u\n",
	      uri_key(item->key, item->key_len).text,
	      item->fetched ? "yes" : "no", (long long)ttl,
	      now - item->accessed, CLASS_ITEMS, item->value_len);
}

void watch_connection(struct watch *w, int fd, const char *reason)
{
	char ip[SOCK_IP_TEXT] = "unix";
	int port = 0;
	const char *transport;

	if (!watch_wants(w, WATCH_CONNEVENTS)) {
		return;
	}
	transport = sock_peer_ip(fd, ip, &port) ? "tcp" : "local";
	if (reason == NULL) {
		event(w, WATCH_CONNEVENTS,
		      "type=conn_new rip=%s rport=%d transport=%s cfd=%d\n", ip,
		      port, transport, fd);
	} else {
		event(w, WATCH_CONNEVENTS,
		      "type=conn_close rip=%s rport=%d transport=%s "
		      "reason=%s cfd=%d\n",
		      ip, port, transport, reason, fd);
	}
	/* Connections come and go outside of a session's turn, too. */
	watch_wake(w);
}

/* ---- reading ----------------------------------------------------------- */

bool watch_parse_kinds(const struct request *r, unsigned *kinds)
{
	static const struct {
		const char *name;
		unsigned kind;
	} names[] = {
		{ "fetchers", WATCH_FETCHERS },
		{ "mutations", WATCH_MUTATIONS },
		{ "evictions", WATCH_EVICTIONS },
		{ "connevents", WATCH_CONNEVENTS },
		{ "deletions", WATCH_DELETIONS },
		{ "sysevents", WATCH_NOTHING },
		{ "rawcmds", WATCH_NOTHING },
		{ "proxyreqs", WATCH_NOTHING },
		{ "proxyevents", WATCH_NOTHING },
		{ "proxyuser", WATCH_NOTHING },
	};

	*kinds = r->word_count == 1 ? WATCH_FETCHERS : 0;
	for (int i = 1; i < r->word_count; i++) {
		size_t n = 0;

		while (n < sizeof(names) / sizeof(names[0]) &&
		       !span_is(r->words[i], names[n].name)) {
			n++;
		}
		if (n == sizeof(names) / sizeof(names[0])) {
			return false;
		}
		*kinds |= names[n].kind;
	}
	return true;
}

/* With the lock held. */
static void watch_recount(struct watch *w)
{
	unsigned kinds = 0;
	uint32_t count = 0;

	for (int i = 0; i < WATCHERS_MAX; i++) {
		if (w->watchers[i].session != NULL) {
			kinds |= w->watchers[i].kinds;
			count++;
		}
	}
	atomic_store_explicit(&w->kinds, kinds, memory_order_relaxed);
	atomic_store_explicit(&w->count, count, memory_order_relaxed);
}

static void watcher_woken(struct io_msg *m)
{
	struct watcher *to = list_entry(m, struct watcher, wake);
	struct session *s;
	struct watch *w;

	/*
	 * A slot is not given to another session while its message is on its
	 * way, so a session found here is one of this thread's.
	 */
	w = to->watch;
	lock_take(&w->lock);
	to->waking = false;
	s = to->session;
	lock_give(&w->lock);
	if (s != NULL) {
		worker_begin_turn(s->worker);
		watch_read(s);
		session_end_turn(s);
	}
}

enum watch_added watch_add(struct session *s, unsigned kinds,
			   size_t buffer_bytes)
{
	struct watch *w = watch_of(s);
	enum watch_added result = WATCH_TOO_MANY;
	char *buf = session_alloc(s, buffer_bytes);

	if (buf == NULL) {
		return WATCH_NO_MEMORY;
	}
	lock_take(&w->lock);
	for (int i = 0; i < WATCHERS_MAX && result != WATCH_ADDED; i++) {
		struct watcher *to = &w->watchers[i];

		if (to->session == NULL && !to->waking) {
			to->watch = w;
			to->session = s;
			to->wake.run = watcher_woken;
			to->kinds = kinds;
			to->skipped = 0;
			to->buf = buf;
			to->len = 0;
			to->cap = buffer_bytes;
			s->watcher = to;
			result = WATCH_ADDED;
		}
	}
	watch_recount(w);
	lock_give(&w->lock);
	if (result != WATCH_ADDED) {
		session_dealloc(s, buf, buffer_bytes);
	}
	return result;
}

void watch_remove(struct session *s)
{
	struct watch *w = watch_of(s);
	struct watcher *gone = s->watcher;
	char *buf;
	size_t cap;

	/* From the unlock on the slot may be another watcher's. */
	lock_take(&w->lock);
	buf = gone->buf;
	cap = gone->cap;
	gone->buf = NULL;
	gone->session = NULL;
	watch_recount(w);
	lock_give(&w->lock);
	session_dealloc(s, buf, cap);
	s->watcher = NULL;
}

void watch_read(struct session *s)
{
	struct watch *w = watch_of(s);
	struct watcher *from = s->watcher;

	if (s->queue != NULL) {
		return; /* the client is slow: lines wait, then are lost */
	}
	lock_take(&w->lock);
	put_skipped(from);
	output_bytes(s, from->buf, from->len);
	if (from->len > 0) {
		w->sent++;
	}
	from->len = 0;
	lock_give(&w->lock);
}

void watch_wake(struct watch *watch)
{
	struct io_loop *loops[WATCHERS_MAX];
	struct watcher *woken[WATCHERS_MAX];
	int count = 0;

	atomic_store_explicit(&watch->news, false, memory_order_relaxed);
	lock_take(&watch->lock);
	for (int i = 0; i < WATCHERS_MAX; i++) {
		struct watcher *to = &watch->watchers[i];

		if (to->session != NULL && to->len > 0 && !to->waking) {
			to->waking = true;
			loops[count] = to->session->worker->loop;
			woken[count++] = to;
		}
	}
	lock_give(&watch->lock);
	for (int i = 0; i < count; i++) {
		io_post(loops[i], &woken[i]->wake);
	}
}

void watch_totals(struct watch *w, struct watch_totals *out)
{
	lock_take(&w->lock);
	out->written = w->written;
	out->dropped = w->dropped;
	out->sent = w->sent;
	out->watchers = atomic_load_explicit(&w->count, memory_order_relaxed);
	lock_give(&w->lock);
}

void watch_totals_reset(struct watch *w)
{
	lock_take(&w->lock);
	w->written = 0;
	w->dropped = 0;
	w->sent = 0;
	lock_give(&w->lock);
}
