// SPDX-License-Identifier: MIT
#include "history.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define INSTANCES_MAX (1U << 24)

/* ------------------------------------------------------------------------------------- reading -- */

static int instance_map(struct history *history, int fd, const char *name)
{
	struct stat stat;
	if (fstat(fd, &stat) < 0) {
		return -errno;
	}
	size_t size = (size_t)stat.st_size;
	if (size < sizeof(struct record_header)) {
		return 0; /* its writer was killed before it wrote anything */
	}
	struct record_header *header = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (header == MAP_FAILED) {
		return -errno;
	}
	uint64_t room = (size - sizeof(*header)) / sizeof(struct record);
	/* relaxed: its writer is gone */
	uint64_t count = atomic_load_explicit(&header->count, memory_order_relaxed);
	if (header->magic == 0) {
		munmap(header, size);
		return 0;
	}
	if (header->magic != RECORD_MAGIC || header->instance >= history->count) {
		fprintf(stderr, "%s is no log\n", name);
		munmap(header, size);
		return -EBADMSG;
	}
	struct history_instance *instance = &history->instances[header->instance];
	instance->header = header;
	instance->records = (const struct record *)(header + 1);
	instance->count = count < room ? count : room;
	instance->size = size;
	return 0;
}

static int history_map(struct history *history, DIR *directory)
{
	const struct dirent *entry;
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.') {
			continue;
		}
		int fd = openat(dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC);
		int r = fd < 0 ? -errno : instance_map(history, fd, entry->d_name);
		if (fd >= 0) {
			close(fd);
		}
		if (r < 0) {
			return r;
		}
	}
	return history->instances[0].header ? 0 : -ENOENT;
}

/* One more than the largest number of a log. */
static uint32_t directory_count(DIR *directory)
{
	const struct dirent *entry;
	uint32_t count = 1;
	while ((entry = readdir(directory))) {
		unsigned long number = strtoul(entry->d_name, NULL, 10);
		if (number < INSTANCES_MAX && number >= count) {
			count = (uint32_t)number + 1;
		}
	}
	rewinddir(directory);
	return count;
}

/* ------------------------------------------------------------------------------------ indexing -- */

void *grow(void *array, size_t needed, size_t *capacity, size_t size)
{
	size_t room = *capacity ? *capacity : 64;
	while (room < needed) {
		room *= 2;
	}
	if (room == *capacity) {
		return array;
	}
	void *grown = reallocarray(array, room, size);
	if (grown) {
		memset((char *)grown + *capacity * size, 0, (room - *capacity) * size);
		*capacity = room;
	}
	return grown;
}

static struct history_line *line_at(const struct history *history, uint32_t id)
{
	struct history_line **place = &history->instances[id >> 8].lines[id & 0xff];
	if (!*place) {
		*place = calloc(1, sizeof(**place));
		if (*place) {
			(*place)->closed_begin = (*place)->closed_end = NEVER;
			(*place)->failed = NEVER;
		}
	}
	return *place;
}

uint64_t record_done(const struct record *record)
{
	/* relaxed: its writer is gone */
	uint64_t end = atomic_load_explicit(&record->end, memory_order_relaxed);
	return end ? end : NEVER;
}

static int line_add(struct history_line *line, const struct record *record)
{
	struct history_signal *signals =
		grow(line->signals, line->count + 1, &line->capacity, sizeof(*signals));
	if (!signals) {
		return -ENOMEM;
	}
	line->signals = signals;
	uint64_t end = record_done(record);
	/* -EALREADY: another thread was faster; the point is reached all the same */
	bool done = record->result == 0 || record->result == -EALREADY;
	line->signals[line->count++] = (struct history_signal){
		.value = record->value,
		.begin = record->begin,
		.end = done ? end : NEVER,
	};
	return 0;
}

static int spans_add(struct history_spans *spans, const struct record *record)
{
	struct history_span *grown =
		grow(spans->spans, spans->count + 1, &spans->capacity, sizeof(*grown));
	if (!grown) {
		return -ENOMEM;
	}
	spans->spans = grown;
	spans->spans[spans->count++] = (struct history_span){ record->begin, record_done(record) };
	return 0;
}

static int span_compare(const void *a, const void *b)
{
	const struct history_span *left = a, *right = b;
	return (left->begin > right->begin) - (left->begin < right->begin);
}

/* Sorts the spans, and joins those that overlap. */
static void spans_merge(struct history_spans *spans)
{
	size_t count = 0;
	if (spans->count > 0) {
		qsort(spans->spans, spans->count, sizeof(spans->spans[0]), span_compare);
	}
	for (size_t i = 0; i < spans->count; i++) {
		struct history_span *last = &spans->spans[count - (count > 0)];
		const struct history_span *next = &spans->spans[i];
		if (count == 0 || next->begin > last->end) {
			spans->spans[count++] = *next;
		} else if (next->end > last->end) {
			last->end = next->end;
		}
	}
	spans->count = count;
}

static int index_driver(struct history *history, const struct record *record)
{
	/* relaxed: its writer is gone */
	uint8_t kind = atomic_load_explicit(&record->kind, memory_order_relaxed);
	if (kind == RECORD_LAG) {
		return spans_add(&history->lags, record);
	}
	if (kind == RECORD_NONE || record->timeline >= history->count) {
		return 0; /* about a process that never wrote anything */
	}
	struct history_instance *instance = &history->instances[record->timeline];
	if (kind == RECORD_STOP) {
		return spans_add(&instance->stops, record);
	}
	if (kind == RECORD_KILL) {
		instance->killed = (struct history_span){ record->begin, record_done(record) };
	} else if (kind == RECORD_CRASH) {
		instance->crashed = true;
		instance->status = record->result;
	}
	return 0;
}

static int index_client(const struct history *history, struct history_instance *instance,
			const struct record *record)
{
	uint8_t kind = atomic_load_explicit(&record->kind, memory_order_relaxed);
	if (kind == RECORD_LEAVE) {
		instance->left = (struct history_span){ record->begin, record_done(record) };
	}
	if (kind != RECORD_SIGNAL && kind != RECORD_CREATE && kind != RECORD_CLOSE) {
		return 0;
	}
	if (record->timeline >> 8 != instance->header->instance) {
		return -EBADMSG;
	}
	struct history_line *line = line_at(history, record->timeline);
	if (!line) {
		return -ENOMEM;
	}
	if (kind == RECORD_CREATE) {
		line->created = record->begin;
	} else if (kind == RECORD_CLOSE) {
		line->closed_begin = record->begin;
		line->closed_end = record_done(record);
	} else {
		return line_add(line, record);
	}
	return 0;
}

static int signal_compare(const void *a, const void *b)
{
	const struct history_signal *left = a, *right = b;
	return (left->value > right->value) - (left->value < right->value);
}

/* A point is reached by any signal of at least its value: the earliest counts. */
static void line_sort(struct history_line *line)
{
	if (line->count > 0) {
		qsort(line->signals, line->count, sizeof(*line->signals), signal_compare);
	}
	for (size_t i = line->count; i-- > 1;) {
		struct history_signal *below = &line->signals[i - 1];
		const struct history_signal *above = &line->signals[i];
		below->begin = above->begin < below->begin ? above->begin : below->begin;
		below->end = above->end < below->end ? above->end : below->end;
	}
}

static int history_index(struct history *history)
{
	for (uint32_t i = 0; i < history->count; i++) {
		struct history_instance *instance = &history->instances[i];
		for (size_t n = 0; n < instance->count; n++) {
			const struct record *record = &instance->records[n];
			int r = i == 0 ? index_driver(history, record)
				       : index_client(history, instance, record);
			if (r < 0) {
				return r;
			}
		}
	}
	spans_merge(&history->lags);
	for (uint32_t i = 0; i < history->count; i++) {
		for (unsigned int n = 0; n < 256; n++) {
			if (history->instances[i].lines[n]) {
				line_sort(history->instances[i].lines[n]);
			}
		}
	}
	return 0;
}

int history_load(struct history *history, const char *path)
{
	DIR *directory = opendir(path);
	if (!directory) {
		return -errno;
	}
	history->count = directory_count(directory);
	history->instances = calloc(history->count, sizeof(*history->instances));
	int r = history->instances ? 0 : -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < history->count; i++) {
		history->instances[i].killed = (struct history_span){ NEVER, NEVER };
		history->instances[i].left = (struct history_span){ NEVER, NEVER };
	}
	if (r == 0) {
		r = history_map(history, directory);
	}
	closedir(directory);
	if (r == 0) {
		r = history_index(history);
	}
	if (r < 0) {
		history_free(history);
	}
	return r;
}

void history_free(struct history *history)
{
	for (uint32_t i = 0; history->instances && i < history->count; i++) {
		struct history_instance *instance = &history->instances[i];
		for (unsigned int n = 0; n < 256; n++) {
			if (instance->lines[n]) {
				free(instance->lines[n]->signals);
				free(instance->lines[n]);
			}
		}
		free(instance->stops.spans);
		if (instance->header) {
			munmap(instance->header, instance->size);
		}
	}
	free(history->lags.spans);
	free(history->instances);
	*history = (struct history){ 0 };
}

/* -------------------------------------------------------------------------------------- asking -- */

struct history_line *history_line(const struct history *history, uint32_t id)
{
	return id >> 8 < history->count ? history->instances[id >> 8].lines[id & 0xff] : NULL;
}

static const struct history_signal *line_find(const struct history_line *line, uint64_t point)
{
	size_t low = 0;
	size_t high = line->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (line->signals[middle].value < point) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low < line->count ? &line->signals[low] : NULL;
}

uint64_t line_begun(const struct history_line *line, uint64_t point)
{
	const struct history_signal *signal = line_find(line, point);
	return signal ? signal->begin : NEVER;
}

uint64_t line_done(const struct history_line *line, uint64_t point)
{
	const struct history_signal *signal = line_find(line, point);
	return signal ? signal->end : NEVER;
}

uint64_t history_failed_by(const struct history *history, uint32_t id)
{
	const struct history_instance *owner = &history->instances[id >> 8];
	const struct history_line *line = history_line(history, id);
	uint64_t gone = earlier(owner->killed.end, owner->left.end);
	return line ? earlier(gone, line->closed_end) : gone;
}

bool history_may_fail(const struct history *history, uint32_t id, int error, uint64_t when)
{
	const struct history_instance *owner = &history->instances[id >> 8];
	const struct history_line *line = history_line(history, id);
	if (error == -EOWNERDEAD) {
		return owner->crashed || owner->killed.begin <= when;
	}
	return error == -EPIPE &&
	       (owner->left.begin <= when || (line && line->closed_begin <= when));
}

static uint64_t spans_within(const struct history_spans *spans, uint64_t from, uint64_t to)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < spans->count && spans->spans[i].begin < to; i++) {
		const struct history_span *span = &spans->spans[i];
		uint64_t begin = span->begin > from ? span->begin : from;
		uint64_t end = earlier(span->end, to);
		sum += end > begin ? end - begin : 0;
	}
	return sum;
}

uint64_t history_ran(const struct history *history, const struct history_instance *instance,
		     uint64_t from, uint64_t to)
{
	if (to <= from) {
		return 0;
	}
	/* time that is in both is subtracted twice: a judge that is too lenient makes no false
	 * findings */
	uint64_t lost =
		spans_within(&instance->stops, from, to) + spans_within(&history->lags, from, to);
	return lost < to - from ? to - from - lost : 0;
}
