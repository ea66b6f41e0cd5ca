/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading of /proc for the chaos programs; see the header. A thread or a
 * process may end between two reads: what cannot be read counts as nothing,
 * and victim_alive is asked on its own.
 */

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "victim.h"

#define POLL_STEP_MS 20

uint64_t victim_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

/* The number behind `label` at the start of a line of the file, or -1. */
static long file_labelled(const char *path, const char *label)
{
	char line[256];
	long number = -1;
	FILE *file = fopen(path, "r");

	if (file == NULL) {
		return -1;
	}
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, label, strlen(label)) == 0) {
			number = strtol(line + strlen(label), NULL, 10);
			break;
		}
	}
	fclose(file);
	return number;
}

bool victim_alive(const struct victim *victim)
{
	char path[64];
	char line[512];
	const char *state;
	FILE *file;
	bool read_it;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)victim->pid);
	file = fopen(path, "r");
	if (file == NULL) {
		return false;
	}
	read_it = fgets(line, sizeof(line), file) != NULL;
	fclose(file);
	state = read_it ? strrchr(line, ')') : NULL;
	return state != NULL && strchr("RSD", state[2]) != NULL;
}

long victim_fds(const struct victim *victim)
{
	char path[64];
	struct dirent *entry;
	long count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)victim->pid);
	dir = opendir(path);
	if (dir == NULL) {
		return -1;
	}
	while ((entry = readdir(dir)) != NULL) {
		count += isdigit((unsigned char)entry->d_name[0]) != 0;
	}
	closedir(dir);
	return count;
}

long victim_rss_kib(const struct victim *victim)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)victim->pid);
	return file_labelled(path, "VmRSS:");
}

/* Adds up one file of every thread: the number behind label. */
static uint64_t victim_threads_sum(const struct victim *victim,
				   const char *name, const char *label)
{
	char path[320];
	struct dirent *entry;
	uint64_t sum = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)victim->pid);
	dir = opendir(path);
	if (dir == NULL) {
		return 0;
	}
	while ((entry = readdir(dir)) != NULL) {
		long number;

		if (!isdigit((unsigned char)entry->d_name[0])) {
			continue;
		}
		snprintf(path, sizeof(path), "/proc/%d/task/%s/%s",
			 (int)victim->pid, entry->d_name, name);
		number = file_labelled(path, label);
		sum += number > 0 ? (uint64_t)number : 0;
	}
	closedir(dir);
	return sum;
}

uint64_t victim_cpu_us(const struct victim *victim)
{
	return victim_threads_sum(victim, "schedstat", "") / 1000u;
}

uint64_t victim_wakeups(const struct victim *victim)
{
	return victim_threads_sum(victim, "status", "voluntary_ctxt_switches:");
}

static void waits_add(struct victim_waits *waits, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && waits->count < VICTIM_THREADS_MAX) {
		waits->threads[waits->count++] = fd;
	}
}

void victim_waits_init(struct victim_waits *waits, pid_t pid)
{
	char path[320];
	struct dirent *entry;
	DIR *dir;

	memset(waits, 0, sizeof(*waits));
	waits_add(waits, "/proc/thread-self/schedstat");
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.') {
			snprintf(path, sizeof(path),
				 "/proc/%d/task/%s/schedstat", (int)pid,
				 entry->d_name);
			waits_add(waits, path);
		}
	}
	if (dir != NULL) {
		closedir(dir);
	}
	waits->machine = open("/proc/stat", O_RDONLY | O_CLOEXEC);
	waits->tick_us = 1000000u / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* The number at that place of the first line, from 0. */
static uint64_t file_number(int fd, unsigned int place)
{
	char line[256];
	char *save;
	const char *word;
	ssize_t size = pread(fd, line, sizeof(line) - 1, 0);

	if (size <= 0) {
		return 0;
	}
	line[size] = '\0';
	word = strtok_r(line, " ", &save);
	while (word != NULL && place-- > 0) {
		word = strtok_r(NULL, " ", &save);
	}
	return word == NULL ? 0 : strtoull(word, NULL, 10);
}

uint64_t victim_waits_us(const struct victim_waits *waits)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < waits->count; i++) {
		ns += file_number(waits->threads[i], 1);
	}
	return ns / 1000u + file_number(waits->machine, 8) * waits->tick_us;
}

void victim_waits_release(struct victim_waits *waits)
{
	while (waits->count > 0) {
		close(waits->threads[--waits->count]);
	}
	close(waits->machine);
}

static long table_sockets(const char *path, unsigned int port, int state)
{
	char line[512];
	long count = 0;
	FILE *file = fopen(path, "r");

	if (file == NULL) {
		return 0;
	}
	while (fgets(line, sizeof(line), file) != NULL) {
		unsigned int local_port;
		unsigned int found;

		if (sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x",
			   &local_port, &found) == 2) {
			count += local_port == port && (int)found == state;
		}
	}
	fclose(file);
	return count;
}

long victim_sockets(const struct victim *victim, int state)
{
	return table_sockets("/proc/net/tcp", victim->port, state) +
	       table_sockets("/proc/net/tcp6", victim->port, state);
}

bool victim_wait_fds(const struct victim *victim, long wanted,
		     unsigned int timeout_ms)
{
	uint64_t end = victim_now_us() + timeout_ms * UINT64_C(1000);
	long fds = victim_fds(victim);

	/* Fewer is fine: a harness may have closed its own connection. */
	while (fds < 0 || fds > wanted) {
		if (victim_now_us() > end) {
			return false;
		}
		poll(NULL, 0, POLL_STEP_MS);
		fds = victim_fds(victim);
	}
	return true;
}

bool victim_wait_sockets(const struct victim *victim, int state,
			 unsigned int timeout_ms)
{
	uint64_t end = victim_now_us() + timeout_ms * UINT64_C(1000);

	while (victim_sockets(victim, state) != 0) {
		if (victim_now_us() > end) {
			return false;
		}
		poll(NULL, 0, POLL_STEP_MS);
	}
	return true;
}
