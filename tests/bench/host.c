// SPDX-License-Identifier: MIT
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define CACHE_DIRECTORY "/sys/devices/system/cpu/cpu0/cache"
#define LINE            64
#define STREAM_MAX      ((size_t)1 << 30)
#define LLC_GUESS       ((size_t)32 << 20)

static cpu_set_t allowed;
static unsigned int places[PLACE_RELAY + 1];
static unsigned int cpu_count;

void host_init(void)
{
	CPU_ZERO(&allowed);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (unsigned int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed)) {
			continue;
		}
		for (unsigned int place = cpu_count; place <= PLACE_RELAY; place++) {
			places[place] = cpu; /* later places share the last CPU */
		}
		cpu_count++;
	}
}

unsigned int host_cpus(void)
{
	return cpu_count;
}

void host_pin(enum place place)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(places[place], &set);
	sched_setaffinity(0, sizeof(set), &set); /* a CPU of the initial mask: does not fail */
}

void host_unpin(void)
{
	sched_setaffinity(0, sizeof(allowed), &allowed);
}

uint64_t host_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void host_think(uint64_t ns)
{
	uint64_t end = host_now() + ns;
	while (host_now() < end) {
	}
}

long host_sleeps(void)
{
	struct rusage usage;
	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

void *host_share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		return NULL;
	}
	memset(memory, 0, size); /* no page faults while measuring */
	return memory;
}

void host_unshare(void *memory, size_t size)
{
	if (memory) {
		munmap(memory, size);
	}
}

/* ----------------------------------------------------------------------------------- caches -- */

static bool file_text(const char *path, char *ret_text, size_t size)
{
	FILE *file = fopen(path, "re");
	bool done = file && fgets(ret_text, (int)size, file);
	if (file) {
		fclose(file);
	}
	return done;
}

static size_t cache_size(const char *name)
{
	char path[128];
	char text[32];
	unsigned long kib;
	snprintf(path, sizeof(path), CACHE_DIRECTORY "/%.20s/size", name);
	if (!file_text(path, text, sizeof(text)) || sscanf(text, "%luK", &kib) != 1) {
		return 0;
	}
	return kib * 1024;
}

size_t host_llc_bytes(void)
{
	size_t largest = 0;
	DIR *directory = opendir(CACHE_DIRECTORY);
	if (directory) {
		const struct dirent *entry;
		while ((entry = readdir(directory))) {
			size_t size = strncmp(entry->d_name, "index", 5) == 0
					      ? cache_size(entry->d_name)
					      : 0;
			largest = size > largest ? size : largest;
		}
		closedir(directory);
	}
	long told = sysconf(_SC_LEVEL3_CACHE_SIZE);
	if (told > 0 && (size_t)told > largest) {
		largest = (size_t)told;
	}
	return largest;
}

size_t host_stream_bytes(void)
{
	size_t llc = host_llc_bytes();
	size_t size = 2 * (llc ? llc : LLC_GUESS);
	size_t available = (size_t)sysconf(_SC_AVPHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE) / 2;
	size = size > STREAM_MAX ? STREAM_MAX : size;
	return size > available ? available : size;
}

int host_stream(void)
{
	static volatile uint64_t *buffer;
	static size_t size;
	if (!buffer) {
		size = host_stream_bytes();
		void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (memory == MAP_FAILED) {
			return -ENOMEM;
		}
		buffer = memory;
	}
	for (size_t i = 0; i < size / sizeof(*buffer); i += LINE / sizeof(*buffer)) {
		buffer[i] += 1;
	}
	return 0;
}

/* ------------------------------------------------------------------------------------ /proc -- */

const char *host_cpu_name(void)
{
	static char name[128] = "unknown";
	char line[256];
	FILE *file = fopen("/proc/cpuinfo", "re");
	while (file && fgets(line, sizeof(line), file)) {
		const char *colon = strchr(line, ':');
		if (strncmp(line, "model name", 10) == 0 && colon) {
			snprintf(name, sizeof(name), "%.*s", (int)strcspn(colon + 2, "\n"),
				 colon + 2);
			break;
		}
	}
	if (file) {
		fclose(file);
	}
	return name;
}

long host_proc_number(pid_t pid, const char *name, const char *key)
{
	char path[64];
	char line[256];
	long number = -1;
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	FILE *file = fopen(path, "re");
	while (file && number < 0 && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, strlen(key)) == 0) {
			sscanf(line + strlen(key), "%ld", &number);
		}
	}
	if (file) {
		fclose(file);
	}
	return number;
}
