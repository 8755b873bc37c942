// SPDX-License-Identifier: MIT
/* The first cause stays: whatever happens afterwards, a timeline or a link that failed goes on saying why. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-exchange.h"

static struct daemon server;

static void setup(void)
{
	daemon_serve(&server, NULL);
}

static void teardown(void)
{
	daemon_end(&server);
}

/* ---------------------------------------------------------------------------------- a timeline -- */

enum order {
	ORDER_DIE,
	ORDER_LEAVE,
	ORDER_FAIL,
};

/* Makes a timeline of these flags, and ends as it is ordered to. */
static int owner_process(int socket, void *arg)
{
	struct fbk_context *context = peer_connect(&server);
	uint32_t flags = *(const uint32_t *)arg;
	struct fbk_timeline *timeline = peer_timeline(peer_device(context, "owner"), "line", flags);
	int token;
	EXPECT(fbk_timeline_share(timeline, FBK_RIGHT_WAIT, &token) == 0);
	send_word(socket, 0, token);
	switch (receive_word(socket, NULL)) {
	case ORDER_DIE:
		raise(SIGKILL);
		break;
	case ORDER_FAIL:
		EXPECT(fbk_timeline_fail(timeline, -EIO, "the lens cap is on") == 0);
		send_word(socket, 0, -1);
		receive_word(socket, NULL);
		break;
	}
	fbk_disconnect(context);
	return 0;
}

struct owned {
	struct peer peer;
	struct fbk_context *context; /* ours */
	struct fbk_timeline *timeline;
};

static void owned_start(struct owned *owned, uint32_t *flags)
{
	int token;
	peer_start(&owned->peer, owner_process, flags);
	owned->context = peer_connect(&server);
	receive_word(owned->peer.socket, &token);
	EXPECT(fbk_timeline_open(owned->context, token, &owned->timeline) == 0);
	close(token);
}

/* Both the info's reason and the sentence of a wait name the process, and say that. */
static void expect_reason(const struct owned *owned, enum fbk_cause cause, const char *says)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	char who[64];
	snprintf(who, sizeof(who), "owner (pid %d)", (int)owned->peer.pid);
	EXPECT(fbk_point_check((struct fbk_point){ owned->timeline, 1 }) < 0);
	ck_assert_msg(strstr(fbk_error_detail(), who), "%s", fbk_error_detail());
	EXPECT(fbk_timeline_info(owned->timeline, &info) == 0);
	ck_assert_msg(strstr(fbk_error_detail(), who), "%s", fbk_error_detail());
	ck_assert_int_eq(info.cause, cause);
	ck_assert_int_eq(info.pid, owned->peer.pid);
	ck_assert_str_eq(info.device, "owner");
	ck_assert_msg(strstr(info.reason, says), "%s", info.reason);
	ck_assert_ptr_null(strstr(info.reason, "the daemon"));
}

static const struct {
	enum order order;
	enum fbk_cause cause;
	bool asked; /* before the daemon goes */
	bool killed;
	const char *says;
} endings[] = {
	{ ORDER_DIE, FBK_CAUSE_OWNER_DIED, false, false, "owner (pid" },
	{ ORDER_DIE, FBK_CAUSE_OWNER_DIED, false, true, "owner (pid" },
	{ ORDER_LEAVE, FBK_CAUSE_OWNER_LEFT, false, false, "owner (pid" },
	{ ORDER_FAIL, FBK_CAUSE_OWNER_FAILED, false, true, "owner (pid" },
	{ ORDER_FAIL, FBK_CAUSE_OWNER_FAILED, true, false, "the lens cap is on" },
	{ ORDER_FAIL, FBK_CAUSE_OWNER_FAILED, true, true, "the lens cap is on" },
};

/* The owner ends, and then the daemon. */
START_TEST(owner_then_daemon)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	struct owned owned;
	uint32_t flags = 0;
	owned_start(&owned, &flags);
	send_word(owned.peer.socket, endings[_i].order, -1);
	struct fbk_point point = { owned.timeline, 1 };
	ck_assert_int_lt(fbk_point_wait(point, deadline_ms(PATIENCE_MS)), 0);
	if (endings[_i].order == ORDER_FAIL) {
		receive_word(owned.peer.socket, NULL);
	}
	if (endings[_i].asked) {
		EXPECT(fbk_timeline_info(owned.timeline, &info) == 0);
	}
	if (endings[_i].killed) {
		daemon_kill(&server);
	} else {
		daemon_terminate(&server);
	}
	expect_reason(&owned, endings[_i].cause, endings[_i].says);
	fbk_disconnect(owned.context);
	if (endings[_i].order == ORDER_FAIL) {
		send_word(owned.peer.socket, 0, -1);
	}
	peer_wait(&owned.peer);
}
END_TEST

/* Both at once: the daemon is told to stop before it could look at the owner's death. */
START_TEST(owner_dies_while_the_daemon_stops)
{
	struct owned owned;
	uint32_t flags = 0;
	owned_start(&owned, &flags);
	kill(server.pid, SIGSTOP);
	send_word(owned.peer.socket, ORDER_DIE, -1);
	ck_assert_int_eq(peer_wait(&owned.peer), 128 + SIGKILL);
	kill(server.pid, SIGTERM);
	kill(server.pid, SIGCONT);
	struct fbk_point point = { owned.timeline, 1 };
	ck_assert_int_eq(fbk_point_wait(point, deadline_ms(PATIENCE_MS)), -EOWNERDEAD);
	daemon_terminate(&server);
	expect_reason(&owned, FBK_CAUSE_OWNER_DIED, "owner (pid");
	fbk_disconnect(owned.context);
}
END_TEST

static const uint32_t kinds[] = { 0, FBK_TIMELINE_BROKERED };

/* A signal says what the timeline failed with, as a check does; before the daemon's end, and after. */
START_TEST(a_signal_says_why)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device = peer_device(context, "maker");
	struct fbk_timeline *failed = peer_timeline(device, "failed", kinds[_i]);
	struct fbk_timeline *stopped = peer_timeline(device, "stopped", kinds[_i]);
	EXPECT(fbk_timeline_fail(failed, -EIO, "the lens cap is on") == 0);
	ck_assert_int_eq(fbk_timeline_signal(failed, 1), -EIO);
	ck_assert_msg(strstr(fbk_error_detail(), "its process failed it"), "%s",
		      fbk_error_detail());
	daemon_terminate(&server);
	ck_assert_int_eq(fbk_timeline_signal(failed, 1), -EIO);
	ck_assert_msg(strstr(fbk_error_detail(), "its process failed it"), "%s",
		      fbk_error_detail());
	ck_assert_int_eq(fbk_timeline_signal(stopped, 1), -ENOTCONN);
	ck_assert_msg(strstr(fbk_error_detail(), "the daemon was stopped"), "%s",
		      fbk_error_detail());
	fbk_disconnect(context);
}
END_TEST

/* ------------------------------------------------------------------------------------- a link -- */

static int consumer_fails(int socket, void *arg)
{
	struct consumer self;
	(void)arg;
	consumer_open(&self, &server, NULL, socket);
	EXPECT(fbk_link_wait(self.link, deadline_ms(PATIENCE_MS)) == 0);
	EXPECT(fbk_link_fail(self.link, -EIO, "the lens cap is on") == 0);
	send_word(socket, 0, -1);
	receive_word(socket, NULL); /* the daemon is gone, which this context has to notice */
	while (fbk_dispatch(self.context) != -ENOTCONN) {
		readable_within(fbk_context_fd(self.context), PATIENCE_MS);
	}
	struct fbk_frame *frame;
	ck_assert_int_eq(fbk_link_next(self.link, 0, &frame), -EPIPE);
	ck_assert_msg(strstr(fbk_error_detail(), "the lens cap is on"), "%s", fbk_error_detail());
	ck_assert_int_eq(fbk_link_wait(self.link, 0), -EPIPE);
	ck_assert_msg(strstr(fbk_link_cause(self.link), "the lens cap is on"), "%s",
		      fbk_link_cause(self.link));
	fbk_disconnect(self.context);
	return 0;
}

/* The link ended before the daemon did: its cause stays, and so does the error. */
START_TEST(link_then_daemon)
{
	struct producer producer;
	struct peer peer;
	int offer;
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	peer_start(&peer, consumer_fails, NULL);
	send_word(peer.socket, 0, offer);
	EXPECT(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)) == 0);
	receive_word(peer.socket, NULL);
	if (_i == 0) {
		daemon_terminate(&server);
	} else {
		daemon_kill(&server);
	}
	send_word(peer.socket, 0, -1);
	ck_assert_int_eq(peer_wait(&peer), 0);
	close(offer);
	producer_close(&producer);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, owner_then_daemon, endings);
	tcase_add_test(tcase, owner_dies_while_the_daemon_stops);
	ADD_LOOP(tcase, a_signal_says_why, kinds);
	tcase_add_loop_test(tcase, link_then_daemon, 0, 2);
}

int main(void)
{
	return suite_main("first-cause", add);
}
