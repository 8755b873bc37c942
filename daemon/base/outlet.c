// SPDX-License-Identifier: MIT
#include "outlet.h"

#include "clock.h"
#include "proto/thread.h"

#define STACK_SIZE (128 * 1024)

static struct outlet_entry *outlet_entry(const struct outlet *outlet, unsigned int index)
{
	return (struct outlet_entry *)((char *)outlet->ring +
				       index % outlet->capacity * outlet->entry_size);
}

static void outlet_tell_gap(const struct outlet *outlet, unsigned int lost)
{
	if (lost > 0 && outlet->gap) {
		outlet->gap(lost);
	}
}

/* Write the oldest entry, without the mutex: nobody else touches that entry before it is taken off. */
static void outlet_write_entry(struct outlet *outlet)
{
	const struct outlet_entry *entry = outlet_entry(outlet, outlet->head);
	pthread_mutex_unlock(&outlet->mutex);
	outlet_tell_gap(outlet, entry->lost);
	outlet->write(entry);
	pthread_mutex_lock(&outlet->mutex);
	outlet->head++;
	outlet->count--;
}

/* No entry follows the gap yet. */
static void outlet_write_gap(struct outlet *outlet)
{
	unsigned int lost = outlet->lost;
	outlet->lost = 0;
	pthread_mutex_unlock(&outlet->mutex);
	outlet_tell_gap(outlet, lost);
	pthread_mutex_lock(&outlet->mutex);
}

static void outlet_write_all(struct outlet *outlet)
{
	while (outlet->count > 0 || outlet->lost > 0) {
		if (outlet->count > 0) {
			outlet_write_entry(outlet);
		} else {
			outlet_write_gap(outlet);
		}
	}
}

static void *outlet_run(void *arg)
{
	struct outlet *outlet = arg;
	pthread_setname_np(pthread_self(), outlet->thread_name);
	pthread_mutex_lock(&outlet->mutex);
	for (;;) {
		outlet_write_all(outlet);
		if (outlet->ending) {
			break;
		}
		pthread_cond_wait(&outlet->filled, &outlet->mutex);
	}
	outlet->ended = true;
	pthread_cond_signal(&outlet->over);
	pthread_mutex_unlock(&outlet->mutex);
	return NULL;
}

static bool outlet_start(struct outlet *outlet)
{
	return thread_start(&outlet->thread, STACK_SIZE, 0, outlet_run, outlet) == 0;
}

/* A thread that ended never takes the mutex again. */
static void outlet_reap(struct outlet *outlet)
{
	if (outlet->ended) {
		pthread_join(outlet->thread, NULL);
		outlet->started = outlet->ending = outlet->ended = false;
	}
}

void *outlet_begin(struct outlet *outlet)
{
	struct outlet_entry *entry = NULL;
	pthread_mutex_lock(&outlet->mutex);
	if (outlet->count < outlet->capacity) {
		entry = outlet_entry(outlet, outlet->head + outlet->count);
	} else {
		outlet->lost++;
		outlet->dropped++;
	}
	pthread_mutex_unlock(&outlet->mutex);
	return entry;
}

void outlet_commit(struct outlet *outlet)
{
	pthread_mutex_lock(&outlet->mutex);
	outlet_entry(outlet, outlet->head + outlet->count)->lost = outlet->lost;
	outlet->lost = 0;
	outlet->count++;
	outlet_reap(outlet); /* it was told to end, and did so late */
	if (!outlet->started) {
		outlet->started = outlet_start(outlet); /* if not, the next entry tries again */
	}
	pthread_cond_signal(&outlet->filled);
	pthread_mutex_unlock(&outlet->mutex);
}

uint64_t outlet_dropped(struct outlet *outlet)
{
	pthread_mutex_lock(&outlet->mutex);
	uint64_t dropped = outlet->dropped;
	pthread_mutex_unlock(&outlet->mutex);
	return dropped;
}

void outlet_finish(struct outlet *outlet, uint64_t patience_ns)
{
	uint64_t until = clock_now_ns() + patience_ns;
	const struct timespec deadline = { .tv_sec = (time_t)(until / NS_PER_S),
					   .tv_nsec = (long)(until % NS_PER_S) };
	int r = 0;
	pthread_mutex_lock(&outlet->mutex);
	outlet->ending = true;
	pthread_cond_signal(&outlet->filled);
	while (r == 0 && outlet->started && !outlet->ended) {
		r = pthread_cond_clockwait(&outlet->over, &outlet->mutex, CLOCK_MONOTONIC,
					   &deadline);
	}
	if (!outlet->started) {
		outlet_write_all(outlet); /* no thread was to be had */
	}
	outlet_reap(outlet);
	pthread_mutex_unlock(&outlet->mutex);
}
