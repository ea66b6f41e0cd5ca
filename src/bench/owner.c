/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who listens there?  /proc/net/tcp, tcp6 and unix name the inode of each
 * listening socket, and the links in /proc/PID/fd say which process holds it.
 * Other users' descriptors can only be seen by root.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/num.h"
#include "bench/target.h"

enum { LISTENING = 0x0a, ACCEPTS = 1 << 16 };

/* An IPv4 or IPv6 address as one of IPv6; all zero for the other "any". */
static struct in6_addr as_v6(const struct sockaddr_storage *addr)
{
	const struct sockaddr_in *in = (const void *)addr;
	const struct sockaddr_in6 *in6 = (const void *)addr;
	struct in6_addr v6 = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	if (addr->ss_family == AF_INET6) {
		return in6->sin6_addr;
	}
	memcpy(&v6.s6_addr[12], &in->sin_addr, 4);
	return v6;
}

static bool is_loopback(const struct sockaddr_storage *addr)
{
	struct in6_addr v6 = as_v6(addr);

	return IN6_IS_ADDR_LOOPBACK(&v6) ||
	       (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

/* Hexadecimal words of 32 bits, each in the machine's byte order. */
static bool parse_address(const char *hex, struct in6_addr *v6)
{
	size_t words = strlen(hex) / 8;
	uint32_t word[4];

	if (words != 1 && words != 4) {
		return false;
	}
	for (size_t i = 0; i < words; i++) {
		char digits[9];

		memcpy(digits, hex + i * 8, 8);
		digits[8] = '\0';
		word[i] = (uint32_t)strtoul(digits, NULL, 16);
	}
	if (words == 1) {
		*v6 = (struct in6_addr){ .s6_addr = {
						 [10] = 0xff, [11] = 0xff } };
		memcpy(&v6->s6_addr[12], word, 4);
	} else {
		memcpy(v6, word, sizeof(*v6));
	}
	return true;
}

/* Would a connection to `to` come to one that listens on `at`? */
static bool reaches(const struct in6_addr *at, const struct in6_addr *to)
{
	static const struct in6_addr any4 = {
		.s6_addr = { [10] = 0xff, [11] = 0xff }
	};

	return memcmp(at, to, sizeof(*at)) == 0 ||
	       IN6_IS_ADDR_UNSPECIFIED(at) ||
	       (memcmp(at, &any4, sizeof(*at)) == 0 &&
		IN6_IS_ADDR_V4MAPPED(to));
}

static uint64_t find_tcp_inode(FILE *file, const struct sockaddr_storage *to)
{
	const struct sockaddr_in *in = (const void *)to;
	struct in6_addr wanted = as_v6(to);
	char line[512];

	while (fgets(line, sizeof(line), file) != NULL) {
		char hex[40];
		unsigned port;
		unsigned state;
		unsigned long long inode;
		struct in6_addr at;

		if (sscanf(line,
			   " %*u: %39[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s "
			   "%*s %*u %*u %llu",
			   hex, &port, &state, &inode) == 4 &&
		    state == LISTENING && port == ntohs(in->sin_port) &&
		    parse_address(hex, &at) && reaches(&at, &wanted)) {
			return inode;
		}
	}
	return 0;
}

static uint64_t find_unix_inode(FILE *file, const char *path)
{
	char line[512];

	while (fgets(line, sizeof(line), file) != NULL) {
		unsigned flags;
		unsigned long long inode;
		int at = 0;

		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%*x: %*x %*x %x %*x %*x %llu %n", &flags,
			   &inode, &at) == 2 &&
		    at > 0 && (flags & ACCEPTS) != 0 &&
		    strcmp(line + at, path) == 0) {
			return inode;
		}
	}
	return 0;
}

static uint64_t find_in(const char *name, const struct sockaddr_storage *to)
{
	const struct sockaddr_un *un = (const void *)to;
	FILE *file = fopen(name, "re");
	uint64_t inode = 0;

	if (file != NULL) {
		inode = to->ss_family == AF_UNIX ?
				find_unix_inode(file, un->sun_path) :
				find_tcp_inode(file, to);
		fclose(file);
	}
	return inode;
}

static uint64_t listening_inode(const struct sockaddr_storage *to)
{
	uint64_t inode = 0;

	if (to->ss_family == AF_UNIX) {
		return find_in("/proc/net/unix", to);
	}
	if (!is_loopback(to)) {
		return 0;
	}
	if (to->ss_family == AF_INET) {
		inode = find_in("/proc/net/tcp", to);
	}
	return inode != 0 ? inode : find_in("/proc/net/tcp6", to);
}

/* Does the process hold that socket? */
static bool holds(const char *pid, const char *wanted)
{
	char path[300];
	char link[64];
	struct dirent *entry;
	bool found = false;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	fds = opendir(path);
	if (fds == NULL) {
		return false;
	}
	while (!found && (entry = readdir(fds)) != NULL) {
		ssize_t n = readlinkat(dirfd(fds), entry->d_name, link,
				       sizeof(link) - 1);

		link[n > 0 ? n : 0] = '\0';
		found = strcmp(link, wanted) == 0;
	}
	closedir(fds);
	return found;
}

void target_find_pid(struct target *t)
{
	uint64_t inode = listening_inode(&t->addr);
	char wanted[64];
	struct dirent *entry;
	uint32_t pid;
	DIR *proc;

	if (inode == 0) {
		return;
	}
	snprintf(wanted, sizeof(wanted), "socket:[%llu]",
		 (unsigned long long)inode);
	proc = opendir("/proc");
	if (proc == NULL) {
		return;
	}
	while (t->pid == 0 && (entry = readdir(proc)) != NULL) {
		const char *name = entry->d_name;

		if (num_parse_u32(name, strlen(name), &pid) &&
		    holds(name, wanted)) {
			t->pid = (pid_t)pid;
		}
	}
	closedir(proc);
}
