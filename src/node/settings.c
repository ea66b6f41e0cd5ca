/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The settings of a server that was started without options.  Where a value
 * has no effect here it is still memcached's own, because `stats settings`
 * shows it and tools read it.
 */
#include <string.h>

#include "base/limits.h"
#include "node/settings.h"
#include "persist/journal.h"
#include "persist/keeper.h"

static void init_what_works(struct settings *s)
{
	s->tcp_port = 11211;
	s->unix_mask = 0700;
	s->backlog = BACKLOG_DEFAULT;
	s->max_connections = CONNECTIONS_DEFAULT;
	s->maxconns_fast = true;
	s->reqs_per_turn = REQS_PER_TURN_DEFAULT;
	s->threads = THREADS_DEFAULT;
	s->memory_limit = MEMORY_LIMIT_DEFAULT;
	s->item_max = ITEM_MAX_DEFAULT;
	s->evict = true;
	s->use_cas = true;
	s->flush_enabled = true;
	s->dump_enabled = true;
	s->watch_enabled = true;
	s->version = SETTINGS_VERSION;
	s->prefix_delimiter = ':';
	s->sync = SYNC_EVERYSEC;
	s->journal_file_bytes = JOURNAL_FILE_BYTES_DEFAULT;
	s->watcher_logbuf_size = 256 * KIB;
	s->worker_logbuf_size = 64 * KIB;
}

static void init_what_is_only_shown(struct settings *s)
{
	s->growth_factor = 1.25;
	s->chunk_size = 48;
	s->slab_reassign = true;
	s->slab_automove = 1;
	s->slab_automove_ratio = 0.8;
	s->slab_automove_window = 10;
	s->slab_chunk_max = 512 * KIB;
	s->lru_crawler = true;
	s->lru_crawler_sleep = 100;
	s->hash_algorithm = "murmur3";
	s->lru_maintainer = true;
	s->lru_segmented = true;
	s->hot_lru_pct = 20;
	s->warm_lru_pct = 40;
	s->hot_max_factor = 0.2;
	s->warm_max_factor = 2.0;
	s->temporary_ttl = 61;
}

void settings_init(struct settings *s)
{
	memset(s, 0, sizeof(*s));
	init_what_works(s);
	init_what_is_only_shown(s);
}
