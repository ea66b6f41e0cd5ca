/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parts of the node that can be asked without a socket: times, prefixes,
 * the password file.
 */
#include <stdio.h>
#include <stdlib.h>

#include "node/handlers.h"
#include "node_fixture.h"

static void times(void **state)
{
	const uint32_t now = 1700000000;

	(void)state;
	assert_int_equal(exptime_from_wire(0, now), 0);
	assert_int_equal(exptime_from_wire(-1, now), EXPIRED_AT_ONCE);
	assert_int_equal(exptime_from_wire(INT32_MIN, now), EXPIRED_AT_ONCE);
	assert_int_equal(exptime_from_wire(1, now), now + 1);
	assert_int_equal(exptime_from_wire(RELATIVE_MAX_S, now),
			 now + RELATIVE_MAX_S);
	/* One second more is a date in 1970. */
	assert_int_equal(exptime_from_wire(RELATIVE_MAX_S + 1, now),
			 RELATIVE_MAX_S + 1);
	assert_int_equal(exptime_from_wire(1700000100, now), 1700000100);
}

static void prefixes(void **state)
{
	const char *expected = "PREFIX a get 2 hit 1 set 1 del 0\r\nEND\r\n";
	struct prefix_stats p;
	struct buf text = { 0 };

	(void)state;
	assert_true(prefix_init(&p, ':', false, 7));
	prefix_count(&p, "a:1", 3, PREFIX_GET);
	prefix_dump(&p, &text);
	assert_int_equal(text.len, 5);
	buf_release(&text);
	atomic_store(&p.on, true);
	prefix_count(&p, "a:1", 3, PREFIX_GET);
	prefix_count(&p, "a:2", 3, PREFIX_GET);
	prefix_count(&p, "a:2", 3, PREFIX_HIT);
	prefix_count(&p, "a:2", 3, PREFIX_SET);
	prefix_count(&p, "none", 4, PREFIX_SET);
	/* Would be a line of its own in the dump. */
	prefix_count(&p, "x\r\nEND\r\n:2", 11, PREFIX_SET);
	prefix_dump(&p, &text);
	assert_int_equal(text.len, strlen(expected));
	assert_memory_equal(text.data, expected, text.len);
	buf_release(&text);
	prefix_clear(&p);
	assert_int_equal(p.count, 0);
	prefix_release(&p);
}

static void prefixes_are_bounded(void **state)
{
	struct prefix_stats p;
	char key[32];

	(void)state;
	assert_true(prefix_init(&p, ':', true, 7));
	for (int i = 0; i < PREFIXES_MAX + 10; i++) {
		int n = snprintf(key, sizeof(key), "%d:x", i);

		prefix_count(&p, key, (size_t)n, PREFIX_SET);
	}
	assert_int_equal(p.count, PREFIXES_MAX);
	prefix_release(&p);
}

/* A password file with the given content; its name is in `path`. */
static void write_file(char *path, const char *content)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)),
			 (ssize_t)strlen(content));
	close(fd);
}

static bool loads(const char *content)
{
	char path[] = "/tmp/dozo-auth-XXXXXX";
	const char *why = NULL;
	struct auth a;
	bool ok;

	write_file(path, content);
	ok = auth_init(&a, path, &why);
	assert_true(ok == (why == NULL));
	auth_release(&a);
	unlink(path);
	return ok;
}

static void password_files(void **state)
{
	char longest[AUTH_ENTRY_MAX + 2];
	const char *why = NULL;
	struct auth a;

	(void)state;
	assert_true(loads("user:password\n"));
	assert_true(loads("user:password"));
	assert_true(loads("a:b\r\nc:d\r\n\r\n"));
	assert_false(loads(""));
	assert_false(loads("no colon\n"));
	assert_false(loads("1:1\n2:2\n3:3\n4:4\n5:5\n6:6\n7:7\n8:8\n9:9\n"));
	assert_true(loads("1:1\n2:2\n3:3\n4:4\n5:5\n6:6\n7:7\n8:8\n"));
	memset(longest, 'x', sizeof(longest));
	longest[1] = ':';
	longest[AUTH_ENTRY_MAX - 1] = '\0';
	assert_true(loads(longest));
	longest[AUTH_ENTRY_MAX - 1] = 'x';
	longest[AUTH_ENTRY_MAX] = '\0';
	assert_false(loads(longest));
	assert_false(auth_init(&a, "/nonexistent/file", &why));
	assert_non_null(why);
}

static void password_file_is_read_again(void **state)
{
	char path[] = "/tmp/dozo-auth-XXXXXX";
	struct node_fixture f = { 0 };
	const char *why = NULL;
	FILE *file;
	int fd;

	(void)state;
	write_file(path, "old:secret\n");
	settings_init(&f.settings);
	f.settings.threads = 1;
	f.settings.auth_file = path;
	node_fixture_start(&f);
	fd = node_fixture_connect(&f, 0);
	say(fd, "version\r\n");
	hear(fd, "CLIENT_ERROR unauthenticated\r\n");
	say(fd, "set x 0 0 10\r\nold secreT\r\n");
	hear(fd, "CLIENT_ERROR authentication failure\r\n");
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("broken\n", file);
	fclose(file);
	assert_false(auth_reload(&f.node->auth, &why));
	say(fd, "set x 0 0 10\r\nold secret\r\n");
	hear(fd, "STORED\r\n");
	say(fd, "get x\r\n");
	hear(fd, "END\r\n");
	close(fd);
	node_fixture_stop(&f);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(prefixes_are_bounded),
		cmocka_unit_test(password_files),
		cmocka_unit_test(password_file_is_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
