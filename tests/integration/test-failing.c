// SPDX-License-Identifier: MIT
/* Timelines that fail: reached points stay reached, all others fail with the cause, and every
 * waiter hears of it: cells, watches and exports. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-view.h"
#include "proto/error.h"

static struct daemon fencebrokerd;
static struct bystander bystander;
static struct client signaler, waiter;
static uint32_t device;

static void setup(void)
{
	daemon_serve(&fencebrokerd, NULL);
	bystander_open(&bystander, &fencebrokerd);
	client_open(&signaler, &fencebrokerd);
	client_open(&waiter, &fencebrokerd);
	device = client_device(&signaler, "cpu0");
}

static void teardown(void)
{
	client_close(&waiter);
	client_close(&signaler);
	bystander_close(&bystander);
	daemon_stop(&fencebrokerd);
}

/* ----------------------------------------------------------- all that can wait for point 10 ---- */

#define POINT         10
#define WATCH_REACHED 1
#define WATCH_FAILED  2

struct waits {
	struct view view;
	uint32_t sequence;
	int exported;
};

static void waits_begin(struct waits *waits, const struct view *view)
{
	waits->view = *view;
	ck_assert_int_eq(view_export(view, POINT, FBK_FENCE_EVENTFD, UINT64_MAX, &waits->exported),
			 0);
	ck_assert_int_eq(view_watch(view, POINT, UINT64_MAX, WATCH_FAILED), 0);
	waits->sequence = cell_arm(view, POINT);
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	return poll(&polled, 1, timeout_ms) == 1 && polled.revents & POLLIN;
}

/* Failed from `from` on: in memory, for the daemon, and for all waiters. */
static void waits_expect(struct waits *waits, uint64_t from, enum fbk_cause cause, int error)
{
	const struct view *view = &waits->view;
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	uint64_t number;
	int result;
	int fd;

	ck_assert_int_eq(cell_wait(view, waits->sequence, PATIENCE_MS), 0);
	ck_assert_int_eq(point_wait(view, POINT, PATIENCE_MS), error);
	ck_assert_uint_eq(view_status(view), FBK_STATUS_FAILED);
	ck_assert_uint_eq(view->control->failed_from, from);
	ck_assert_uint_eq(view->control->cause, cause);
	ck_assert_int_eq(view->control->error, error);
	ck_assert(view_payload(view) & FBK_POISON);
	ck_assert_uint_eq(view_monitored(view), FBK_MONITORED_NONE);
	ck_assert_int_eq(point_check(view, from - 1), 0);
	ck_assert_int_eq(point_check(view, from), error);

	client_next_fired(view->client, &number, &result);
	ck_assert_uint_eq(number, WATCH_FAILED);
	ck_assert_int_eq(result, error_foreign(error));
	ck_assert(readable(waits->exported, PATIENCE_MS));
	close(waits->exported);

	ck_assert_int_eq(view_info(view, &info), 0);
	ck_assert_int_eq(info.cause, cause);
	ck_assert_int_eq(info.error, error);
	ck_assert_uint_eq(info.failed_from, from);
	ck_assert_uint_eq(info.value, from - 1);
	ck_assert_str_eq(info.device, "cpu0");
	ck_assert(info.reason[0]);

	/* a new wait ends at once */
	ck_assert_int_eq(view_export(view, from, FBK_FENCE_EVENTFD, UINT64_MAX, &fd), 0);
	ck_assert(readable(fd, PATIENCE_MS));
	close(fd);
	ck_assert_int_eq(view_watch(view, from, UINT64_MAX, WATCH_FAILED), 0);
	client_next_fired(view->client, &number, &result);
	ck_assert_int_eq(result, error_foreign(error));
	ck_assert_int_eq(view_watch(view, from - 1, UINT64_MAX, WATCH_REACHED),
			 from > 1 ? 0 : -ERANGE);
	if (from > 1) {
		client_next_fired(view->client, &number, &result);
		ck_assert_uint_eq(number, WATCH_REACHED);
		ck_assert_int_eq(result, 0);
	}
}

/* A pair of views and all kinds of waits on the second. */
static void begin(uint32_t flags, struct view *ret_signals, struct waits *ret_waits)
{
	struct view opened;
	view_pair(&signaler, device, "doomed", flags, &waiter, ret_signals, &opened);
	waits_begin(ret_waits, &opened);
}

/* ------------------------------------------------------------------------------ by its owner --- */

/* _i: the flags */
START_TEST(failed_by_owner)
{
	struct view view;
	struct waits waits;
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	begin((uint32_t)_i, &view, &waits);
	if (_i == 0) {
		ck_assert(view_signal(&view, 0, 3));
	} else {
		ck_assert_int_eq(view_request_signal(&view, 3), 0);
	}
	ck_assert_int_eq(view_fail(&view, -ECANCELED, "the surface is gone"), 0);
	waits_expect(&waits, 4, FBK_CAUSE_OWNER_FAILED, -ECANCELED);
	ck_assert_uint_eq(view_payload(&view), 3 | FBK_POISON);
	ck_assert_int_eq(view_info(&waits.view, &info), 0);
	ck_assert_str_eq(info.reason, "the surface is gone");

	ck_assert_int_eq(view_fail(&view, -EIO, "again"), -EALREADY);
	ck_assert_msg(strstr(signaler.detail, "the surface is gone"), "%s", signaler.detail);
	if (_i == 0) {
		ck_assert(!view_signal(&view, 3, 4));
	} else {
		ck_assert_int_eq(view_request_signal(&view, 4), -EREMOTEIO);
	}
	ck_assert_uint_eq(view_payload(&view), 3 | FBK_POISON); /* poison stays */
}
END_TEST

START_TEST(failed_at_once)
{
	struct view view;
	struct waits waits;
	begin(0, &view, &waits);
	ck_assert_int_eq(view_fail(&view, -EIO, ""), 0);
	waits_expect(&waits, 1, FBK_CAUSE_OWNER_FAILED, -EIO);
}
END_TEST

START_TEST(bad_errors)
{
	struct view view;
	static const int wrong[] = { 0, 1, EIO, -4096, INT32_MIN };
	ck_assert_int_eq(view_create(&signaler, device, 0, "doomed", 0, &view), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_int_eq(view_fail(&view, wrong[i], ""), -EINVAL);
		ck_assert_msg(strstr(signaler.detail, "negative errno"), "%s", signaler.detail);
	}
	ck_assert_uint_eq(view_status(&view), FBK_STATUS_OK);
	ck_assert_int_eq(view_fail(&view, -4095, ""), 0);
	ck_assert_int_eq(point_check(&view, 1), -4095);
}
END_TEST

/* A reason is text for people: it is cut to its room, and '?' replaces what cannot be shown. */
START_TEST(hostile_reason)
{
	struct view view;
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	char reason[400];
	memset(reason, 'x', sizeof(reason));
	reason[0] = '\033';
	reason[1] = '\n';
	reason[sizeof(reason) - 1] = '\0';
	ck_assert_int_eq(view_create(&signaler, device, 0, "doomed", 0, &view), 0);
	ck_assert_int_eq(view_fail(&view, -EIO, reason), 0);
	ck_assert_int_eq(view_info(&view, &info), 0);
	ck_assert_uint_eq(strlen(info.reason), FBK_REASON_SIZE - 1);
	ck_assert(info.reason[0] == '?' && info.reason[1] == '?' && info.reason[2] == 'x');
}
END_TEST

static void leave_by_close(const struct view *view)
{
	ck_assert_int_eq(view_close(view), 0);
}

static void leave_by_unregistering(const struct view *view)
{
	REQUEST(request, DEVICE_UNREGISTER, device_unregister);
	request.device_unregister->device = device;
	ck_assert_int_eq(client_call(view->client, &request, NULL, 0, NULL), 0);
	ck_assert_int_eq(client_call(view->client, &request, NULL, 0, NULL), -ENOENT);
}

static void leave_by_goodbye(const struct view *view)
{
	REQUEST(request, GOODBYE, goodbye);
	client_send(view->client, &request, NULL, 0);
	client_expect_end(view->client);
}

static void die_by_hang_up(const struct view *view)
{
	client_close(view->client);
}

static void die_by_garbage(const struct view *view)
{
	ck_assert_int_eq(client_send_raw(view->client, "\xff", 1, NULL, 0), 0);
	client_expect_end(view->client);
}

static const struct {
	void (*go)(const struct view *view);
	enum fbk_cause cause;
	int error;
} ways_to_go[] = {
	{ leave_by_close, FBK_CAUSE_OWNER_LEFT, -EPIPE },
	{ leave_by_unregistering, FBK_CAUSE_OWNER_LEFT, -EPIPE },
	{ leave_by_goodbye, FBK_CAUSE_OWNER_LEFT, -EPIPE },
	{ die_by_hang_up, FBK_CAUSE_OWNER_DIED, -EOWNERDEAD },
	{ die_by_garbage, FBK_CAUSE_OWNER_DIED, -EOWNERDEAD },
};

/* The daemon reads the payload before the timeline fails: a signal without a bell counts. Later
 * opens are refused, with the reason. */
START_TEST(owner_goes)
{
	struct view view, third;
	struct waits waits;
	int token;
	begin(0, &view, &waits);
	ck_assert_int_eq(view_share(&waits.view, FBK_RIGHT_WAIT, &token), 0);
	atomic_store(&view.payload->payload, 7);
	ways_to_go[_i].go(&view);
	waits_expect(&waits, 8, ways_to_go[_i].cause, ways_to_go[_i].error);
	ck_assert_int_eq(view_open(&bystander.waiter, token, &third), -ENOENT);
	ck_assert_msg(strstr(bystander.waiter.detail, "cpu0"), "%s", bystander.waiter.detail);
	close(token);
	ck_assert_int_eq(view_close(&waits.view), 0);
}
END_TEST

/* The waiter ends first: its export fires, and the signaler goes on. */
START_TEST(waiter_goes)
{
	struct view view;
	struct waits waits;
	begin(0, &view, &waits);
	view_await_monitored(&view, POINT);
	client_close(&waiter);
	view_await_monitored(&view, FBK_MONITORED_NONE);
	ck_assert(readable(waits.exported, PATIENCE_MS));
	close(waits.exported);
	ck_assert(view_signal(&view, 0, 1));
	ck_assert_uint_eq(view_status(&view), FBK_STATUS_OK);
}
END_TEST

START_TEST(daemon_stops)
{
	struct view view;
	struct waits waits;
	begin(0, &view, &waits);
	ck_assert(view_signal(&view, 0, 2));
	daemon_terminate(&fencebrokerd);
	ck_assert_int_eq(cell_wait(&waits.view, waits.sequence, PATIENCE_MS), 0);
	ck_assert_int_eq(point_check(&waits.view, 2), 0);
	ck_assert_int_eq(point_check(&waits.view, 3), -ENOTCONN);
	ck_assert_uint_eq(waits.view.control->cause, FBK_CAUSE_DAEMON_LOST);
	ck_assert(readable(waits.exported, PATIENCE_MS));
	close(waits.exported);
	daemon_start(&fencebrokerd, NULL); /* for the teardown: a new one in its place */
	client_close(&waiter);
	client_close(&signaler);
	client_close(&bystander.waiter);
	client_close(&bystander.signaler);
	bystander_open(&bystander, &fencebrokerd);
}
END_TEST

/* -------------------------------------------------------------------------- another process --- */

/* A signaler in a process of its own: hands its token to us, signals up to 5, and stays. */
struct other {
	pid_t pid;
	int socket;      /* ours */
	int peer;        /* its own */
	bool with_child; /* a child inherits its connection, and outlives it */
};

static int other_run(void *arg)
{
	const struct other *other = arg;
	struct client client;
	struct view view;
	int token;
	client_open(&client, &fencebrokerd);
	device = client_device(&client, "cpu0");
	if (view_create(&client, device, 0, "remote", 0, &view) < 0 ||
	    view_share(&view, FBK_RIGHT_WAIT, &token) < 0) {
		return 1;
	}
	if (other->with_child && fork() == 0) {
		char byte;
		close(other->socket);
		return read(other->peer, &byte, 1) < 0; /* until the test ends */
	}
	atomic_store(&view.payload->payload, 5);
	wire_send(other->peer, "token", 5, &token, 1);
	pause();
	return 1;
}

static void other_start(struct other *other, struct view *ret_view)
{
	static struct wire_packet packet;
	int ends[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	other->socket = ends[0];
	other->peer = ends[1];
	other->pid = child_start(other_run, other);
	ck_assert(readable(ends[0], PATIENCE_MS));
	ck_assert_int_eq(wire_receive(ends[0], &packet), 1);
	ck_assert_uint_eq(packet.fd_count, 1);
	int r = view_open(&waiter, packet.fds[0], ret_view);
	ck_assert_msg(r == 0, "%s", waiter.detail);
	close(packet.fds[0]);
}

/* _i: 1: a child of the signaler still holds its connection. What counts is the process, not the
 * socket. */
START_TEST(owner_killed)
{
	struct other other = { .with_child = _i == 1 };
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	struct waits waits;
	struct view view;
	char who[64];
	other_start(&other, &view);
	waits_begin(&waits, &view);
	ck_assert_int_eq(kill(other.pid, SIGKILL), 0);
	waits_expect(&waits, 6, FBK_CAUSE_OWNER_DIED, -EOWNERDEAD);
	ck_assert_int_eq(child_wait(other.pid), 128 + SIGKILL);
	ck_assert_int_eq(view_info(&view, &info), 0);
	ck_assert_int_eq(info.pid, other.pid);
	snprintf(who, sizeof(who), "timeline remote failed: cpu0 (pid %d) died", other.pid);
	ck_assert_msg(strstr(info.reason, who), "%s", info.reason);
	close(other.socket);
	close(other.peer);
}
END_TEST

/* A stopped signaler is not dead: its waiters have their own deadlines, and blame names it. */
START_TEST(owner_stopped)
{
	struct other other = { 0 };
	struct reply reply;
	struct view view;
	uint64_t number;
	int result;
	char who[32];
	other_start(&other, &view);
	ck_assert_int_eq(kill(other.pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(other.pid, &result, WUNTRACED), other.pid);
	ck_assert_int_eq(view_watch(&view, 6, 1, 1), 0);
	client_next_fired(&waiter, &number, &result);
	ck_assert_int_eq(result, -ETIMEDOUT);
	ck_assert_int_eq(point_check(&view, 5), 0);
	ck_assert_int_eq(point_wait(&view, 6, 20), -ETIMEDOUT);

	REQUEST(blame, POINT_BLAME, point_blame);
	blame.point_blame->handle = view.handle;
	blame.point_blame->value = 6;
	ck_assert_int_eq(client_call(&waiter, &blame, NULL, 0, &reply), 0);
	snprintf(who, sizeof(who), "pid %d", other.pid);
	ck_assert_msg(strstr(reply.message->text->text, who), "%s", reply.message->text->text);
	ck_assert_msg(strstr(reply.message->text->text, "stopped"), "%s",
		      reply.message->text->text);
	reply_free(&reply);
	kill(other.pid, SIGKILL);
	ck_assert_int_eq(child_wait(other.pid), 128 + SIGKILL);
	ck_assert_int_eq(point_wait(&view, 6, PATIENCE_MS), -EOWNERDEAD);
	close(other.socket);
	close(other.peer);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, failed_by_owner, 0, 2);
	tcase_add_test(tcase, failed_at_once);
	tcase_add_test(tcase, bad_errors);
	tcase_add_test(tcase, hostile_reason);
	ADD_LOOP(tcase, owner_goes, ways_to_go);
	tcase_add_test(tcase, waiter_goes);
	tcase_add_test(tcase, daemon_stops);
	tcase_add_loop_test(tcase, owner_killed, 0, 2);
	tcase_add_test(tcase, owner_stopped);
}

int main(void)
{
	return suite_main("failing", add);
}
