// SPDX-License-Identifier: MIT
/* Clients that do not read their replies: what that costs, and whom. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib-peer.h"
#include "lib-view.h"

#define POLICY_RULES                                                 \
	"rules: ( { user = \"*\"; connect = true; register = true; " \
	"inspect = \"all\"; class = \"*\"; } );"
#define POLICY   "version = 1; " POLICY_RULES
#define FLOODERS 8
#define NOBODY   65534
#define UNREAD_S 6 /* longer than the daemon gives a stranger to say Hello */

static struct daemon fencebrokerd;
static struct bystander bystander;

/* Sends the request until the socket takes no more for a while, or the connection ends. How often. */
static size_t flood(struct client *client, Fbk__Wire__Request *request)
{
	size_t sent = 0;
	uint8_t bytes[64];
	request->serial = 1;
	size_t size = fbk__wire__request__pack(request, bytes);
	uint64_t since = now_ms();
	while (now_ms() - since < 200) {
		int r = wire_send(client->socket, bytes, size, NULL, 0);
		if (r == 0) {
			since = now_ms();
			sent++;
		} else if (r == -EAGAIN) {
			yield_briefly();
		} else {
			break;
		}
	}
	return sent;
}

/* Each request is answered, with or without an fd. */
static void drain(struct client *client, size_t sent)
{
	struct reply reply;
	for (size_t i = 0; i < sent; i++) {
		ck_assert_msg(client_receive(client, &reply), "reply %zu of %zu is missing", i,
			      sent);
		reply_free(&reply);
	}
}

/* Fills its queue, leaves the socket to a child, and exits. */
static int flood_and_exit(void *arg)
{
	static struct client client;
	const int *held = arg;
	char byte;
	client_open(&client, &fencebrokerd);
	REQUEST(request, WATCH_CANCEL, watch_cancel);
	request.watch_cancel->watch = UINT64_MAX;
	flood(&client, &request);
	if (fork() == 0) {
		close(held[1]);
		_exit(read(held[0], &byte, 1) < 0); /* until the test ends it */
	}
	return 0;
}

/* The daemon keeps one reply for it; at its death that reply is uncharged, and the socket gets no
 * other. */
START_TEST(dies_with_a_reply_kept)
{
	int held[2];
	ck_assert_int_eq(pipe2(held, O_CLOEXEC), 0);
	daemon_serve(&fencebrokerd, NULL);
	bystander_open(&bystander, &fencebrokerd);
	uint64_t sessions = client_usage(&bystander.waiter, getuid(), "connections");
	ck_assert_int_eq(child_wait(child_start(flood_and_exit, held)), 0);
	uint64_t deadline = now_ms() + PATIENCE_MS;
	while (client_usage(&bystander.waiter, getuid(), "connections") != sessions) {
		ck_assert_uint_lt(now_ms(), deadline);
		yield_briefly();
	}
	ck_assert_uint_eq(client_usage(&bystander.waiter, getuid(), "queued_bytes"), 0);
	bystander_round(&bystander);
	close(held[0]);
	close(held[1]);
	bystander_close(&bystander);
	daemon_stop(&fencebrokerd);
}
END_TEST

/*
 * The kernel charges fds in flight to the sender: the daemon, for all of its clients. An
 * unprivileged daemon with few fds, and many clients that request fds and receive none.
 */
START_TEST(fds_in_flight)
{
	static struct client flooders[FLOODERS];
	size_t sent[FLOODERS];
	struct daemon_options options = { .policy = POLICY, .uid = NOBODY, .nofile = 1024 };
	struct fbk_context *context;
	struct view view;
	if (getuid() != 0) {
		printf("SKIPPED: a daemon of another user takes root\n");
		return;
	}
	daemon_prepare(&fencebrokerd);
	ck_assert_int_eq(chmod(fencebrokerd.directory, 0777), 0);
	daemon_start(&fencebrokerd, &options);
	bystander_open(&bystander, &fencebrokerd);
	for (size_t i = 0; i < FLOODERS; i++) {
		client_open(&flooders[i], &fencebrokerd);
		uint32_t device = client_device(&flooders[i], "cpu0");
		int r = view_create(&flooders[i], device, 0, "asked", 0, &view);
		ck_assert_msg(r == 0, "%s", flooders[i].detail);
	}
	for (size_t i = 0; i < FLOODERS; i++) {
		REQUEST(request, TIMELINE_SHARE, timeline_share);
		request.timeline_share->handle = 1;
		request.timeline_share->rights = FBK_RIGHT_WAIT;
		request.timeline_share->token = 1;
		sent[i] = flood(&flooders[i], &request);
		ck_assert_uint_gt(sent[i], 10);
	}
	bystander_round(&bystander);
	ck_assert_int_eq(fbk_connect(fencebrokerd.socket, &context), 0); /* gets two fds */
	fbk_disconnect(context);
	/* However long it takes, they are clients still, and served again once they have read. */
	sleep(UNREAD_S);
	ck_assert_uint_eq(client_usage(&bystander.waiter, getuid(), "connections"), 2 + FLOODERS);
	for (size_t i = 0; i < FLOODERS; i++) {
		drain(&flooders[i], sent[i]);
	}
	bystander_round(&bystander);
	for (size_t i = 0; i < FLOODERS; i++) {
		client_close(&flooders[i]);
	}
	bystander_close(&bystander);
	daemon_stop(&fencebrokerd);
}
END_TEST

/* The library is refused before it has anything: an error that names the limit, not a crash. */
START_TEST(refused_at_the_door)
{
	static const char policy[] = "version = 1; limits: { connections = 1; }; " POLICY_RULES;
	struct fbk_context *first, *second;
	daemon_serve(&fencebrokerd, policy);
	ck_assert_int_eq(fbk_connect(fencebrokerd.socket, &first), 0);
	ck_assert_int_eq(fbk_connect(fencebrokerd.socket, &second), -EDQUOT);
	ck_assert_msg(strstr(fbk_error_detail(), "connections"), "%s", fbk_error_detail());
	fbk_disconnect(first);
	uint64_t deadline = now_ms() + PATIENCE_MS;
	int r;
	while ((r = fbk_connect(fencebrokerd.socket, &first)) == -EDQUOT) {
		ck_assert_uint_lt(now_ms(), deadline);
		yield_briefly();
	}
	ck_assert_int_eq(r, 0);
	fbk_disconnect(first);
	daemon_stop(&fencebrokerd);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_test(tcase, dies_with_a_reply_kept);
	tcase_add_test(tcase, fds_in_flight);
	tcase_add_test(tcase, refused_at_the_door);
}

int main(void)
{
	return suite_main("unread", add);
}
