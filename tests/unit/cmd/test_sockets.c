/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Listening sockets by the options: which are opened, what the port file
 * says of them, and that a failure leaves none behind.
 */
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arguments.h"
#include "cmd/sockets.h"
#include "io/sock.h"

struct fixture {
	char folder[64];
	struct arguments arguments;
	struct options options;
	struct sockets sockets;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->folder, sizeof(f->folder), "/tmp/dozo-sockets-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	sockets_close(&f->sockets);
	options_release(&f->options);
	assert_int_equal(rmdir(f->folder), 0);
	free(f);
	return 0;
}

static bool open_by(struct fixture *f, const char *given)
{
	arguments_split(&f->arguments, given);
	if (!options_parse(&f->options, f->arguments.argc, f->arguments.argv)) {
		fail_msg("%s: %s", given, f->options.problem);
	}
	return sockets_open(&f->sockets, &f->options);
}

static int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL) {
		count++;
	}
	closedir(dir);
	return count;
}

static void read_file(const char *path, char *out, size_t room)
{
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	out[fread(out, 1, room - 1, file)] = '\0';
	fclose(file);
}

static void test_default_is_loopback(void **state)
{
	struct fixture *f = *state;
	char text[SOCK_ADDR_TEXT];

	assert_true(open_by(f, "-p -1"));
	assert_in_range(f->sockets.count, 1, 2);
	sock_format_local(f->sockets.fds[0], text, sizeof(text));
	assert_memory_equal(text, "tcp:127.0.0.1:", 14);
	assert_true(sock_local_port(f->sockets.fds[0]) > 0);
	if (f->sockets.count == 2) {
		sock_format_local(f->sockets.fds[1], text, sizeof(text));
		assert_memory_equal(text, "tcp6:[::1]:", 11);
	}
}

static void test_listed(void **state)
{
	struct fixture *f = *state;
	char text[SOCKETS_WHY_ROOM];

	assert_true(open_by(f, "-p -1 -l 127.0.0.1,127.0.0.2 -l 127.0.0.3:0"));
	assert_int_equal(f->sockets.count, 3);
	sockets_format(&f->sockets, text, sizeof(text));
	assert_non_null(strstr(text, "tcp:127.0.0.1:"));
	assert_non_null(strstr(text, " tcp:127.0.0.2:"));
	assert_non_null(strstr(text, " tcp:127.0.0.3:"));
}

static void test_all_addresses(void **state)
{
	struct fixture *f = *state;
	char text[SOCK_ADDR_TEXT];

	assert_true(open_by(f, "-p -1 -l 0.0.0.0"));
	assert_int_equal(f->sockets.count, 1);
	sock_format_local(f->sockets.fds[0], text, sizeof(text));
	assert_memory_equal(text, "tcp:0.0.0.0:", 12);
}

/* Until it listens a client is refused: it does not wait for a recovery. */
static void test_listens_when_told(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(client >= 0);
	assert_true(open_by(f, "-p -1 -l 127.0.0.1"));
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	addr.sin_port = htons((uint16_t)sock_local_port(f->sockets.fds[0]));
	assert_int_equal(connect(client, (void *)&addr, sizeof(addr)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_true(sockets_listen(&f->sockets, 1));
	assert_int_equal(connect(client, (void *)&addr, sizeof(addr)), 0);
	close(client);
}

static void test_unix_socket_is_alone(void **state)
{
	struct fixture *f = *state;
	char path[96];
	char given[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/sock", f->folder);
	snprintf(given, sizeof(given), "-s %s -a 0620 -l 127.0.0.1", path);
	assert_true(open_by(f, given));
	assert_int_equal(f->sockets.count, 1);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0620);
	assert_int_equal(unlink(path), 0);
}

static void test_port_file(void **state)
{
	struct fixture *f = *state;
	char path[96];
	char partial[128];
	char text[256];
	char expected[256];

	assert_true(open_by(f, "-p -1"));
	snprintf(path, sizeof(path), "%s/ports", f->folder);
	snprintf(partial, sizeof(partial), "%s.lck", path);
	assert_true(sockets_write_ports(&f->sockets, path));
	read_file(path, text, sizeof(text));
	snprintf(expected, sizeof(expected), "TCP INET: %d\n",
		 sock_local_port(f->sockets.fds[0]));
	if (f->sockets.count == 2) {
		size_t len = strlen(expected);

		snprintf(expected + len, sizeof(expected) - len,
			 "TCP INET6: %d\n", sock_local_port(f->sockets.fds[1]));
	}
	assert_string_equal(text, expected);
	assert_int_equal(access(partial, F_OK), -1);
	assert_int_equal(unlink(path), 0);
}

static void test_port_file_that_cannot_be(void **state)
{
	struct fixture *f = *state;
	char path[96];

	assert_true(open_by(f, "-p -1"));
	snprintf(path, sizeof(path), "%s/none/ports", f->folder);
	assert_false(sockets_write_ports(&f->sockets, path));
	assert_non_null(strstr(f->sockets.why, "No such file"));

	/* A folder in the place of the file: the partial one is removed. */
	snprintf(path, sizeof(path), "%s/ports", f->folder);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_false(sockets_write_ports(&f->sockets, path));
	assert_int_equal(rmdir(path), 0);
}

static void test_failure_leaves_nothing_open(void **state)
{
	struct fixture *f = *state;
	struct sockets held;
	char given[96];
	int before;

	assert_true(open_by(f, "-p -1 -l 127.0.0.1"));
	assert_true(sockets_listen(&f->sockets, 1));
	held = f->sockets;
	options_release(&f->options);
	before = open_descriptors();
	snprintf(given, sizeof(given), "-p -1 -l 127.0.0.2,127.0.0.1:%d",
		 sock_local_port(held.fds[0]));
	assert_false(open_by(f, given));
	assert_int_equal(f->sockets.count, 0);
	assert_int_equal(open_descriptors(), before);
	assert_non_null(strstr(f->sockets.why, "cannot listen on 127.0.0.1"));
	assert_non_null(strstr(f->sockets.why, "in use"));
	sockets_close(&held);
}

static void test_taken_loopback_port(void **state)
{
	struct fixture *f = *state;
	struct sockets held;
	char given[64];

	assert_true(open_by(f, "-p -1 -l 127.0.0.1"));
	assert_true(sockets_listen(&f->sockets, 1));
	held = f->sockets;
	options_release(&f->options);
	snprintf(given, sizeof(given), "-p %d", sock_local_port(held.fds[0]));
	assert_false(open_by(f, given));
	sockets_close(&held);
}

#define SOCKETS_TEST(test)                                                     \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SOCKETS_TEST(test_default_is_loopback),
		SOCKETS_TEST(test_listed),
		SOCKETS_TEST(test_all_addresses),
		SOCKETS_TEST(test_listens_when_told),
		SOCKETS_TEST(test_unix_socket_is_alone),
		SOCKETS_TEST(test_port_file),
		SOCKETS_TEST(test_port_file_that_cannot_be),
		SOCKETS_TEST(test_failure_leaves_nothing_open),
		SOCKETS_TEST(test_taken_loopback_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
