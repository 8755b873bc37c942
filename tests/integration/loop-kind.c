// SPDX-License-Identifier: MIT
#include "loop-kind.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/epoll.h>
#include <unistd.h>

void stream_ready(struct stream *stream)
{
	int r;
	EXPECT(pthread_equal(pthread_self(), stream->loop->thread));
	do {
		r = fbk_dispatch(stream->context);
	} while (r > 0 && stream->loop->kind->edge);
	EXPECT(r >= 0 || r == -ENOTCONN);
	if (r == -ENOTCONN) {
		EXPECT(!stream->lost);
		stream->lost = true;
		stream->loop->kind->remove(stream->loop, stream);
		stream->loop->left--;
	}
}

static void epoll_open(struct loop *loop)
{
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	EXPECT(loop->epoll >= 0);
}

static void epoll_add(struct loop *loop, struct stream *stream)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = stream };
	if (loop->kind->edge) {
		event.events |= EPOLLET;
	}
	EXPECT(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fbk_context_fd(stream->context), &event) == 0);
}

static void epoll_remove(struct loop *loop, struct stream *stream)
{
	EXPECT(epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fbk_context_fd(stream->context), NULL) == 0);
}

static void epoll_turn(struct loop *loop)
{
	struct epoll_event events[STREAMS];
	int count = epoll_wait(loop->epoll, events, STREAMS, -1);
	EXPECT(count > 0);
	for (int i = 0; i < count; i++) {
		stream_ready(events[i].data.ptr);
	}
}

static void epoll_close(struct loop *loop)
{
	close(loop->epoll);
}

static void event_open(struct loop *loop)
{
	loop->base = event_base_new();
	EXPECT(loop->base);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	EXPECT(what == EV_READ);
	stream_ready(arg);
}

static void event_add_stream(struct loop *loop, struct stream *stream)
{
	struct event *event = event_new(loop->base, fbk_context_fd(stream->context),
					EV_READ | EV_PERSIST, on_event, stream);
	EXPECT(event && event_add(event, NULL) == 0);
	stream->source = event;
}

static void event_remove(struct loop *loop, struct stream *stream)
{
	(void)loop;
	event_free(stream->source);
}

static void event_turn(struct loop *loop)
{
	EXPECT(event_base_loop(loop->base, EVLOOP_ONCE) == 0);
}

static void event_close(struct loop *loop)
{
	event_base_free(loop->base);
}

static void sd_open(struct loop *loop)
{
	EXPECT(sd_event_new(&loop->event) >= 0);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	(void)source;
	(void)fd;
	EXPECT(revents == EPOLLIN);
	stream_ready(arg);
	return 0;
}

static void sd_add(struct loop *loop, struct stream *stream)
{
	sd_event_source *source = NULL;
	EXPECT(sd_event_add_io(loop->event, &source, fbk_context_fd(stream->context), EPOLLIN,
			       on_io, stream) >= 0);
	stream->source = source;
}

static void sd_remove(struct loop *loop, struct stream *stream)
{
	(void)loop;
	sd_event_source_disable_unref(stream->source);
}

static void sd_turn(struct loop *loop)
{
	EXPECT(sd_event_run(loop->event, UINT64_MAX) > 0);
}

static void sd_close(struct loop *loop)
{
	sd_event_unref(loop->event);
}

static void glib_open(struct loop *loop)
{
	loop->main = g_main_context_new();
}

static gboolean on_unix_fd(gint fd, GIOCondition condition, gpointer arg)
{
	(void)fd;
	EXPECT(condition == G_IO_IN);
	stream_ready(arg);
	return G_SOURCE_CONTINUE;
}

static void glib_attach(struct loop *loop, struct stream *stream, GSource *source)
{
	g_source_attach(source, loop->main);
	stream->source = source;
}

static void glib_add_fd(struct loop *loop, struct stream *stream)
{
	GSource *source = g_unix_fd_source_new(fbk_context_fd(stream->context), G_IO_IN);
	g_source_set_callback(source, G_SOURCE_FUNC(on_unix_fd), stream, NULL);
	glib_attach(loop, stream, source);
}

/* A GLib source, as a binding of the library to GLib would define it. */
struct fence_source {
	GSource source;
	gpointer tag;
	struct stream *stream;
};

static gboolean fence_source_check(GSource *source)
{
	return g_source_query_unix_fd(source, ((struct fence_source *)source)->tag) != 0;
}

static gboolean fence_source_dispatch(GSource *source, GSourceFunc fn, gpointer arg)
{
	(void)fn;
	(void)arg;
	stream_ready(((struct fence_source *)source)->stream);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs fence_source_functions = {
	.check = fence_source_check,
	.dispatch = fence_source_dispatch,
};

static void glib_add_source(struct loop *loop, struct stream *stream)
{
	GSource *source = g_source_new(&fence_source_functions, sizeof(struct fence_source));
	struct fence_source *fence = (struct fence_source *)source;
	fence->stream = stream;
	fence->tag = g_source_add_unix_fd(source, fbk_context_fd(stream->context), G_IO_IN);
	glib_attach(loop, stream, source);
}

static void glib_remove(struct loop *loop, struct stream *stream)
{
	(void)loop;
	g_source_destroy(stream->source);
	g_source_unref(stream->source);
}

static void glib_turn(struct loop *loop)
{
	g_main_context_iteration(loop->main, TRUE);
}

static void glib_close(struct loop *loop)
{
	g_main_context_unref(loop->main);
}

const struct loop_kind kinds[LOOP_KINDS] = {
	{ "epoll", false, epoll_open, epoll_add, epoll_remove, epoll_turn, epoll_close },
	{ "epoll, edges", true, epoll_open, epoll_add, epoll_remove, epoll_turn, epoll_close },
	{ "libevent", false, event_open, event_add_stream, event_remove, event_turn, event_close },
	{ "sd-event", false, sd_open, sd_add, sd_remove, sd_turn, sd_close },
	{ "GLib, fd", false, glib_open, glib_add_fd, glib_remove, glib_turn, glib_close },
	{ "GLib, source", false, glib_open, glib_add_source, glib_remove, glib_turn, glib_close },
};
