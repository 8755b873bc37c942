// SPDX-License-Identifier: MIT
/*
 * One fd per context in other event loops: epoll (level and edge triggered), libevent, sd-event and
 * GLib, with one context or several in a loop. Another process signals; watches fire on the loop's
 * thread, in order, none lost, none twice. Each test runs once for each kind of loop.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop-kind.h"
#include "tests/proc-stat.h"

#define POINTS (getenv("FBK_SOAK") ? UINT64_C(200000) : UINT64_C(3000))
#define WINDOW 4 /* watches armed ahead: few, so that the other process often has to wait */

static struct daemon server;

static void setup(void)
{
	daemon_serve(&server, NULL);
}

static void teardown(void)
{
	daemon_end(&server);
}

/* ----------------------------------------------------------------------------------- streams -- */

static void loop_start(struct loop *loop, int kind)
{
	*loop = (struct loop){ .kind = &kinds[kind], .thread = pthread_self() };
	loop->kind->open(loop);
}

static void loop_run(struct loop *loop)
{
	while (loop->left > 0) {
		loop->kind->turn(loop);
	}
}

/* The other process: signals a point only once it is watched, so that the points fire in the order
 * in which they were signalled. */
static int signal_stream(int socket, void *arg)
{
	uint64_t count = *(const uint64_t *)arg;
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *forth = peer_timeline(peer_device(context, "there"), "forth", 0);
	struct fbk_timeline *back = NULL;
	int token;
	EXPECT(fbk_timeline_share(forth, FBK_RIGHT_WAIT, &token) == 0);
	send_word(socket, 0, token);
	close(token);
	receive_word(socket, &token);
	EXPECT(fbk_timeline_open(context, token, &back) == 0);
	close(token);
	send_word(socket, 0, -1);
	for (uint64_t i = 1; i <= count; i++) {
		EXPECT(fbk_point_wait((struct fbk_point){ back, i },
				      deadline_ms(6 * PATIENCE_MS)) == 0);
		EXPECT(fbk_timeline_signal(forth, i) == 0);
	}
	receive_word(socket, NULL);
	fbk_disconnect(context);
	return 0;
}

static void stream_open(struct stream *stream, struct loop *loop, uint64_t count)
{
	int token;
	*stream = (struct stream){ .loop = loop, .count = count };
	peer_start(&stream->peer, signal_stream, &stream->count);
	stream->context = peer_connect(&server);
	stream->back = peer_timeline(peer_device(stream->context, "here"), "back", 0);
	receive_word(stream->peer.socket, &token);
	EXPECT(fbk_timeline_open(stream->context, token, &stream->forth) == 0);
	close(token);
	EXPECT(fbk_timeline_share(stream->back, FBK_RIGHT_WAIT, &token) == 0);
	send_word(stream->peer.socket, 0, token);
	close(token);
	receive_word(stream->peer.socket, NULL); /* it has opened it */
	loop->kind->add(loop, stream);
	loop->left++;
}

static void stream_close(struct stream *stream)
{
	if (!stream->lost) {
		stream->loop->kind->remove(stream->loop, stream);
	}
	send_word(stream->peer.socket, 1, -1);
	ck_assert_int_eq(peer_wait(&stream->peer), 0);
	fbk_disconnect(stream->context);
}

static void on_point(void *arg, struct fbk_point point, int result);

static void stream_watch(struct stream *stream)
{
	struct fbk_point point = { stream->forth, ++stream->armed };
	EXPECT(fbk_point_watch(point, FBK_DEADLINE_MAX, on_point, stream, NULL) == 0);
	EXPECT(fbk_timeline_signal(stream->back, stream->armed) == 0);
}

static void on_doomed(void *arg, struct fbk_point point, int result)
{
	const struct stream *stream = arg;
	(void)result;
	ck_abort_msg("%s: the cancelled watch of point %llu was told", stream->loop->kind->name,
		     (unsigned long long)point.value);
}

/* Arms the next watch; every third time also one for a point that is not signalled before this
 * returns, which the next callback cancels: it may have fired already. */
static void on_point(void *arg, struct fbk_point point, int result)
{
	struct stream *stream = arg;
	EXPECT(pthread_equal(pthread_self(), stream->loop->thread));
	ck_assert_msg(result == 0 && point.value == stream->told + 1,
		      "%s: point %llu was told (%d) after %llu", stream->loop->kind->name,
		      (unsigned long long)point.value, result, (unsigned long long)stream->told);
	stream->told = point.value;
	fbk_watch_cancel(stream->doomed);
	stream->doomed = NULL;
	if (stream->armed < stream->count) {
		if (point.value % 3 == 0) {
			struct fbk_point next = { stream->forth, stream->armed + 1 };
			EXPECT(fbk_point_watch(next, FBK_DEADLINE_MAX, on_doomed, stream,
					       &stream->doomed) == 0);
		}
		stream_watch(stream);
	}
	if (stream->told == stream->count) {
		stream->loop->left--;
	}
}

static void streams_open(struct loop *loop, struct stream *streams, int count)
{
	for (int i = 0; i < count; i++) {
		stream_open(&streams[i], loop, POINTS / (uint64_t)count);
		for (int n = 0; n < WINDOW; n++) {
			stream_watch(&streams[i]);
		}
	}
}

static void streams_close(struct stream *streams, int count)
{
	for (int i = 0; i < count; i++) {
		stream_close(&streams[i]);
	}
}

/* ------------------------------------------------------------------------------------- tests -- */

START_TEST(one_context)
{
	struct loop loop;
	struct stream stream;
	loop_start(&loop, _i);
	streams_open(&loop, &stream, 1);
	loop_run(&loop);
	streams_close(&stream, 1);
	loop.kind->close(&loop);
}
END_TEST

START_TEST(several_contexts_in_a_loop)
{
	struct loop loop;
	struct stream streams[STREAMS];
	loop_start(&loop, _i);
	streams_open(&loop, streams, STREAMS);
	loop_run(&loop);
	streams_close(streams, STREAMS);
	loop.kind->close(&loop);
}
END_TEST

struct asker {
	struct fbk_timeline *timeline;
	_Atomic pid_t thread; /* it is about to send the request */
	_Atomic bool stop;    /* after this request */
	_Atomic bool done;
	uint64_t asked;
};

static void *ask(void *arg)
{
	struct asker *asker = arg;
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	asker->thread = gettid();
	do {
		EXPECT(fbk_timeline_info(asker->timeline, &info) == 0);
		EXPECT(info.id != 0);
		asker->asked++;
	} while (!asker->stop);
	asker->done = true;
	return NULL;
}

/* Another thread waits for replies nearly all the time: mostly that thread reads the fired events,
 * and has to tell the loop. */
START_TEST(another_thread_makes_requests)
{
	struct loop loop;
	struct stream stream;
	struct asker asker = { 0 };
	pthread_t thread;
	loop_start(&loop, _i);
	streams_open(&loop, &stream, 1);
	asker.timeline = stream.back;
	EXPECT(pthread_create(&thread, NULL, ask, &asker) == 0);
	loop_run(&loop);
	asker.stop = true;
	pthread_join(thread, NULL);
	ck_assert_uint_gt(asker.asked, 0);
	streams_close(&stream, 1);
	loop.kind->close(&loop);
}
END_TEST

static void thread_await_sleep(pid_t thread)
{
	char state;
	do {
		yield_briefly();
		state = proc_state(thread);
		EXPECT(state != 0);
	} while (state != 'S');
}

static void on_local(void *arg, struct fbk_point point, int result)
{
	struct stream *stream = arg;
	EXPECT(pthread_equal(pthread_self(), stream->loop->thread));
	EXPECT(result == 0);
	stream->told = point.value;
	stream->loop->left--;
}

/* The daemon is stopped, and another thread sleeps until its reply. Callbacks that need no daemon
 * run nevertheless, and a dispatch without work returns, before that reply. */
START_TEST(dispatch_never_blocks)
{
	struct loop loop;
	struct stream stream;
	struct asker asker = { .stop = true };
	pthread_t thread;
	int status;
	loop_start(&loop, _i);
	stream_open(&stream, &loop, 0);
	asker.timeline = stream.back;
	EXPECT(fbk_timeline_signal(stream.back, 1) == 0);
	EXPECT(kill(server.pid, SIGSTOP) == 0);
	EXPECT(waitpid(server.pid, &status, WUNTRACED) == server.pid && WIFSTOPPED(status));
	EXPECT(fbk_dispatch(stream.context) == 0);
	EXPECT(pthread_create(&thread, NULL, ask, &asker) == 0);
	while (asker.thread == 0) {
		yield_briefly();
	}
	thread_await_sleep(asker.thread);
	EXPECT(fbk_dispatch(stream.context) == 0);
	EXPECT(fbk_point_watch((struct fbk_point){ stream.back, 1 }, FBK_DEADLINE_MAX, on_local,
			       &stream, NULL) == 0);
	loop_run(&loop);
	EXPECT(fbk_dispatch(stream.context) == 0);
	EXPECT(!asker.done);
	EXPECT(kill(server.pid, SIGCONT) == 0);
	pthread_join(thread, NULL);
	stream_close(&stream);
	loop.kind->close(&loop);
}
END_TEST

static void on_end(void *arg, struct fbk_point point, int result)
{
	struct stream *stream = arg;
	EXPECT(pthread_equal(pthread_self(), stream->loop->thread));
	ck_assert_int_eq(result, -ENOTCONN);
	EXPECT(!stream->lost && point.value == stream->told + 1);
	stream->told = point.value;
}

/* Each watch fires with the error, then the end itself is reported; a stream that has had all its
 * points waits for that. */
START_TEST(the_end_of_the_daemon)
{
	struct loop loop;
	struct stream streams[STREAMS];
	loop_start(&loop, _i);
	for (int i = 0; i < STREAMS; i++) {
		stream_open(&streams[i], &loop, 0);
		EXPECT(fbk_point_watch((struct fbk_point){ streams[i].forth, 1 }, FBK_DEADLINE_MAX,
				       on_end, &streams[i], NULL) == 0);
	}
	daemon_kill(&server);
	loop_run(&loop);
	for (int i = 0; i < STREAMS; i++) {
		EXPECT(streams[i].told == 1 && streams[i].lost);
	}
	streams_close(streams, STREAMS);
	loop.kind->close(&loop);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, getenv("FBK_SOAK") ? 1200 : 300);
	ADD_LOOP(tcase, one_context, kinds);
	ADD_LOOP(tcase, several_contexts_in_a_loop, kinds);
	ADD_LOOP(tcase, another_thread_makes_requests, kinds);
	ADD_LOOP(tcase, dispatch_never_blocks, kinds);
	ADD_LOOP(tcase, the_end_of_the_daemon, kinds);
}

int main(void)
{
	return suite_main("loops", add_tests);
}
