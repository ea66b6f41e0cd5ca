/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of the text protocol that are made from an item.
 */
#include "proto/put.h"
#include "proto/text.h"

/* The words of a line, six numbers of NUM_DIGITS and a key in base64. */
static_assert(TEXT_LINE_MAX >= 64 + 6 * NUM_DIGITS + (KEY_MAX + 2) / 3 * 4,
	      "a line holds any key and all its numbers");

size_t text_put_value_line(char *to, const char *key, size_t key_len,
			   uint32_t cflags, uint32_t value_len, bool with_cas,
			   uint64_t cas)
{
	char *at = put_literal(to, "VALUE ");

	at = put_bytes(at, key, key_len);
	at = put_char(at, ' ');
	at = put_u64(at, cflags);
	at = put_char(at, ' ');
	at = put_u64(at, value_len);
	if (with_cas) {
		at = put_char(at, ' ');
		at = put_u64(at, cas);
	}
	at = put_literal(at, "\r\n");
	return (size_t)(at - to);
}

size_t meta_put_debug_line(char *to, const struct meta_debug *m)
{
	char *at = put_literal(to, "ME ");

	at = put_key(at, m->key, m->key_len, m->key_is_binary);
	at = put_literal(at, " exp=");
	at = put_s64(at, m->ttl_s);
	at = put_literal(at, " la=");
	at = put_u64(at, m->idle_s);
	at = put_literal(at, " cas=");
	at = put_u64(at, m->cas);
	at = put_literal(at, " fetch=");
	at = m->fetched ? put_literal(at, "yes") : put_literal(at, "no");
	at = put_literal(at, " cls=");
	at = put_u64(at, m->class_id);
	at = put_literal(at, " size=");
	at = put_u64(at, m->size);
	at = put_literal(at, "\r\n");
	return (size_t)(at - to);
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

size_t text_put_uri_key(char *to, const char *key, size_t len)
{
	static const char hex[16] = "0123456789ABCDEF";
	char *at = to;

	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)key[i];

		if (is_unreserved(key[i])) {
			at = put_char(at, key[i]);
			continue;
		}
		at = put_char(at, '%');
		at = put_char(at, hex[byte >> 4]);
		at = put_char(at, hex[byte & 15]);
	}
	return (size_t)(at - to);
}
