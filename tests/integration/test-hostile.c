// SPDX-License-Identifier: MIT
/* Hostile clients, and clients that die at the worst moment, while a bystander goes on signalling
 * and waiting. Afterwards the daemon has as many fds and charges as before. For faults of a single
 * packet or fd see test-wire.c and test-fds.c. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-frame.h"
#include "lib-peer.h"
#include "lib-view.h"

#define FAR_NS (UINT64_C(1) << 62)

static const char *const resources[] = {
	"connections", "devices", "timelines", "open_timelines", "page_bytes",   "fds",
	"tokens",      "watches", "exports",   "imports",        "queued_bytes", "links",
};
#define RESOURCE_COUNT (sizeof(resources) / sizeof(resources[0]))

static struct daemon fencebrokerd;
static struct bystander bystander;
static int bystander_token; /* of its timeline */
static pthread_t bystander_thread;
static pthread_mutex_t bystander_in_round = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool bystander_stop;
static _Atomic unsigned long bystander_rounds;
static uint64_t usage_before[RESOURCE_COUNT];
static struct client client; /* the hostile one */

/* Rounds touch shared memory only: requests on the same connection may be made meanwhile. */
static void *bystander_run(void *arg)
{
	(void)arg;
	while (!bystander_stop) {
		pthread_mutex_lock(&bystander_in_round);
		bystander_round(&bystander);
		pthread_mutex_unlock(&bystander_in_round);
		bystander_rounds++;
		yield_briefly();
	}
	return NULL;
}

/* Forks between two rounds of the bystander: during one its thread may hold locks, for example of
 * libcheck, which the new process could never release. */
static pid_t process_start(int (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&bystander_in_round);
	pid_t pid = child_start(fn, arg);
	pthread_mutex_unlock(&bystander_in_round);
	return pid;
}

static void setup(void)
{
	daemon_serve(&fencebrokerd, NULL);
	bystander_open(&bystander, &fencebrokerd);
	EXPECT(view_share(&bystander.signals, FBK_RIGHT_WAIT, &bystander_token) == 0);
	for (size_t i = 0; i < RESOURCE_COUNT; i++) {
		usage_before[i] = client_usage(&bystander.waiter, getuid(), resources[i]);
	}
	EXPECT(pthread_create(&bystander_thread, NULL, bystander_run, NULL) == 0);
	client_open(&client, &fencebrokerd);
}

static void expect_usage_as_before(void)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	for (size_t i = 0; i < RESOURCE_COUNT; i++) {
		uint64_t used;
		while ((used = client_usage(&bystander.waiter, getuid(), resources[i])) !=
		       usage_before[i]) {
			ck_assert_msg(now_ms() < deadline, "%s: %llu are used and not %llu",
				      resources[i], (unsigned long long)used,
				      (unsigned long long)usage_before[i]);
			yield_briefly();
		}
	}
}

static void teardown(void)
{
	unsigned long rounds = bystander_rounds;
	uint64_t deadline = now_ms() + PATIENCE_MS;
	client_close(&client);
	expect_usage_as_before();
	while (bystander_rounds < rounds + 3) { /* it still goes on */
		EXPECT(now_ms() < deadline);
		yield_briefly();
	}
	bystander_stop = true;
	pthread_join(bystander_thread, NULL);
	bystander_close(&bystander);
	daemon_stop(&fencebrokerd);
}

static void daemon_pause(void)
{
	int status;
	EXPECT(kill(fencebrokerd.pid, SIGSTOP) == 0);
	EXPECT(waitpid(fencebrokerd.pid, &status, WUNTRACED) == fencebrokerd.pid);
	EXPECT(WIFSTOPPED(status));
}

static void daemon_resume(void)
{
	EXPECT(kill(fencebrokerd.pid, SIGCONT) == 0);
}

/* One of each object that a client can have. */
static void have_everything(void)
{
	static struct view view, brokered, opened;
	int fence = eventfd(0, EFD_CLOEXEC);
	int fd;
	uint32_t device = client_device(&client, "cpu0");
	uint32_t set = client_set(&client);
	EXPECT(view_create(&client, device, set, "memory", 0, &view) == 0);
	EXPECT(view_create(&client, device, set, "brokered", FBK_TIMELINE_BROKERED, &brokered) ==
	       0);
	EXPECT(view_share(&view, FBK_RIGHT_WAIT, &fd) == 0 && close(fd) == 0);
	EXPECT(view_share(&brokered, FBK_RIGHT_SIGNAL, &fd) == 0 && close(fd) == 0);
	EXPECT(view_open(&client, bystander_token, &opened) == 0);
	EXPECT(view_watch(&opened, FBK_POINT_MAX, FAR_NS, 1) == 0);
	EXPECT(view_watch(&view, 1, FAR_NS, 2) == 0);
	EXPECT(view_export(&opened, FBK_POINT_MAX, FBK_FENCE_EVENTFD, FAR_NS, &fd) == 0);
	close(fd);
	EXPECT(view_export(&view, 1, FBK_FENCE_EVENTFD, FAR_NS, &fd) == 0 && close(fd) == 0);
	EXPECT(view_import(&brokered, 1, fence) == 0 && close(fence) == 0);
	cell_arm(&opened, FBK_POINT_MAX);
}

/* ---------------------------------------------------------------------------------- leaving --- */

START_TEST(closes_with_everything)
{
	for (int round = 0; round < 20; round++) {
		have_everything();
		client_close(&client);
		client_open(&client, &fencebrokerd);
	}
}
END_TEST

static _Noreturn int killed_with_everything_run(void *arg)
{
	int ready = *(const int *)arg;
	client_open(&client, &fencebrokerd);
	have_everything();
	eventfd_write(ready, 1);
	for (;;) {
		pause();
	}
}

START_TEST(killed_with_everything)
{
	int ready = eventfd(0, 0);
	eventfd_t value;
	for (int round = 0; round < 10; round++) {
		pid_t pid = process_start(killed_with_everything_run, &ready);
		ck_assert_int_eq(eventfd_read(ready, &value), 0);
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(child_wait(pid), 128 + SIGKILL);
	}
	close(ready);
}
END_TEST

/* Sends requests whose replies carry fds, and does not wait for the replies. */
static void ask_for_fds(size_t times)
{
	for (size_t i = 0; i < times; i++) {
		REQUEST(request, TIMELINE_SHARE, timeline_share);
		request.timeline_share->handle = 1;
		request.timeline_share->rights = FBK_RIGHT_WAIT;
		client_send(&client, &request, NULL, 0);
	}
}

/* The daemon may have done what it asked for, but the reply reaches no client. */
START_TEST(closes_before_the_answer)
{
	struct view view;
	for (int round = 0; round < 50; round++) {
		uint32_t device = client_device(&client, "cpu0");
		ck_assert_int_eq(view_create(&client, device, 0, "one", 0, &view), 0);
		ck_assert_uint_eq(view.handle, 1);
		ask_for_fds(1 + (size_t)round % 20);
		client_close(&client);
		client_open(&client, &fencebrokerd);
	}
}
END_TEST

static _Noreturn int asks_and_waits_run(void *arg)
{
	const int *events = arg;
	struct view view;
	eventfd_t value;
	client_open(&client, &fencebrokerd);
	uint32_t device = client_device(&client, "cpu0");
	EXPECT(view_create(&client, device, 0, "one", 0, &view) == 0);
	eventfd_write(events[0], 1); /* stop the daemon now */
	eventfd_read(events[1], &value);
	ask_for_fds(10);
	eventfd_write(events[0], 1);
	for (;;) {
		pause();
	}
}

START_TEST(killed_before_the_answer)
{
	int events[2] = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
	eventfd_t value;
	for (int round = 0; round < 5; round++) {
		pid_t pid = process_start(asks_and_waits_run, events);
		ck_assert_int_eq(eventfd_read(events[0], &value), 0);
		daemon_pause();
		eventfd_write(events[1], 1);
		ck_assert_int_eq(eventfd_read(events[0], &value), 0);
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(child_wait(pid), 128 + SIGKILL);
		daemon_resume();
	}
	close(events[0]);
	close(events[1]);
}
END_TEST

/* Leaves its connection to a child, which goes on: the process that connected is gone, and the
 * session ends with it. */
static int leaves_a_child_run(void *arg)
{
	int ready = *(const int *)arg;
	client_open(&client, &fencebrokerd);
	have_everything();
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, 0);
		for (unsigned int i = 0; i < 100; i++) {
			wire_send(client.socket, "\x08\x01\x32\x00", 4, NULL, 0); /* SetCreate */
		}
		eventfd_write(ready, 1);
		client_expect_end(&client); /* past the answers: the test's time is the limit */
		_exit(0);
	}
	return 0;
}

START_TEST(leaves_a_child)
{
	int ready = eventfd(0, EFD_CLOEXEC);
	eventfd_t value;
	pid_t pid = process_start(leaves_a_child_run, &ready);
	ck_assert_int_eq(child_wait(pid), 0);
	ck_assert_int_eq(eventfd_read(ready, &value), 0);
	client_close(&client);
	expect_usage_as_before();
	close(ready);
}
END_TEST

START_TEST(goodbye_and_more)
{
	REQUEST(goodbye, GOODBYE, goodbye);
	REQUEST(set, SET_CREATE, set_create);
	have_everything();
	daemon_pause();
	client_send(&client, &goodbye, NULL, 0);
	client_send(&client, &goodbye, NULL, 0);
	client_send(&client, &set, NULL, 0);
	daemon_resume();
	client_expect_end(&client); /* without waiting for the replies */
}
END_TEST

/* Shuts down its reading side, and then sends requests that make the daemon write. */
START_TEST(reads_no_more)
{
	struct view view;
	uint32_t device = client_device(&client, "cpu0");
	ck_assert_int_eq(view_create(&client, device, 0, "one", 0, &view), 0);
	ck_assert_int_eq(view_watch(&view, 1, FAR_NS, 1), 0);
	ck_assert_int_eq(shutdown(client.socket, SHUT_RD), 0);
	ask_for_fds(1000);
	ck_assert(view_signal(&view, 0, 1));
	ask_for_fds(1000);
}
END_TEST

START_TEST(writes_no_more)
{
	have_everything();
	ck_assert_int_eq(shutdown(client.socket, SHUT_WR), 0);
	client_expect_end(&client);
}
END_TEST

static int ring_without_pause(void *arg)
{
	static struct client ringer;
	(void)arg;
	client_open(&ringer, &fencebrokerd);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (eventfd_write(ringer.doorbell, 1) == 0) {
		/* relaxed: nothing is read after it; the daemon looks at every word it names */
		atomic_store_explicit(&ringer.pair->bell_summary, UINT64_MAX, memory_order_relaxed);
	}
	return 0;
}

/* Doorbells come first, but not for ever: requests of others are served despite the ringing. */
START_TEST(rings_without_pause)
{
	pid_t pids[2];
	uint64_t bells = client_counter(&client, "bells");
	for (int i = 0; i < 2; i++) {
		pids[i] = process_start(ring_without_pause, NULL);
	}
	client_await_counter(&client, "bells", bells + 1000);
	for (int i = 0; i < 300; i++) {
		uint64_t before = now_ms();
		client_ping(&client);
		EXPECT(now_ms() - before < BYSTANDER_BOUND_MS);
	}
	for (int i = 0; i < 2; i++) {
		kill(pids[i], SIGKILL);
		child_wait(pids[i]);
	}
}
END_TEST

START_TEST(never_says_hello)
{
	struct client mute;
	uint64_t started = now_ms();
	char log[4096];
	client_connect(&mute, &fencebrokerd);
	client_expect_end(&mute);
	ck_assert_uint_ge(now_ms() - started, 4900); /* five seconds */
	client_close(&mute);
	daemon_log_text(&fencebrokerd, log, sizeof(log));
	ck_assert_ptr_nonnull(strstr(log, "never said Hello"));
}
END_TEST

static void add_leaving(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, closes_with_everything);
	tcase_add_test(tcase, killed_with_everything);
	tcase_add_test(tcase, closes_before_the_answer);
	tcase_add_test(tcase, killed_before_the_answer);
	tcase_add_test(tcase, leaves_a_child);
	tcase_add_test(tcase, goodbye_and_more);
	tcase_add_test(tcase, reads_no_more);
	tcase_add_test(tcase, writes_no_more);
	tcase_add_test(tcase, rings_without_pause);
	tcase_add_test(tcase, never_says_hello);
}

/* ---------------------------------------------------------------------------------- sending --- */

static void client_again(void)
{
	client_close(&client);
	client_open(&client, &fencebrokerd);
}

/* A packet without bytes looks like the end of the connection; one with only fds is no request. */
START_TEST(empty_packets)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(client_send_raw(&client, "", 0, NULL, 0), 0);
	client_expect_end(&client);
	client_again();
	int fds[] = { fd, fd, fd };
	ck_assert_int_eq(client_send_raw(&client, "", 0, fds, 3), 0);
	client_expect_end(&client);
	close(fd);
}
END_TEST

/* It sends its own end of the connection to the daemon: received in one case, never received in the
 * other. */
START_TEST(socket_through_itself)
{
	REQUEST(request, TIMELINE_OPEN, timeline_open);
	int fds[4];
	for (size_t i = 0; i < 4; i++) {
		fds[i] = client.socket;
	}
	for (int round = 0; round < 20; round++) {
		ck_assert_int_eq(client_call(&client, &request, fds, 1, NULL), -EBADF);
		ck_assert_int_eq(client_call(&client, &request, fds, 4, NULL), -EINVAL);
	}
	for (int round = 0; round < 5; round++) {
		daemon_pause();
		client_send_raw(&client, "garbage", 7, fds, 4);
		client_send_raw(&client, "more", 4, fds, 4); /* these are never accepted */
		client_close(&client);
		daemon_resume();
		client_open(&client, &fencebrokerd);
		for (size_t i = 0; i < 4; i++) {
			fds[i] = client.socket;
		}
	}
}
END_TEST

/* Connections that are not accepted yet, sent over one that is: they end with it. */
START_TEST(connections_within_a_connection)
{
	struct client others[32];
	int fds[32];
	REQUEST(request, TIMELINE_OPEN, timeline_open);
	daemon_pause();
	for (size_t i = 0; i < 32; i++) {
		client_connect(&others[i], &fencebrokerd);
		fds[i] = others[i].socket;
	}
	client_send(&client, &request, fds, 32);
	for (size_t i = 0; i < 32; i++) {
		client_close(&others[i]);
	}
	daemon_resume();
	struct reply reply;
	ck_assert(client_receive(&client, &reply));
	ck_assert_int_eq(reply.message->error, -EINVAL);
	reply_free(&reply);
}
END_TEST

/* Reproducible noise: the test fails the same way again. */
static uint32_t noise(uint32_t below)
{
	static uint64_t state = 88172645463325252;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % below;
}

static size_t request_any(uint8_t *bytes)
{
	size_t size = 0;
	size_t body = 2 * noise(6);
	bytes[size++] = 0x08; /* a serial */
	bytes[size++] = (uint8_t)(1 + noise(127));
	uint32_t tag = (2 + noise(22)) << 3 | 2; /* any body but none; may be Hello or Goodbye */
	for (; tag >= 0x80; tag >>= 7) {
		bytes[size++] = (uint8_t)(tag | 0x80);
	}
	bytes[size++] = (uint8_t)tag;
	bytes[size++] = (uint8_t)body;
	for (size_t i = 0; i < body; i++) { /* small fields of the right shape, mostly */
		bytes[size++] = i % 2 == 0 ? (uint8_t)((1 + i / 2) << 3) : (uint8_t)noise(8);
	}
	if (noise(4) == 0) {
		bytes[noise((uint32_t)size)] ^= (uint8_t)(1U << noise(8));
	}
	return noise(8) == 0 ? 1 + noise((uint32_t)size) : size;
}

#define NOISE_PACKETS 4000
#define MARK_SERIAL   (UINT64_C(1) << 35)

/* Waits for the end of the connection, or for the reply to a packet that follows the noise. The
 * noise has at most one reply before that (some requests have none); besides it only events may
 * come. */
static bool noise_answered(void)
{
	static const uint8_t mark[] = { 0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01 }; /* no body */
	struct reply reply;
	size_t answers = 0;
	int r = client_send_raw(&client, mark, sizeof(mark), NULL, 0);
	EXPECT(r == 0 || r == -EPIPE || r == -ECONNRESET);
	while (client_receive(&client, &reply)) {
		uint64_t serial = reply.message->serial;
		reply_free(&reply);
		if (serial == MARK_SERIAL) {
			return true;
		}
		answers += serial != 0;
		EXPECT(answers <= 1);
	}
	return false;
}

START_TEST(noise_packets)
{
	uint8_t bytes[64];
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int fds[3] = { fd, fd, fd };
	size_t ended = 0;
	have_everything();
	for (size_t i = 0; i < NOISE_PACKETS; i++) {
		size_t size = request_any(bytes);
		size_t count = noise(3) == 0 ? noise(4) : 0;
		int r = client_send_raw(&client, bytes, size, fds, count);
		EXPECT(r == 0 || r == -EPIPE || r == -ECONNRESET);
		if (r < 0 || !noise_answered()) {
			ended++;
			client_again();
		}
	}
	close(fd);
	ck_assert_uint_gt(ended, NOISE_PACKETS / 100);
	ck_assert_uint_lt(ended, NOISE_PACKETS / 2); /* else the noise only made it reconnect */
}
END_TEST

/* These are never accepted; above the limit they are refused, and cost nothing. */
START_TEST(offers_ten_thousand_links)
{
	struct fbk_context *context = peer_connect(&fencebrokerd);
	struct fbk_device *device = peer_device(context, "greedy");
	struct fbk_link *link;
	unsigned int made = 0;
	int offer;
	for (unsigned int i = 0; i < 10000; i++) {
		int r = link_offer(device, FBK_ROLE_PRODUCER, &offer, &link);
		if (r == 0) {
			close(offer);
			made++;
			continue;
		}
		ck_assert_int_eq(r, -EDQUOT);
		/* limit of links, or of the daemon's fds: whichever comes first */
		ck_assert_msg(strstr(fbk_error_detail(), "a limit of uid"), "%s",
			      fbk_error_detail());
	}
	ck_assert_uint_ge(made, 100);
	ck_assert_uint_le(made, 1024);
	fbk_disconnect(context);
}
END_TEST

static void add_sending(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, empty_packets);
	tcase_add_test(tcase, socket_through_itself);
	tcase_add_test(tcase, connections_within_a_connection);
	tcase_add_test(tcase, noise_packets);
	tcase_add_test(tcase, offers_ten_thousand_links);
}

int main(void)
{
	int leaving = suite_main("hostile: leaving", add_leaving);
	int sending = suite_main("hostile: sending", add_sending);
	return leaving == 0 && sending == 0 ? 0 : 1;
}
