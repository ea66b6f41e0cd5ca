/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses in text, listening sockets, socket files and the descriptor
 * limit.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/sock.h"

/* ---- splitting ---------------------------------------------------------- */

struct split {
	const char *text;
	const char *host; /* NULL: refused */
	int port;
};

static const struct split splits[] = {
	{ "127.0.0.1", "127.0.0.1", 11211 },
	{ "127.0.0.1:80", "127.0.0.1", 80 },
	{ "127.0.0.1:0", "127.0.0.1", 0 },
	{ "localhost:65535", "localhost", 65535 },
	{ "*", "*", 11211 },
	{ "*:5", "*", 5 },
	{ "::1", "::1", 11211 },
	{ "::", "::", 11211 },
	{ "fe80::1%eth0", "fe80::1%eth0", 11211 },
	{ "[::1]", "::1", 11211 },
	{ "[::1]:443", "::1", 443 },
	{ "[127.0.0.1]:443", "127.0.0.1", 443 },
	{ "", NULL, 0 },
	{ ":80", NULL, 0 },
	{ "[]", NULL, 0 },
	{ "[]:80", NULL, 0 },
	{ "[::1", NULL, 0 },
	{ "[::1]80", NULL, 0 },
	{ "[::1]:", NULL, 0 },
	{ "[::1]:80:", NULL, 0 },
	{ "a:", NULL, 0 },
	{ "a:65536", NULL, 0 },
	{ "a:-1", NULL, 0 },
	{ "a:+1", NULL, 0 },
	{ "a:80x", NULL, 0 },
	{ "a: 80", NULL, 0 },
	{ "a:99999999999999999999", NULL, 0 },
	{ "0123456789012345678901234567890", "0123456789012345678901234567890",
	  11211 },
	{ "01234567890123456789012345678901", NULL, 0 },
};

static void addresses_are_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(splits) / sizeof(splits[0]); i++) {
		const struct split *s = &splits[i];
		char host[32] = "";
		const char *why = NULL;
		int port = -1;
		bool ok = sock_split_address(s->text, 11211, host, sizeof(host),
					     &port, &why);

		if (s->host == NULL) {
			assert_false(ok);
			assert_non_null(why);
			continue;
		}
		assert_true(ok);
		assert_string_equal(host, s->host);
		assert_int_equal(port, s->port);
	}
}

/* ---- formatting --------------------------------------------------------- */

static void internet_addresses_are_formatted(void **state)
{
	struct sockaddr_storage a = { .ss_family = AF_INET };
	void *any = &a;
	struct sockaddr_in *in = any;
	struct sockaddr_in6 *in6 = any;
	char text[SOCK_ADDR_TEXT];

	(void)state;
	in->sin_port = htons(5);
	in->sin_addr.s_addr = htonl(0x01020304);
	sock_format(&a, sizeof(*in), text, sizeof(text));
	assert_string_equal(text, "tcp:1.2.3.4:5");
	assert_int_equal(sock_port(&a), 5);
	memset(&a, 0, sizeof(a));
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(65535);
	in6->sin6_addr = in6addr_loopback;
	sock_format(&a, sizeof(*in6), text, sizeof(text));
	assert_string_equal(text, "tcp6:[::1]:65535");
	assert_int_equal(sock_port(&a), 65535);
	a.ss_family = AF_UNSPEC;
	sock_format(&a, sizeof(a), text, sizeof(text));
	assert_string_equal(text, "<AF 0>");
	assert_int_equal(sock_port(&a), 0);
}

static void unix_addresses_are_formatted(void **state)
{
	struct sockaddr_storage a = { .ss_family = AF_UNIX };
	void *any = &a;
	struct sockaddr_un *un = any;
	const socklen_t head = offsetof(struct sockaddr_un, sun_path);
	char longest[sizeof(un->sun_path) + 6];
	char text[SOCK_ADDR_TEXT];

	(void)state;
	memcpy(un->sun_path, "/run/a\r\nEND", 12);
	sock_format(&a, head + 12, text, sizeof(text));
	assert_string_equal(text, "unix:/run/a??END");
	sock_format(&a, head, text, sizeof(text));
	assert_string_equal(text, "unix:<AF 1>");
	memcpy(un->sun_path, "\0hidden", 7);
	sock_format(&a, head + 7, text, sizeof(text));
	assert_string_equal(text, "unix:@hidden");
	/* The longest path has no end byte. */
	memset(un->sun_path, 'p', sizeof(un->sun_path));
	snprintf(longest, sizeof(longest), "unix:%.*s",
		 (int)sizeof(un->sun_path), un->sun_path);
	sock_format(&a, sizeof(*un), text, sizeof(text));
	assert_string_equal(text, longest);
}

/* ---- TCP ---------------------------------------------------------------- */

static int family_of(int fd)
{
	int family = 0;
	socklen_t len = sizeof(family);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
	return family;
}

static int connect_to(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_port = htons((uint16_t)port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_return_code(
		connect(fd, (struct sockaddr *)(void *)&to, sizeof(to)), 0);
	return fd;
}

static void a_connection_has_two_ends(void **state)
{
	int listener;
	int fd;
	int far;
	const char *why;
	char local[SOCK_ADDR_TEXT];
	char peer[SOCK_ADDR_TEXT];
	char expected[SOCK_ADDR_TEXT];
	char ip[SOCK_IP_TEXT] = "none";
	int port = -1;

	(void)state;
	assert_int_equal(sock_listen_tcp("127.0.0.1", 0, 8, &listener, 1, &why),
			 1);
	assert_true((fcntl(listener, F_GETFL) & O_NONBLOCK) != 0);
	assert_true((fcntl(listener, F_GETFD) & FD_CLOEXEC) != 0);
	far = connect_to(sock_local_port(listener));
	fd = accept(listener, NULL, NULL);
	assert_return_code(fd, 0);
	sock_format_local(fd, local, sizeof(local));
	snprintf(expected, sizeof(expected), "tcp:127.0.0.1:%d",
		 sock_local_port(listener));
	assert_string_equal(local, expected);
	sock_format_peer(fd, peer, sizeof(peer));
	sock_format_local(far, local, sizeof(local));
	assert_string_equal(peer, local);
	sock_format_peer(listener, peer, sizeof(peer));
	assert_string_equal(peer, "<AF 0>");
	assert_false(sock_peer_ip(listener, ip, &port));
	assert_string_equal(ip, "none");
	assert_int_equal(port, -1);
	assert_true(sock_peer_ip(fd, ip, &port));
	assert_string_equal(ip, "127.0.0.1");
	assert_int_equal(port, sock_local_port(far));
	close(fd);
	close(far);
	close(listener);
}

static void assert_on(int fd, int level, int option)
{
	int on = 0;
	socklen_t len = sizeof(on);

	assert_return_code(getsockopt(fd, level, option, &on, &len), 0);
	assert_int_equal(on, 1);
}

/* In each family; nobody sets them on the accepted socket itself. */
static void the_accepted_inherit_their_options(void **state)
{
	const char *why = NULL;
	int fds[4];
	int n = sock_listen_tcp(NULL, 0, 8, fds, 4, &why);

	(void)state;
	assert_in_range(n, 1, 2);
	for (int i = 0; i < n; i++) {
		struct sockaddr_storage to;
		socklen_t len = sizeof(to);
		int far = socket(family_of(fds[i]), SOCK_STREAM, 0);
		int fd;

		getsockname(fds[i], (struct sockaddr *)(void *)&to, &len);
		assert_return_code(
			connect(far, (struct sockaddr *)(void *)&to, len), 0);
		fd = accept(fds[i], NULL, NULL);
		assert_return_code(fd, 0);
		assert_on(fd, IPPROTO_TCP, TCP_NODELAY);
		assert_on(fd, SOL_SOCKET, SO_KEEPALIVE);
		close(fd);
		close(far);
		close(fds[i]);
	}
}

/* All addresses: one socket for each family, on one port. */
static void all_addresses_share_a_free_port(void **state)
{
	static const char *const hosts[] = { NULL, "*" };

	(void)state;
	for (int h = 0; h < 2; h++) {
		const char *why = NULL;
		int fds[4];
		int n = sock_listen_tcp(hosts[h], 0, 8, fds, 4, &why);

		assert_in_range(n, 1, 2);
		assert_true(sock_local_port(fds[0]) > 0);
		for (int i = 1; i < n; i++) {
			assert_int_equal(sock_local_port(fds[i]),
					 sock_local_port(fds[0]));
			assert_int_not_equal(family_of(fds[i]),
					     family_of(fds[0]));
		}
		for (int i = 0; i < n; i++) {
			close(fds[i]);
		}
	}
}

static void no_more_than_there_is_room_for(void **state)
{
	const char *why = NULL;
	int fds[2] = { -1, -7 };

	(void)state;
	assert_int_equal(sock_listen_tcp(NULL, 0, 8, fds, 1, &why), 1);
	assert_int_equal(fds[1], -7);
	close(fds[0]);
}

static void a_taken_port_is_refused(void **state)
{
	const char *why = NULL;
	int first;
	int second;
	int port;

	(void)state;
	assert_int_equal(sock_listen_tcp("127.0.0.1", 0, 8, &first, 1, &why),
			 1);
	port = sock_local_port(first);
	errno = 0;
	assert_int_equal(
		sock_listen_tcp("127.0.0.1", port, 8, &second, 1, &why), 0);
	assert_int_equal(errno, EADDRINUSE);
	assert_non_null(why);
	/* Free again, connections of its past notwithstanding. */
	close(connect_to(port));
	close(accept(first, NULL, NULL));
	close(first);
	assert_int_equal(
		sock_listen_tcp("127.0.0.1", port, 8, &second, 1, &why), 1);
	assert_int_equal(sock_local_port(second), port);
	close(second);
}

static void what_is_no_address_is_refused(void **state)
{
	const char *why = NULL;
	int fd;

	(void)state;
	errno = 0;
	assert_int_equal(sock_listen_tcp("127.0.0.1.1.1", 0, 8, &fd, 1, &why),
			 0);
	assert_int_not_equal(errno, 0);
	assert_non_null(why);
	why = NULL;
	/* Not this machine's: for documentation (RFC 5737). */
	assert_int_equal(sock_listen_tcp("192.0.2.1", 0, 8, &fd, 1, &why), 0);
	assert_int_equal(errno, EADDRNOTAVAIL);
	assert_non_null(why);
}

/* ---- unix --------------------------------------------------------------- */

struct place {
	char folder[32];
	char path[64];
};

static void place_make(struct place *p)
{
	snprintf(p->folder, sizeof(p->folder), "/tmp/dozo-sock-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->path, sizeof(p->path), "%s/s", p->folder);
}

static void place_remove(struct place *p)
{
	unlink(p->path);
	assert_return_code(rmdir(p->folder), 0);
}

static int connect_unix(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)(void *)&to, sizeof(to)) == 0) {
		return fd;
	}
	close(fd);
	return -1;
}

static void a_socket_file_has_its_mode(void **state)
{
	static const unsigned masks[] = { 0700, 0777, 0660 };
	mode_t before = umask(027);

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct place p;
		struct stat st;
		char text[SOCK_ADDR_TEXT];
		char expected[SOCK_ADDR_TEXT];
		int fd;

		place_make(&p);
		fd = sock_listen_unix(p.path, masks[i], 8);
		assert_return_code(fd, errno);
		assert_return_code(stat(p.path, &st), errno);
		assert_int_equal(st.st_mode & 0777, masks[i]);
		assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
		sock_format_local(fd, text, sizeof(text));
		snprintf(expected, sizeof(expected), "unix:%s", p.path);
		assert_string_equal(text, expected);
		assert_int_equal(sock_local_port(fd), 0);
		close(fd);
		place_remove(&p);
	}
	/* And the umask is as it was. */
	assert_int_equal(umask(before), 027);
}

static void a_left_socket_file_is_replaced(void **state)
{
	struct place p;
	int first;
	int second;
	int far;

	(void)state;
	place_make(&p);
	first = sock_listen_unix(p.path, 0700, 8);
	assert_return_code(first, errno);
	errno = 0;
	assert_int_equal(sock_listen_unix(p.path, 0700, 8), -1);
	assert_int_equal(errno, EADDRINUSE);
	/* The first still has it. */
	far = connect_unix(p.path);
	assert_return_code(far, 0);
	close(far);
	close(first);
	second = sock_listen_unix(p.path, 0700, 8);
	assert_return_code(second, errno);
	far = connect_unix(p.path);
	assert_return_code(far, 0);
	close(far);
	close(second);
	place_remove(&p);
}

/* One with a full queue is alive. */
static void a_busy_socket_file_is_kept(void **state)
{
	struct place p;
	int fd;
	int far;

	(void)state;
	place_make(&p);
	fd = sock_listen_unix(p.path, 0700, 0);
	assert_return_code(fd, errno);
	far = connect_unix(p.path);
	assert_return_code(far, 0);
	assert_int_equal(sock_listen_unix(p.path, 0700, 8), -1);
	assert_int_equal(errno, EADDRINUSE);
	assert_int_equal(access(p.path, F_OK), 0);
	close(far);
	close(fd);
	place_remove(&p);
}

static void another_file_is_never_replaced(void **state)
{
	struct place p;
	int fd;

	(void)state;
	place_make(&p);
	fd = open(p.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_return_code(fd, errno);
	close(fd);
	assert_int_equal(sock_listen_unix(p.path, 0700, 8), -1);
	assert_int_equal(errno, EADDRINUSE);
	assert_int_equal(access(p.path, F_OK), 0);
	place_remove(&p);
}

static void paths_have_limits(void **state)
{
	char path[200];

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(sock_listen_unix(path, 0700, 8), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(sock_listen_unix("", 0700, 8), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(sock_listen_unix("/no/such/folder/s", 0700, 8), -1);
	assert_int_equal(errno, ENOENT);
}

/* ---- descriptors -------------------------------------------------------- */

/* In a child, whose limits are its own: 0 when all is as it should be. */
static int raise_in_child(void)
{
	struct rlimit limit = { .rlim_cur = 64, .rlim_max = 128 };
	uint64_t have = 0;

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
		return 1;
	}
	if (!sock_raise_descriptor_limit(10, &have) || have != 64) {
		return 2;
	}
	if (!sock_raise_descriptor_limit(100, &have) || have != 100) {
		return 3;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur != 100 || limit.rlim_max != 128) {
		return 4;
	}
	/* More than the kernel grants anybody. */
	if (sock_raise_descriptor_limit((uint64_t)1 << 40, &have) ||
	    errno != EPERM || have != 128) {
		return 5;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur == 128 ? 0 : 6;
}

static void the_descriptor_limit_is_raised(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	assert_return_code(child, 0);
	if (child == 0) {
		_exit(raise_in_child());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_split),
		cmocka_unit_test(internet_addresses_are_formatted),
		cmocka_unit_test(unix_addresses_are_formatted),
		cmocka_unit_test(a_connection_has_two_ends),
		cmocka_unit_test(the_accepted_inherit_their_options),
		cmocka_unit_test(all_addresses_share_a_free_port),
		cmocka_unit_test(no_more_than_there_is_room_for),
		cmocka_unit_test(a_taken_port_is_refused),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(a_socket_file_has_its_mode),
		cmocka_unit_test(a_left_socket_file_is_replaced),
		cmocka_unit_test(a_busy_socket_file_is_kept),
		cmocka_unit_test(another_file_is_never_replaced),
		cmocka_unit_test(paths_have_limits),
		cmocka_unit_test(the_descriptor_limit_is_raised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
