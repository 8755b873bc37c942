// SPDX-License-Identifier: MIT
/* The administrator's requests over the socket: what they end, who waits for that, and who may send them. The daemon
 * serves the system; this test is root, and another user in a child process. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib-view.h"

#define NOBODY 65534
#define POINT  10
#define WATCH  2

static const char policy[] =
	"version = 1;\n"
	"rules: (\n"
	"  { user = \"*\"; connect = true; register = true; inspect = \"all\"; }\n"
	");\n";

static struct daemon fencebrokerd;
static struct client admin, signaler, waiter;
static uint32_t device;

static void setup(void)
{
	daemon_serve(&fencebrokerd, policy);
	client_open(&admin, &fencebrokerd);
	client_open(&signaler, &fencebrokerd);
	client_open(&waiter, &fencebrokerd);
	device = client_device(&signaler, "cpu0");
}

static void teardown(void)
{
	client_close(&waiter);
	client_close(&signaler);
	client_close(&admin);
	daemon_end(&fencebrokerd);
}

/* ------------------------------------------------------------------------------- the requests -- */

static char said[16384]; /* the sentences of the last answer, one a line */
static size_t sentences;

static int ask(struct client *client, Fbk__Wire__Request *request)
{
	struct reply reply;
	said[0] = '\0';
	sentences = 0;
	int r = client_call(client, request, NULL, 0, &reply);
	if (r < 0) {
		return r;
	}
	EXPECT(reply.message->body_case == FBK__WIRE__MESSAGE__BODY_AFFECTED);
	const Fbk__Wire__Affected *affected = reply.message->affected;
	size_t used = 0;
	for (sentences = 0; sentences < affected->n_text; sentences++) {
		used += (size_t)snprintf(said + used, sizeof(said) - used, "%s\n",
					 affected->text[sentences]);
		EXPECT(used < sizeof(said));
	}
	reply_free(&reply);
	return 0;
}

static int ask_fail(struct client *client, uint64_t id, const char *reason, bool dry_run)
{
	REQUEST(request, ADMIN_FAIL, admin_fail);
	request.admin_fail->id = id;
	request.admin_fail->reason = (char *)(uintptr_t)reason;
	request.admin_fail->dry_run = dry_run;
	return ask(client, &request);
}

static int ask_evict(struct client *client, uint64_t id, const char *reason, bool dry_run)
{
	REQUEST(request, ADMIN_EVICT, admin_evict);
	request.admin_evict->client = id;
	request.admin_evict->reason = (char *)(uintptr_t)reason;
	request.admin_evict->dry_run = dry_run;
	return ask(client, &request);
}

static void expect_said(const char *what)
{
	ck_assert_msg(strstr(said, what), "\"%s\" is not in: %s", what, said);
}

static void expect_logged(const char *what)
{
	static char text[1 << 16];
	uint64_t deadline = now_ms() + PATIENCE_MS;
	do {
		daemon_log_text(&fencebrokerd, text, sizeof(text));
		if (strstr(text, what)) {
			return;
		}
		yield_briefly();
	} while (now_ms() < deadline);
	ck_abort_msg("\"%s\" is not in the log: %s", what, text);
}

/* The client that registered the device of that name. */
static uint64_t client_id_of(const char *name)
{
	struct reply reply;
	uint64_t id = 0;
	REQUEST(request, INSPECT_DEVICES, inspect_devices);
	ck_assert_int_eq(client_call(&admin, &request, NULL, 0, &reply), 0);
	const Fbk__Wire__DeviceList *list = reply.message->devices;
	for (size_t i = 0; i < list->n_devices; i++) {
		if (strcmp(list->devices[i]->name, name) == 0) {
			id = list->devices[i]->client_id;
		}
	}
	reply_free(&reply);
	ck_assert_msg(id > 0, "no device %s", name);
	return id;
}

/* A timeline that the waiter waits for with a watch and a cell. */
struct doomed {
	struct view signals, waits;
	uint32_t sequence;
};

static void doomed_begin(struct doomed *doomed, uint32_t flags)
{
	view_pair(&signaler, device, "doomed", flags, &waiter, &doomed->signals, &doomed->waits);
	ck_assert_int_eq(view_watch(&doomed->waits, POINT, UINT64_MAX, WATCH), 0);
	doomed->sequence = cell_arm(&doomed->waits, POINT);
	view_await_monitored(&doomed->signals, POINT);
}

static void doomed_expect_alive(const struct doomed *doomed)
{
	ck_assert_uint_eq(view_status(&doomed->waits), FBK_STATUS_OK);
	ck_assert_int_eq(point_check(&doomed->waits, POINT), -EAGAIN);
}

static void doomed_expect_failed(const struct doomed *doomed, uint64_t from, const char *reason)
{
	struct fbk_timeline_info info;
	uint64_t number;
	int result;
	ck_assert_int_eq(cell_wait(&doomed->waits, doomed->sequence, PATIENCE_MS), 0);
	ck_assert_int_eq(point_wait(&doomed->waits, POINT, PATIENCE_MS), -ECANCELED);
	client_next_fired(&waiter, &number, &result);
	ck_assert_uint_eq(number, WATCH);
	ck_assert_int_eq(result, -ECANCELED);
	ck_assert_int_eq(view_info(&doomed->waits, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_ADMIN);
	ck_assert_int_eq(info.error, -ECANCELED);
	ck_assert_uint_eq(info.failed_from, from);
	ck_assert_msg(strstr(info.reason, reason), "%s", info.reason);
}

/* ------------------------------------------------------------------------------ fail a timeline -- */

/* _i: the flags. A signal that nobody rang for counts: the daemon looks first. */
START_TEST(fail_ends_waits)
{
	struct doomed doomed;
	doomed_begin(&doomed, (uint32_t)_i);
	if (_i == 0) {
		atomic_store(&doomed.signals.payload->payload, 3);
	} else {
		ck_assert_int_eq(view_request_signal(&doomed.signals, 3), 0);
	}
	ck_assert_int_eq(ask_fail(&admin, doomed.signals.id, "the GPU hangs", false), 0);
	expect_said("doomed (timeline ");
	expect_said("fails from point 4\n");
	expect_said("waits for point 10 of doomed (wait)\n");
	expect_said("waits for point 10 of doomed (watch)\n");
	ck_assert_uint_eq(sentences, 3);
	doomed_expect_failed(&doomed, 4, "the GPU hangs");
	expect_logged("uid 0 fails timeline doomed (");

	ck_assert_int_eq(ask_fail(&admin, doomed.signals.id, "", false), -EALREADY);
	client_expect_detail(&admin, "the GPU hangs");
	client_ping(&signaler);
}
END_TEST

START_TEST(fail_without_a_reason)
{
	struct doomed doomed;
	doomed_begin(&doomed, 0);
	ck_assert_int_eq(ask_fail(&admin, doomed.signals.id, "", false), 0);
	doomed_expect_failed(&doomed, 1, "the administrator (uid 0) failed doomed");
}
END_TEST

START_TEST(fail_unknown)
{
	struct view view;
	ck_assert_int_eq(view_create(&signaler, device, 0, "line", 0, &view), 0);
	static const uint64_t wrong[] = { 0, UINT64_MAX };
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(ask_fail(&admin, wrong[i], "", false), -ENOENT);
		client_expect_detail(&admin, "fencectl timelines");
	}
	ck_assert_int_eq(ask_fail(&admin, view.id - 1, "", false), -ENOENT);
	ck_assert_int_eq(ask_fail(&admin, view.id + 1, "", false), -ENOENT);
	ck_assert_uint_eq(view_status(&view), FBK_STATUS_OK);
}
END_TEST

START_TEST(dry_run_changes_nothing)
{
	static char would[sizeof(said)];
	struct doomed doomed;
	doomed_begin(&doomed, 0);
	uint64_t id = client_id_of("cpu0");
	ck_assert_int_eq(ask_evict(&admin, id, "", true), 0);
	expect_said("is disconnected\n");
	ck_assert_uint_eq(sentences, 4);
	ck_assert_int_eq(ask_fail(&admin, doomed.signals.id, "", true), 0);
	strcpy(would, said);
	ck_assert_uint_eq(sentences, 3);
	doomed_expect_alive(&doomed);
	client_ping(&signaler);
	ck_assert_int_eq(ask_fail(&admin, doomed.signals.id, "", false), 0);
	ck_assert_str_eq(said, would);
	doomed_expect_failed(&doomed, 1, "");
}
END_TEST

#define MANY 600

/* More waits than a packet has room for: the rest is counted. */
START_TEST(many_wait)
{
	struct view signals, waits;
	unsigned int more;
	view_pair(&signaler, device, "a-name-as-long-as-it-may-be-now", 0, &waiter, &signals,
		  &waits);
	for (unsigned int i = 1; i <= MANY; i++) {
		ck_assert_int_eq(view_watch(&waits, POINT, UINT64_MAX, i), 0);
	}
	ck_assert_int_eq(ask_fail(&admin, signals.id, "", true), 0);
	ck_assert_uint_gt(sentences, 50);
	const char *last = strstr(said, "\nand ");
	ck_assert_ptr_nonnull(last);
	ck_assert_int_eq(sscanf(last, "\nand %u more\n", &more), 1);
	ck_assert_uint_eq(sentences - 1 + more, 1 + MANY); /* the timeline has one too */
}
END_TEST

/* ------------------------------------------------------------------------------- evict a client -- */

START_TEST(evict_ends_the_client)
{
	struct doomed doomed;
	doomed_begin(&doomed, 0);
	atomic_store(&doomed.signals.payload->payload, 5);
	uint64_t id = client_id_of("cpu0");
	ck_assert_int_eq(ask_evict(&admin, id, "it\nhogs memory", false), 0);
	expect_said("is disconnected\n");
	expect_said("fails from point 6\n");
	expect_said("waits for point 10 of doomed (watch)\n");
	client_expect_end(&signaler);
	doomed_expect_failed(&doomed, 6,
			     "the signaler of doomed, was stopped by the administrator");
	expect_logged("uid 0 evicts ");
	expect_logged("it?hogs memory");
	ck_assert_int_eq(ask_evict(&admin, id, "", false), -ENOENT);
	client_expect_detail(&admin, "fencectl devices");
}
END_TEST

START_TEST(evict_oneself)
{
	struct doomed doomed;
	doomed_begin(&doomed, FBK_TIMELINE_BROKERED);
	ck_assert_int_eq(ask_evict(&signaler, client_id_of("cpu0"), "", false), 0);
	expect_said("is disconnected\n");
	client_expect_end(&signaler);
	doomed_expect_failed(&doomed, 1, "was stopped by the administrator");
}
END_TEST

START_TEST(evict_unknown)
{
	uint64_t id = client_id_of("cpu0");
	ck_assert_int_eq(ask_evict(&admin, 0, "", false), -ENOENT);
	ck_assert_int_eq(ask_evict(&admin, UINT64_MAX, "", false), -ENOENT);
	client_device(&waiter, "cpu1");
	/* ids of other objects */
	ck_assert_int_eq(ask_evict(&admin, client_id_of("cpu1") + 1, "", false), -ENOENT);
	client_ping(&signaler);
	ck_assert_uint_ne(id, client_id_of("cpu1"));
}
END_TEST

/* --------------------------------------------------------------------------------- who may ask -- */

static int stranger_run(void *arg)
{
	const uint64_t *ids = arg;
	struct client stranger;
	EXPECT(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	client_open(&stranger, &fencebrokerd);
	EXPECT(ask_fail(&stranger, ids[0], "", true) == -EPERM);
	EXPECT(strstr(stranger.detail, "be root") && strstr(stranger.detail, "polkit"));
	EXPECT(ask_fail(&stranger, ids[0], "", false) == -EPERM);
	EXPECT(ask_evict(&stranger, ids[1], "", false) == -EPERM);
	client_ping(&stranger);
	client_close(&stranger);
	return 0;
}

START_TEST(another_user_may_not)
{
	struct doomed doomed;
	doomed_begin(&doomed, 0);
	uint64_t ids[] = { doomed.signals.id, client_id_of("cpu0") };
	ck_assert_int_eq(child_wait(child_start(stranger_run, ids)), 0);
	doomed_expect_alive(&doomed);
	client_ping(&signaler);
}
END_TEST

/* The user of a --user daemon administers it. */
static int user_run(void *arg)
{
	const struct daemon *own = arg;
	struct client client;
	struct view view;
	EXPECT(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	client_open(&client, own);
	EXPECT(view_create(&client, client_device(&client, "cpu0"), 0, "line", 0, &view) == 0);
	EXPECT(ask_fail(&client, view.id, "", false) == 0);
	EXPECT(view_status(&view) == FBK_STATUS_FAILED);
	client_close(&client);
	return 0;
}

START_TEST(a_user_administers_its_own)
{
	struct daemon own;
	daemon_prepare(&own);
	ck_assert_int_eq(chown(own.directory, NOBODY, NOBODY), 0);
	daemon_start(&own, &(struct daemon_options){ .uid = NOBODY });
	ck_assert_int_eq(child_wait(child_start(user_run, &own)), 0);
	daemon_stop(&own);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, fail_ends_waits, 0, 2);
	tcase_add_test(tcase, fail_without_a_reason);
	tcase_add_test(tcase, fail_unknown);
	tcase_add_test(tcase, dry_run_changes_nothing);
	tcase_add_test(tcase, many_wait);
	tcase_add_test(tcase, evict_ends_the_client);
	tcase_add_test(tcase, evict_oneself);
	tcase_add_test(tcase, evict_unknown);
	tcase_add_test(tcase, another_user_may_not);
	tcase_add_test(tcase, a_user_administers_its_own);
}

int main(void)
{
	return suite_main("admin", add);
}
