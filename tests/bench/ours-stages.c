// SPDX-License-Identifier: MIT
/*
 * A pipeline of two devices, each driven by a process: every frame passes both. There are three buffers, and each
 * device has a queue of two jobs. A device takes a fixed time per job and starts the next by itself. On our side
 * the devices wait for each other's points, and the processes only submit jobs. On the other side each process
 * waits for its device before it hands over or gives back.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include "host.h"
#include "ours-exchange.h"

#define QUEUE 2

struct job {
	struct fbk_point wait; /* no timeline: no wait */
	uint64_t submitted_ns;
	uint64_t value;
	struct fbk_point done; /* no timeline: nothing to signal */
};

/* When each frame was drawn. A real second device would poll the payload and start at once; the thread that plays
 * it may be asleep, and takes its start time from here. Indexed by frame; in shared memory. */
struct stage_board {
	_Atomic uint64_t drawn_ns[16];
};

/* A device, played by a thread that sleeps for as long as a job takes. */
struct stage {
	struct fbk_timeline *timeline; /* signalled by the device; NULL: its process waits */
	struct stage_board *board;
	bool first;
	uint64_t takes_ns;
	uint64_t free_ns; /* end of its last job */
	struct job jobs[QUEUE];
	uint64_t put, got;
	sem_t room, there, done;
	_Atomic bool over;
	pthread_t thread;
};

static void sem_take(sem_t *sem)
{
	while (sem_wait(sem) < 0 && errno == EINTR) {
	}
}

/* The earliest time at which the job may start. */
static uint64_t job_ready(const struct stage *stage, const struct job *job)
{
	if (!job->wait.timeline) {
		return job->submitted_ns;
	}
	if (fbk_point_check(job->wait) == 0) {
		/* relaxed: stored before the point that was just seen was signalled */
		uint64_t drawn = atomic_load_explicit(&stage->board->drawn_ns[job->value % 16],
						      memory_order_relaxed);
		return drawn > job->submitted_ns ? drawn : job->submitted_ns;
	}
	fbk_point_wait(job->wait, host_now() + HALL_PATIENCE_NS);
	return host_now();
}

static void sleep_until(uint64_t ns)
{
	struct timespec at = { .tv_sec = (time_t)(ns / 1000000000),
			       .tv_nsec = (long)(ns % 1000000000) };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
	}
}

static void *stage_run(void *arg)
{
	struct stage *stage = arg;
	prctl(PR_SET_TIMERSLACK, 1UL);
	for (;;) {
		sem_take(&stage->there);
		if (atomic_load(&stage->over)) {
			return NULL;
		}
		const struct job job = stage->jobs[stage->got++ % QUEUE];
		uint64_t ready = job_ready(stage, &job);
		uint64_t start = ready > stage->free_ns ? ready : stage->free_ns;
		stage->free_ns = start + stage->takes_ns;
		sleep_until(stage->free_ns);
		if (stage->first) {
			/* relaxed: the signal below releases it */
			atomic_store_explicit(&stage->board->drawn_ns[job.value % 16], host_now(),
					      memory_order_relaxed);
		}
		if (job.done.timeline) {
			fbk_point_signal(job.done);
		}
		sem_post(&stage->room);
		sem_post(&stage->done);
	}
}

static int stage_start(struct stage *stage, const struct ours *ours, struct fbk_timeline *timeline)
{
	stage->timeline = timeline;
	stage->takes_ns = ours->row->think_ns;
	sem_init(&stage->room, 0, QUEUE);
	sem_init(&stage->there, 0, 0);
	sem_init(&stage->done, 0, 0);
	return pthread_create(&stage->thread, NULL, stage_run, stage) == 0
		       ? 0
		       : bench_fail("no thread");
}

static void stage_stop(struct stage *stage)
{
	atomic_store(&stage->over, true); /* its queue is empty */
	sem_post(&stage->there);
	pthread_join(stage->thread, NULL);
	sem_destroy(&stage->room);
	sem_destroy(&stage->there);
	sem_destroy(&stage->done);
}

static void stage_submit(struct stage *stage, struct fbk_point wait, uint64_t value,
			 struct fbk_point done)
{
	sem_take(&stage->room);
	stage->jobs[stage->put++ % QUEUE] = (struct job){ wait, host_now(), value, done };
	sem_post(&stage->there);
}

/* ----------------------------------------------------------------------------------- the second -- */

static struct stage_board *board_next; /* of the row whose members are being forked */

static int second_frame(struct guest *guest, struct stage *stage, uint64_t value)
{
	struct fbk_frame *frame;
	int r = guest_next(guest, &frame);
	if (r < 0) {
		return r;
	}
	if (stage->timeline) {
		struct fbk_point release;
		r = fbk_frame_release_later(frame, &release);
		if (r == 0) {
			stage_submit(stage, fbk_frame_acquire(frame), value, release);
		}
	} else {
		stage_submit(stage, FBK_POINT_SIGNALLED, value, FBK_POINT_SIGNALLED);
		sem_take(&stage->done);
		r = fbk_frame_release(frame, 0);
	}
	fbk_frame_unref(frame); /* its acquire timeline stays open with the link */
	return r < 0 ? ours_fail("giving back") : 0;
}

static int second_run(int socket, const struct ours *ours, bool waited)
{
	struct guest guest;
	struct stage stage = { .board = board_next };
	int r = guest_join(&guest, &ours->daemon, socket, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	if (r == 0) {
		r = stage_start(&stage, ours, waited ? NULL : guest.read);
	}
	for (uint64_t value = 1; r == 0; value++) { /* until it is killed */
		r = second_frame(&guest, &stage, value);
	}
	return r;
}

static int stages_partner(int socket, void *arg)
{
	return second_run(socket, arg, false);
}

static int waited_partner(int socket, void *arg)
{
	return second_run(socket, arg, true);
}

/* ------------------------------------------------------------------------------------ the first -- */

struct stages {
	struct hall hall;
	struct stage stage;
	uint64_t frame;
	uint32_t here[HALL_BUFFERS_MAX]; /* buffers of the producer: all of them between rounds */
};

static int here_fill(struct stages *stages)
{
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < HALL_BUFFERS_MAX; i++) {
		r = hall_take(&stages->hall, &stages->here[i]);
	}
	return r;
}

static int stages_open_as(const struct row *row, member_fn *fn, bool waited, void **ret_state)
{
	struct ours *ours;
	struct stage_board *board = board_next = host_share(sizeof(*board));
	if (!board) {
		return bench_fail("no memory");
	}
	int r = ours_open(row, NULL, fn, 1, &ours);
	if (r < 0) {
		host_unshare(board, sizeof(*board));
		return r;
	}
	struct stages *stages = ours->more = calloc(1, sizeof(*stages));
	r = stages ? hall_open(&stages->hall, &ours->party, ours->partners[0].socket,
			       HALL_BUFFERS_MAX)
		   : bench_fail("no memory");
	if (r == 0) {
		r = here_fill(stages);
	}
	if (r == 0) {
		stages->stage.board = board;
		stages->stage.first = true;
		r = stage_start(&stages->stage, ours, waited ? NULL : stages->hall.drawn);
	}
	if (r < 0) {
		host_unshare(board, sizeof(*board));
		ours_close(ours);
		return r;
	}
	*ret_state = ours;
	return 0;
}

static int stages_open(const struct row *row, void **ret_state)
{
	return stages_open_as(row, stages_partner, false, ret_state);
}

static int waited_open(const struct row *row, void **ret_state)
{
	return stages_open_as(row, waited_partner, true, ret_state);
}

static void stages_close(void *state)
{
	struct ours *ours = state;
	struct stages *stages = ours->more;
	stage_stop(&stages->stage);
	host_unshare(stages->stage.board, sizeof(*stages->stage.board));
	ours_close(ours);
}

static int first_frame(struct stages *stages, uint32_t index)
{
	struct stage *stage = &stages->stage;
	struct fbk_point acquire = { stage->timeline, ++stages->frame };
	stage_submit(stage, FBK_POINT_SIGNALLED, stages->frame, acquire);
	if (!stage->timeline) {
		sem_take(&stage->done);
		acquire = FBK_POINT_SIGNALLED;
	}
	return hall_hand(&stages->hall, index, acquire);
}

static int stages_batch(struct stages *stages, unsigned int batch)
{
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < batch; i++) {
		uint32_t index = i < HALL_BUFFERS_MAX ? stages->here[i] : 0;
		r = i < HALL_BUFFERS_MAX ? 0 : hall_take(&stages->hall, &index);
		r = r == 0 ? first_frame(stages, index) : r;
	}
	return r == 0 ? here_fill(stages) : r;
}

static int stages_round(void *state, unsigned int count, struct samples *samples)
{
	struct ours *ours = state;
	unsigned int batch = ours->row->batch;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		uint64_t start = host_now();
		r = stages_batch(ours->more, batch);
		double seconds = (double)(host_now() - start) / 1e9;
		r = r == 0 ? samples_add(samples, batch / seconds) : r;
	}
	return r;
}

const struct side ours_stages = { "the devices wait", stages_open, stages_round, stages_close };
const struct side ours_stages_waited = { "their processes wait", waited_open, stages_round,
					 stages_close };
