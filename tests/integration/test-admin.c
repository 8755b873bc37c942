// SPDX-License-Identifier: MIT
/* The administrator's requests over the socket: what they end, who waits for that, and who may send them. The daemon
 * serves the system; this test is root, and another user in a child process. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib-device.h"
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
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	uint64_t number;
	int result;
	ck_assert_int_eq(cell_wait(&doomed->waits, doomed->sequence, PATIENCE_MS), 0);
	ck_assert_int_eq(point_wait(&doomed->waits, POINT, PATIENCE_MS), -ECONNABORTED);
	client_next_fired(&waiter, &number, &result);
	ck_assert_uint_eq(number, WATCH);
	ck_assert_int_eq(result, -ECONNABORTED);
	ck_assert_int_eq(view_info(&doomed->waits, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_ADMIN);
	ck_assert_int_eq(info.error, -ECONNABORTED);
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
	doomed_expect_failed(&doomed, 6, "timeline doomed failed: cpu0");
	expect_logged("uid 0 evicts ");
	expect_logged("it?hogs memory");
	ck_assert_int_eq(ask_evict(&admin, id, "", false), -ENOENT);
	client_expect_detail(&admin, "fencectl clients");
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

/* ------------------------------------------------------------------------------------- reload -- */

static void policy_put(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	EXPECT(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static int ask_reload(struct client *client)
{
	REQUEST(request, ADMIN_RELOAD, admin_reload);
	return client_call(client, &request, NULL, 0, NULL);
}

static int try_device(struct client *client, const char *name)
{
	REQUEST(request, DEVICE_REGISTER, device_register);
	request.device_register->name = (char *)(uintptr_t)name;
	request.device_register->class_ = FBK_CLASS_CPU;
	request.device_register->signals = FBK_FENCE_MEMORY64;
	return client_call(client, &request, NULL, 0, NULL);
}

static int newcomer_run(void *arg)
{
	const int *expected = arg;
	struct client client;
	client_open(&client, &fencebrokerd);
	EXPECT(try_device(&client, "new") == *expected);
	client_close(&client);
	return 0;
}

static void expect_newcomer(int result)
{
	ck_assert_int_eq(child_wait(child_start(newcomer_run, &result)), 0);
}

static const char no_devices[] =
	"version = 1;\n"
	"rules: (\n"
	"  { user = \"*\"; connect = true; register = false; inspect = \"all\"; }\n"
	");\n";

START_TEST(reload_changes_the_rules)
{
	struct doomed stays;
	doomed_begin(&stays, 0);
	expect_newcomer(0);
	policy_put(fencebrokerd.policy, no_devices);
	expect_newcomer(0); /* not yet */
	ck_assert_int_eq(ask_reload(&admin), 0);
	expect_newcomer(-EPERM);
	ck_assert_int_eq(try_device(&signaler, "cpu1"), -EPERM);
	client_expect_detail(&signaler, "policy.conf:3");
	expect_logged("policy.conf is in force");

	/* what exists stays, and works */
	ck_assert(view_signal(&stays.signals, 0, POINT));
	ck_assert_int_eq(point_wait(&stays.waits, POINT, PATIENCE_MS), 0);
	policy_put(fencebrokerd.policy, policy);
	ck_assert_int_eq(ask_reload(&admin), 0);
	expect_newcomer(0);
}
END_TEST

/* Limits of users that are here already; what they hold above a lower limit they keep. */
START_TEST(reload_changes_limits)
{
	char text[512];
	for (int i = 0; i < 3; i++) {
		char name[16];
		snprintf(name, sizeof(name), "more%d", i);
		ck_assert_int_eq(try_device(&signaler, name), 0);
	}
	snprintf(text, sizeof(text), "%slimits: { devices = 2; };\n", policy);
	policy_put(fencebrokerd.policy, text);
	ck_assert_int_eq(ask_reload(&admin), 0);
	ck_assert_int_eq(try_device(&signaler, "another"), -EDQUOT);
	ck_assert_uint_eq(client_usage(&admin, getuid(), "devices"), 4);
	snprintf(text, sizeof(text), "%slimits: { devices = 5; };\n", policy);
	policy_put(fencebrokerd.policy, text);
	ck_assert_int_eq(ask_reload(&admin), 0);
	ck_assert_int_eq(try_device(&signaler, "another"), 0);
	ck_assert_int_eq(try_device(&signaler, "last"), -EDQUOT);
}
END_TEST

static const struct {
	const char *text; /* NULL: there is no file */
	int error;
	const char *says;
} broken[] = {
	{ "version = 1;\nrules: (\n  { user = 0; connect = 5; }\n);\n", -EINVAL,
	  "/policy.conf:3: " },
	{ "version = 1;\n", -EINVAL, "/policy.conf:1: \"rules\" is missing" },
	{ "version = 1;\nrules: ( { user = \"no such user\"; connect = true; } );\n", -EINVAL,
	  "/policy.conf:2: there is no user" },
	{ NULL, -ENOENT, "/policy.conf: " },
};

START_TEST(reload_refuses_a_broken_file)
{
	if (broken[_i].text) {
		policy_put(fencebrokerd.policy, broken[_i].text);
	} else {
		ck_assert_int_eq(unlink(fencebrokerd.policy), 0);
	}
	ck_assert_int_eq(ask_reload(&admin), broken[_i].error);
	client_expect_detail(&admin, broken[_i].says);
	expect_logged("the policy stays as it was: ");
	expect_newcomer(0);
	policy_put(fencebrokerd.policy, no_devices);
	ck_assert_int_eq(ask_reload(&admin), 0);
	expect_newcomer(-EPERM);
}
END_TEST

/* Requests that are sent together share runs; each is answered. */
START_TEST(reloads_together)
{
	unsigned int answered = 0;
	for (int i = 0; i < 20; i++) {
		REQUEST(request, ADMIN_RELOAD, admin_reload);
		request.serial = 1000 + (uint64_t)i;
		uint8_t bytes[64];
		size_t size = fbk__wire__request__pack(&request, bytes);
		ck_assert_int_eq(client_send_raw(&admin, bytes, size, NULL, 0), 0);
	}
	uint32_t serials = 0;
	for (; answered < 20; answered++) {
		struct reply reply;
		ck_assert(client_receive(&admin, &reply));
		ck_assert_int_eq(reply.message->error, 0);
		ck_assert_uint_ge(reply.message->serial, 1000);
		serials |= UINT32_C(1) << (reply.message->serial - 1000);
		reply_free(&reply);
	}
	ck_assert_uint_eq(serials, (UINT32_C(1) << 20) - 1);
}
END_TEST

#define UNREAD 150

/* The answer comes while the daemon keeps another that the client's socket does not take. */
START_TEST(reload_meets_a_full_socket)
{
	unsigned int seen = 0;
	bool reloaded = false;
	FILE *file = fopen(fencebrokerd.policy, "ae");
	for (int i = 0; i < 4000; i++) { /* takes a while to read */
		EXPECT(fputs("# a comment that has to be read to its very end\n", file) >= 0);
	}
	EXPECT(fclose(file) == 0);
	REQUEST(reload, ADMIN_RELOAD, admin_reload);
	client_send(&admin, &reload, NULL, 0);
	for (int i = 0; i < UNREAD; i++) {
		REQUEST(status, INSPECT_STATUS, inspect_status);
		client_send(&admin, &status, NULL, 0);
	}
	expect_logged("is in force");
	client_ping(&signaler);
	while (seen < UNREAD || !reloaded) {
		struct reply reply;
		ck_assert(client_receive(&admin, &reply));
		ck_assert_int_eq(reply.message->error, 0);
		if (reply.message->body_case == FBK__WIRE__MESSAGE__BODY_STATUS) {
			seen++;
		} else {
			ck_assert(!reloaded);
			reloaded = true;
		}
		reply_free(&reply);
	}
	client_ping(&admin);
}
END_TEST

/* The watcher appears with a policy that gives it time; promises do with one that allows them, where there is vgem. */
START_TEST(reload_changes_settings)
{
	static const char *const settings[] = { "watcher_cpu_percent = 0;",
						"watcher_cpu_percent = 20; promises = true;",
						"watcher_cpu_percent = 1;",
						"watcher_cpu_percent = 0;" };
	char text[512];
	for (size_t i = 0; i < 4; i++) {
		snprintf(text, sizeof(text), "%ssettings: { %s };\n", policy, settings[i]);
		policy_put(fencebrokerd.policy, text);
		ck_assert_int_eq(ask_reload(&admin), 0);
	}
	expect_logged("watcher_cpu_percent = 0 takes effect when the daemon starts again");
	client_ping(&signaler);
}
END_TEST

/* The answer finds nobody. */
START_TEST(reload_and_leave)
{
	for (int i = 0; i < 20; i++) {
		struct client leaves;
		client_open(&leaves, &fencebrokerd);
		REQUEST(request, ADMIN_RELOAD, admin_reload);
		client_send(&leaves, &request, NULL, 0);
		client_close(&leaves);
	}
	ck_assert_int_eq(ask_reload(&admin), 0);
	client_ping(&signaler);
}
END_TEST

/* The daemon ends while it reads: see also the unit's test, where that hangs. */
START_TEST(reload_and_stop)
{
	REQUEST(request, ADMIN_RELOAD, admin_reload);
	client_send(&admin, &request, NULL, 0);
	daemon_terminate(&fencebrokerd);
}
END_TEST

#define RELOADS 100

START_TEST(reloads_while_clients_work)
{
	struct bystander bystander;
	bystander_open(&bystander, &fencebrokerd);
	ck_assert_int_eq(ask_reload(&admin), 0);
	unsigned int fds = daemon_fd_count(&fencebrokerd);
	for (int i = 0; i < RELOADS; i++) {
		policy_put(fencebrokerd.policy, i % 2 ? policy : no_devices);
		REQUEST(request, ADMIN_RELOAD, admin_reload);
		client_send(&admin, &request, NULL, 0);
		bystander_round(&bystander);
		struct reply reply;
		ck_assert(client_receive(&admin, &reply));
		ck_assert_int_eq(reply.message->error, 0);
		reply_free(&reply);
	}
	daemon_await_fds(&fencebrokerd, fds);
	daemon_await_no_task(&fencebrokerd, "fbk-policy");
	daemon_settled(&fencebrokerd, 300);
	bystander_close(&bystander);
}
END_TEST

/* The built-in policy stays until there is a file. */
START_TEST(reload_finds_a_new_file)
{
	char path[160];
	struct reply reply;
	struct client client;
	struct daemon own;
	daemon_serve(&own, NULL);
	client_open(&client, &own);
	ck_assert_int_eq(ask_reload(&client), 0);
	REQUEST(request, INSPECT_STATUS, inspect_status);
	ck_assert_int_eq(client_call(&client, &request, NULL, 0, &reply), 0);
	ck_assert_str_eq(reply.message->status->policy, "built-in");
	reply_free(&reply);

	snprintf(path, sizeof(path), "%s/fencebroker", own.directory);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	strcat(path, "/policy.conf");
	policy_put(path, no_devices);
	ck_assert_int_eq(ask_reload(&client), 0);
	ck_assert_int_eq(try_device(&client, "cpu0"), -EPERM);
	ck_assert_int_eq(client_call(&client, &request, NULL, 0, &reply), 0);
	ck_assert_str_eq(reply.message->status->policy, path);
	reply_free(&reply);
	ck_assert_int_eq(unlink(path), 0);
	*strrchr(path, '/') = '\0';
	ck_assert_int_eq(rmdir(path), 0);
	client_close(&client);
	daemon_stop(&own);
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
	EXPECT(ask_reload(&stranger) == -EPERM);
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
	EXPECT(ask_reload(&client) == 0);
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
	tcase_add_test(tcase, reload_changes_the_rules);
	tcase_add_test(tcase, reload_changes_limits);
	ADD_LOOP(tcase, reload_refuses_a_broken_file, broken);
	tcase_add_test(tcase, reloads_together);
	tcase_add_test(tcase, reload_meets_a_full_socket);
	tcase_add_test(tcase, reload_changes_settings);
	tcase_add_test(tcase, reload_and_leave);
	tcase_add_test(tcase, reload_and_stop);
	tcase_add_test(tcase, reloads_while_clients_work);
	tcase_add_test(tcase, reload_finds_a_new_file);
	tcase_add_test(tcase, another_user_may_not);
	tcase_add_test(tcase, a_user_administers_its_own);
}

int main(void)
{
	return suite_main("admin", add);
}
