// SPDX-License-Identifier: MIT
/*
 * Requests. The cheapest that has a reply is the signal of a brokered timeline. The public calls
 * wait for their reply, so that 32 under way take 32 threads of one context.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "ours.h"
#include "raw.h"

static int request_open(const struct row *row, void **ret_state)
{
	struct ours *ours;
	int r = ours_open(row, NULL, NULL, 0, &ours);
	if (r < 0) {
		return r;
	}
	if (fbk_timeline_create(ours->party.device, NULL, "bench", FBK_TIMELINE_BROKERED,
				&ours->party.mine) < 0) {
		r = ours_fail("making a timeline");
		ours_close(ours);
		return r;
	}
	*ret_state = ours;
	return 0;
}

static int request_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		uint64_t start = host_now();
		r = party_signal(&ours->party, ++ours->meeting->value);
		uint64_t end = host_now();
		if (r == 0) {
			r = samples_add(samples, (double)(end - start));
		}
	}
	return r;
}

const struct side ours_request = { "signal of a brokered timeline", request_open, request_round,
				   ours_close };

/* ------------------------------------------------------------------------------ 32 at a time -- */

struct pipeline {
	struct ours *ours;
	pthread_t threads[PIPELINE_DEPTH];
	pthread_barrier_t begin;
	pthread_barrier_t end;
	_Atomic int64_t left; /* requests of this sample */
	_Atomic bool over;
	_Atomic int error;
	struct fbk_timeline *timelines[PIPELINE_DEPTH];
	uint64_t values[PIPELINE_DEPTH];
};

struct worker {
	struct pipeline *pipeline;
	unsigned int number;
};

static void *worker_run(void *arg)
{
	struct worker *worker = arg;
	struct pipeline *pipeline = worker->pipeline;
	struct fbk_timeline *timeline = pipeline->timelines[worker->number];
	uint64_t *value = &pipeline->values[worker->number];
	for (;;) {
		pthread_barrier_wait(&pipeline->begin);
		/* relaxed, all of these: the barriers order them */
		if (atomic_load_explicit(&pipeline->over, memory_order_relaxed)) {
			break;
		}
		while (atomic_fetch_sub_explicit(&pipeline->left, 1, memory_order_relaxed) > 0) {
			if (fbk_timeline_signal(timeline, ++*value) < 0) {
				atomic_store_explicit(&pipeline->error, 1, memory_order_relaxed);
			}
		}
		pthread_barrier_wait(&pipeline->end);
	}
	free(worker);
	return NULL;
}

static int pipeline_thread(struct pipeline *pipeline, unsigned int number)
{
	struct worker *worker = malloc(sizeof(*worker));
	if (!worker) {
		return bench_fail("no memory");
	}
	*worker = (struct worker){ pipeline, number };
	if (fbk_timeline_create(pipeline->ours->party.device, NULL, "bench", FBK_TIMELINE_BROKERED,
				&pipeline->timelines[number]) < 0) {
		free(worker);
		return ours_fail("making a timeline");
	}
	if (pthread_create(&pipeline->threads[number], NULL, worker_run, worker) != 0) {
		free(worker);
		return bench_fail("no thread");
	}
	return 0;
}

static void pipeline_close(void *state)
{
	struct pipeline *pipeline = state;
	/* relaxed: the barrier orders it */
	atomic_store_explicit(&pipeline->over, true, memory_order_relaxed);
	pthread_barrier_wait(&pipeline->begin);
	for (unsigned int i = 0; i < PIPELINE_DEPTH; i++) {
		pthread_join(pipeline->threads[i], NULL);
	}
	pthread_barrier_destroy(&pipeline->begin);
	pthread_barrier_destroy(&pipeline->end);
	ours_close(pipeline->ours);
	free(pipeline);
}

static int pipeline_open(const struct row *row, void **ret_state)
{
	struct pipeline *pipeline = calloc(1, sizeof(*pipeline));
	if (!pipeline) {
		return bench_fail("no memory");
	}
	int r = ours_open(row, NULL, NULL, 0, &pipeline->ours);
	if (r < 0) {
		free(pipeline);
		return r;
	}
	pthread_barrier_init(&pipeline->begin, NULL, PIPELINE_DEPTH + 1);
	pthread_barrier_init(&pipeline->end, NULL, PIPELINE_DEPTH + 1);
	for (unsigned int i = 0; r == 0 && i < PIPELINE_DEPTH; i++) {
		r = pipeline_thread(pipeline, i);
	}
	if (r < 0) {
		/* Those that did start sit in the barrier, which nothing ends but the process; what
		 * they use stays. */
		return r;
	}
	*ret_state = pipeline;
	return 0;
}

static int pipeline_round(void *state, unsigned int count, struct samples *samples)
{
	struct pipeline *pipeline = state;
	unsigned int batch = pipeline->ours->row->batch;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		/* relaxed: as above */
		atomic_store_explicit(&pipeline->left, batch, memory_order_relaxed);
		uint64_t start = host_now();
		pthread_barrier_wait(&pipeline->begin);
		pthread_barrier_wait(&pipeline->end);
		double seconds = (double)(host_now() - start) / 1e9;
		if (atomic_load_explicit(&pipeline->error, memory_order_relaxed)) {
			return bench_fail("a request was refused");
		}
		r = samples_add(samples, batch / seconds);
	}
	return r;
}

const struct side ours_pipeline = { "32 threads of one context", pipeline_open, pipeline_round,
				    pipeline_close };
