// SPDX-License-Identifier: MIT
/* Each limit of a user, with the last request that passes and the first that does not: a refusal
 * costs nothing, a release makes room, and no other user notices. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib-view.h"

#define NOBODY    65534
#define TAKES_MAX 32
#define FAR_NS    (UINT64_C(1) << 62)

static const char *const resources[] = {
	"connections", "devices", "timelines", "open_timelines", "page_bytes",   "fds",
	"tokens",      "watches", "exports",   "imports",        "queued_bytes", "log_lines",
};
#define RESOURCE_COUNT (sizeof(resources) / sizeof(resources[0]))

static struct daemon fencebrokerd;
static struct bystander bystander; /* of the same user: its objects count */
static struct client client;
static uint32_t device;
static struct view brokered, watched;

/* The objects that were taken, by number. */
static struct view views[TAKES_MAX];
static uint32_t devices[TAKES_MAX];
static int fds[TAKES_MAX];
static uint64_t next_value;

static void serve_with(const char *resource, uint64_t limit)
{
	char policy[256];
	snprintf(policy, sizeof(policy),
		 "version = 1;\nlimits: { %s = %llu; };\nrules: ( { user = \"*\"; connect = true;\n"
		 "register = true; inspect = \"all\"; } );\n",
		 resource, (unsigned long long)limit);
	daemon_serve(&fencebrokerd, policy);
	bystander_open(&bystander, &fencebrokerd);
}

static void teardown(void)
{
	client_close(&client);
	bystander_close(&bystander);
	daemon_stop(&fencebrokerd);
}

static uint64_t usage(const char *resource)
{
	return client_usage(&bystander.waiter, getuid(), resource);
}

static void await_usage(const char *resource, uint64_t amount)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	uint64_t used;
	while ((used = usage(resource)) != amount) {
		ck_assert_msg(now_ms() < deadline, "%s: %llu are used and not %llu", resource,
			      (unsigned long long)used, (unsigned long long)amount);
		yield_briefly();
	}
}

/* --------------------------------------------------------------- how to have one more of it --- */

static int device_take(size_t i)
{
	struct reply reply;
	char name[16];
	REQUEST(request, DEVICE_REGISTER, device_register);
	snprintf(name, sizeof(name), "device%zu", i);
	request.device_register->name = name;
	request.device_register->class_ = FBK_CLASS_CPU;
	int r = client_call(&client, &request, NULL, 0, &reply);
	if (r == 0) {
		devices[i] = reply.message->object->id;
		reply_free(&reply);
	}
	return r;
}

static void device_release(size_t i)
{
	REQUEST(request, DEVICE_UNREGISTER, device_unregister);
	request.device_unregister->device = devices[i];
	EXPECT(client_call(&client, &request, NULL, 0, NULL) == 0);
}

static int timeline_take(size_t i)
{
	return view_create(&client, device, 0, "taken", 0, &views[i]);
}

static void timeline_release(size_t i)
{
	EXPECT(view_close(&views[i]) == 0);
}

static int set_take(size_t i)
{
	struct reply reply;
	REQUEST(request, SET_CREATE, set_create);
	int r = client_call(&client, &request, NULL, 0, &reply);
	if (r == 0) {
		devices[i] = reply.message->object->id;
		reply_free(&reply);
	}
	return r;
}

static void set_release(size_t i)
{
	REQUEST(request, SET_DESTROY, set_destroy);
	request.set_destroy->set = devices[i];
	EXPECT(client_call(&client, &request, NULL, 0, NULL) == 0);
}

static int token_take(size_t i)
{
	EXPECT(timeline_take(i) == 0);
	int r = view_share(&views[i], FBK_RIGHT_WAIT, &fds[i]);
	if (r == 0) {
		close(fds[i]); /* the daemon has a copy */
	} else {
		timeline_release(i);
	}
	return r;
}

static int watch_take(size_t i)
{
	return view_watch(&watched, i + 1, FAR_NS, i);
}

static void watch_release(size_t i)
{
	REQUEST(request, WATCH_CANCEL, watch_cancel);
	request.watch_cancel->watch = i;
	EXPECT(client_call(&client, &request, NULL, 0, NULL) == 0);
}

/* On a timeline of its own, so that one can be decided alone. */
static int export_take(size_t i)
{
	EXPECT(timeline_take(i) == 0);
	int r = view_export(&views[i], 1, FBK_FENCE_EVENTFD, FAR_NS, &fds[i]);
	if (r < 0) {
		timeline_release(i);
	}
	return r;
}

static void export_release(size_t i)
{
	timeline_release(i); /* it fails, which decides its points */
	close(fds[i]);
}

static int import_take(size_t i)
{
	fds[i] = eventfd(0, EFD_CLOEXEC);
	int r = view_import(&brokered, next_value, fds[i]);
	next_value++;
	if (r < 0) {
		close(fds[i]);
	}
	return r;
}

static void import_release(size_t i)
{
	const uint64_t one = 1;
	EXPECT(write(fds[i], &one, sizeof(one)) == sizeof(one));
	close(fds[i]);
}

#define PAIR sizeof(struct fbk_pair_page)
#define SET  65536 /* what one more set costs */

/* Bystander and client: three sessions of 12 fds (8 that may lie unread in the
 * socket) and a pair page, three devices at most, and three
 * timelines of two pages each. */
static const struct {
	const char *resource;
	uint64_t limit;
	uint64_t unit; /* what one more object costs */
	int (*take)(size_t i);
	void (*release)(size_t i);
} limits[] = {
	{ "devices", 7, 1, device_take, device_release },
	{ "timelines", 9, 1, timeline_take, timeline_release },
	{ "open_timelines", 9, 1, timeline_take, timeline_release },
	{ "page_bytes", 3 * PAIR + 6 * 4096 + 5 * 8192, 8192, timeline_take, timeline_release },
	{ "page_bytes", 3 * PAIR + 6 * 4096 + 5 * 8192 - 1, 8192, timeline_take, timeline_release },
	{ "page_bytes", 3 * PAIR + 6 * 4096 + 2 * SET, SET, set_take, set_release },
	{ "fds", 60, 2, timeline_take, timeline_release },
	{ "fds", 61, 2, timeline_take, timeline_release },
	{ "fds", 60, 1, set_take, set_release },
	{ "tokens", 4, 1, token_take, timeline_release },
	{ "watches", 5, 1, watch_take, watch_release },
	{ "exports", 5, 1, export_take, export_release },
	{ "imports", 5, 1, import_take, import_release },
};

static void client_begin(void)
{
	client_open(&client, &fencebrokerd);
	device = client_device(&client, "cpu0");
	EXPECT(view_create(&client, device, 0, "brokered", FBK_TIMELINE_BROKERED, &brokered) == 0);
	EXPECT(view_create(&client, device, 0, "watched", 0, &watched) == 0);
	next_value = 1;
}

static void usage_all(uint64_t ret_usage[RESOURCE_COUNT])
{
	for (size_t i = 0; i < RESOURCE_COUNT; i++) {
		ret_usage[i] = usage(resources[i]);
	}
}

/* The next one is refused, with an error that names the limit and whose it is, and leaves nothing
 * behind. */
static void expect_refused(int case_number, size_t i)
{
	uint64_t before[RESOURCE_COUNT], after[RESOURCE_COUNT];
	char uid[32];
	usage_all(before);
	snprintf(uid, sizeof(uid), "a limit of uid %u", getuid());
	int r = limits[case_number].take(i);
	ck_assert_msg(r == -EDQUOT, "take %zu of %s: %d", i, limits[case_number].resource, r);
	ck_assert_msg(strstr(client.detail, uid), "%s", client.detail);
	ck_assert_msg(strstr(client.detail, limits[case_number].resource), "%s", client.detail);
	ck_assert_msg(strstr(client.detail, "raise it in the policy"), "%s", client.detail);
	usage_all(after);
	for (size_t j = 0; j < RESOURCE_COUNT; j++) {
		ck_assert_msg(after[j] == before[j], "being refused costs %llu of %s",
			      (unsigned long long)(after[j] - before[j]), resources[j]);
	}
}

/* Another user, with a limit of its own: it gets as much. */
static int stranger_takes(void *arg)
{
	const int *case_number = arg;
	if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0) {
		return 1;
	}
	client_begin();
	return limits[*case_number].take(TAKES_MAX - 1) == 0 ? 0 : 2;
}

START_TEST(limit)
{
	const char *resource = limits[_i].resource;
	size_t count = 0;
	serve_with(resource, limits[_i].limit);
	uint64_t bystanders = usage(resource);
	client_begin();
	uint64_t used = usage(resource);
	ck_assert_uint_le(used, limits[_i].limit);
	size_t room = (limits[_i].limit - used) / limits[_i].unit;
	ck_assert_uint_gt(room, 1);
	for (; count < room; count++) {
		int r = limits[_i].take(count);
		ck_assert_msg(r == 0, "%s %zu of %zu: %s", resource, count + 1, room,
			      client.detail);
		ck_assert_uint_eq(usage(resource), used + (count + 1) * limits[_i].unit);
	}
	expect_refused(_i, count);
	expect_refused(_i, count); /* and so it stays */
	bystander_round(&bystander);
	if (getuid() == 0) {
		ck_assert_int_eq(child_wait(child_start(stranger_takes, &_i)), 0);
	}
	limits[_i].release(0);
	await_usage(resource, used + (count - 1) * limits[_i].unit);
	int r = limits[_i].take(0);
	ck_assert_msg(r == 0, "%s: released, but: %s", resource, client.detail);
	expect_refused(_i, count);
	client_close(&client);
	await_usage(resource, bystanders);
	bystander_round(&bystander);
	client_begin(); /* everything can be taken again */
	for (count = 0; count < room; count++) {
		ck_assert_int_eq(limits[_i].take(count), 0);
	}
}
END_TEST

/* ----------------------------------------------------------------------- those of their own --- */

#define SESSIONS 8

/* A client without room gets an error, and the daemon hangs up. */
START_TEST(sessions)
{
	struct client clients[SESSIONS];
	serve_with("connections", SESSIONS);
	size_t room = SESSIONS - usage("connections");
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < room; i++) {
			client_open(&clients[i], &fencebrokerd);
		}
		ck_assert_uint_eq(usage("connections"), SESSIONS);
		uint64_t refused = client_counter(&bystander.waiter, "refused");
		client_connect(&client, &fencebrokerd);
		struct reply reply;
		EXPECT(client_receive(&client, &reply)); /* before any request of its own */
		ck_assert_int_eq(reply.message->error, -EDQUOT);
		ck_assert_msg(strstr(reply.message->detail, "connections"), "%s",
			      reply.message->detail);
		reply_free(&reply);
		client_expect_end(&client);
		client_close(&client);
		ck_assert_uint_eq(client_counter(&bystander.waiter, "refused"), refused + 1);
		bystander_round(&bystander);
		client_close(&clients[0]);
		await_usage("connections", SESSIONS - 1);
		client_open(&clients[0], &fencebrokerd);
		for (size_t i = 0; i < room; i++) {
			client_close(&clients[i]);
		}
		await_usage("connections", SESSIONS - room);
	}
}
END_TEST

/* Sends requests and does not read the replies, until the daemon takes no more. Returns how
 * many. */
static size_t flood(void)
{
	uint8_t bytes[32];
	size_t sent = 0;
	REQUEST(request, WATCH_CANCEL, watch_cancel);
	request.watch_cancel->watch = UINT64_MAX;
	request.serial = 1;
	size_t size = fbk__wire__request__pack(&request, bytes);
	uint64_t quiet_since = now_ms();
	while (now_ms() - quiet_since < 200) {
		int r = wire_send(client.socket, bytes, size, NULL, 0);
		if (r == 0) {
			quiet_since = now_ms();
			sent++;
		} else if (r == -EAGAIN) {
			yield_briefly();
		} else {
			return sent; /* it hung up */
		}
	}
	return sent;
}

START_TEST(queued_bytes_kept)
{
	serve_with("queued_bytes", 16384);
	client_open(&client, &fencebrokerd);
	size_t sent = flood();
	ck_assert_uint_gt(sent, 10);
	uint64_t queued = usage("queued_bytes");
	ck_assert_uint_gt(queued, 0);
	ck_assert_uint_lt(queued, 256); /* the daemon keeps one reply, and reads no more requests */
	bystander_round(&bystander);
	for (size_t i = 0; i < sent; i++) {
		struct reply reply;
		EXPECT(client_receive(&client, &reply));
		EXPECT(reply.message->serial == 1 && reply.message->error == -ENOENT);
		reply_free(&reply);
	}
	await_usage("queued_bytes", 0);
	client_ping(&client);
}
END_TEST

/* Without room for that reply the client is disconnected, no other, and what was sent before
 * arrives. */
START_TEST(queued_bytes_not_kept)
{
	struct reply reply;
	serve_with("queued_bytes", 1);
	client_open(&client, &fencebrokerd);
	flood();
	await_usage("connections", 2); /* the bystander's */
	while (client_receive(&client, &reply)) {
		EXPECT(reply.message->error == -ENOENT);
		reply_free(&reply);
	}
	ck_assert_uint_eq(usage("queued_bytes"), 0);
	bystander_round(&bystander);
}
END_TEST

#define LOG_LINES 3

static size_t count_of(const char *text, const char *word)
{
	size_t count = 0;
	while ((text = strstr(text, word))) {
		text += strlen(word);
		count++;
	}
	return count;
}

static void misbehave(size_t times)
{
	for (size_t i = 0; i < times; i++) {
		client_connect(&client, &fencebrokerd);
		EXPECT(client_send_raw(&client, "garbage", 7, NULL, 0) == 0);
		client_expect_end(&client);
		client_close(&client);
	}
}

static int stranger_misbehaves(void *arg)
{
	(void)arg;
	if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0) {
		return 1;
	}
	misbehave(1);
	return 0;
}

/* They are charged for ten seconds, however often the user reconnects. */
START_TEST(log_lines)
{
	char log[16384];
	serve_with("log_lines", LOG_LINES);
	misbehave(LOG_LINES + 2);
	ck_assert_uint_eq(usage("log_lines"), LOG_LINES);
	ck_assert_uint_eq(client_counter(&bystander.waiter, "log_lines_dropped"), 2);
	ck_assert_uint_eq(client_counter(&bystander.waiter, "malformed"), LOG_LINES + 2);
	daemon_log_text(&fencebrokerd, log, sizeof(log));
	ck_assert_uint_eq(count_of(log, "not a request; disconnected"), LOG_LINES);
	if (getuid() == 0) {
		ck_assert_int_eq(child_wait(child_start(stranger_misbehaves, NULL)), 0);
		daemon_log_text(&fencebrokerd, log, sizeof(log));
		ck_assert_uint_eq(count_of(log, "not a request; disconnected"), LOG_LINES + 1);
		ck_assert_ptr_nonnull(strstr(log, "uid 65534): it sent a packet"));
	}
	bystander_round(&bystander);
}
END_TEST

/* --------------------------------------------------------- who is refused before it is a client --- */

#define REFUSED  500
#define VANISHED 100

static void be_refused(size_t times)
{
	struct reply reply;
	for (size_t i = 0; i < times; i++) {
		client_connect(&client, &fencebrokerd);
		EXPECT(client_receive(&client, &reply));
		ck_assert_int_eq(reply.message->error, -EDQUOT);
		reply_free(&reply);
		client_expect_end(&client);
		client_close(&client);
	}
}

static int stranger_is_refused(void *arg)
{
	struct client clients[SESSIONS];
	(void)arg;
	if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0) {
		return 1;
	}
	for (size_t i = 0; i < SESSIONS; i++) {
		client_open(&clients[i], &fencebrokerd);
	}
	be_refused(2);
	return 0;
}

/* One line at once and one for all that follow, each the user's own. */
START_TEST(refused_connections)
{
	char log[1 << 16], expected[160];
	struct client clients[SESSIONS];
	serve_with("connections", SESSIONS);
	for (size_t i = 0; i < SESSIONS - 2; i++) {
		client_open(&clients[i], &fencebrokerd);
	}
	be_refused(REFUSED);
	ck_assert_uint_eq(client_counter(&bystander.waiter, "refused"), REFUSED);
	ck_assert_uint_eq(usage("log_lines"), 1);
	daemon_log_text(&fencebrokerd, log, sizeof(log));
	snprintf(expected, sizeof(expected),
		 "pid %d of uid %u was refused: a limit of uid %u is reached: connections "
		 "(%d open at a time)",
		 getpid(), getuid(), getuid(), SESSIONS);
	ck_assert_msg(strstr(log, expected), "%s", log);
	ck_assert_uint_eq(count_of(log, "refused"), 1);
	if (getuid() == 0) {
		ck_assert_int_eq(child_wait(child_start(stranger_is_refused, NULL)), 0);
		daemon_log_text(&fencebrokerd, log, sizeof(log));
		ck_assert_msg(strstr(log, "of uid 65534 was refused"), "%s", log);
		ck_assert_uint_eq(count_of(log, "refused"), 2);
		ck_assert_uint_eq(usage("log_lines"), 1);
	}
	for (size_t i = 0; i < SESSIONS - 2; i++) {
		client_close(&clients[i]);
	}
	bystander_close(&bystander);
	daemon_terminate(&fencebrokerd); /* what was not said yet */
	daemon_log_text(&fencebrokerd, log, sizeof(log));
	snprintf(expected, sizeof(expected),
		 "%d connections of uid %u were refused in 10 seconds, the last of pid %d: a limit",
		 REFUSED - 1, getuid(), getpid());
	ck_assert_msg(strstr(log, expected), "%s", log);
	ck_assert_uint_eq(count_of(log, "refused"), getuid() == 0 ? 4 : 2);
	daemon_start(&fencebrokerd, NULL);
	bystander_open(&bystander, &fencebrokerd);
}
END_TEST

static int vanish(void *arg)
{
	struct client vanishing;
	(void)arg;
	client_connect(&vanishing, &fencebrokerd);
	return 0;
}

/* Processes that are gone before the daemon accepts: nobody could watch them. */
START_TEST(vanished_before_accept)
{
	char log[1 << 16];
	serve_with("connections", SESSIONS);
	uint64_t lines = usage("log_lines");
	EXPECT(kill(fencebrokerd.pid, SIGSTOP) == 0);
	for (size_t i = 0; i < VANISHED; i++) {
		ck_assert_int_eq(child_wait(child_start(vanish, NULL)), 0);
	}
	EXPECT(kill(fencebrokerd.pid, SIGCONT) == 0);
	bystander_round(&bystander);
	daemon_await_fds(&fencebrokerd, bystander.fds);
	ck_assert_uint_le(usage("log_lines"), lines + 1);
	daemon_log_text(&fencebrokerd, log, sizeof(log));
	ck_assert_msg(count_of(log, "refused") <= 1, "%s", log);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, NULL, teardown);
	ADD_LOOP(tcase, limit, limits);
	tcase_add_test(tcase, sessions);
	tcase_add_test(tcase, queued_bytes_kept);
	tcase_add_test(tcase, queued_bytes_not_kept);
	tcase_add_test(tcase, log_lines);
	tcase_add_test(tcase, refused_connections);
	tcase_add_test(tcase, vanished_before_accept);
}

int main(void)
{
	int r = suite_main("limits", add);
	if (getuid() != 0) {
		puts("not root: that another user keeps its limits was not tried");
	}
	return r;
}
