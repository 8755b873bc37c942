// SPDX-License-Identifier: MIT
/* Requests of a client that has no connection: dispatch_run() decides, does and answers, and sends nothing. */
#include "daemon/front/dispatch.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/core/device.h"
#include "daemon/core/handle.h"
#include "daemon/core/watch.h"
#include "daemon/daemon.h"
#include "daemon/front/broker.h"
#include "tests/suite.h"

extern const char policy_default_user[];

static struct broker *broker;
static struct client *client, *other;
static struct answer answer;

static struct client *connected(void)
{
	const struct credentials credentials = {
		.pid = getpid(),
		.uid = getuid(),
		.gid = getgid(),
		.pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0),
	};
	struct client *made;
	ck_assert_int_eq(client_create(&broker->registry, &credentials, &made), 0);
	ck_assert_int_eq(client_admit(made), 0);
	return made;
}

static enum answer_then run_with(struct client *from, Fbk__Wire__Request *request, const int *fds,
				 size_t fd_count)
{
	static struct wire_packet packet;
	packet.size = fbk__wire__request__get_packed_size(request);
	packet.fd_count = fd_count;
	for (size_t i = 0; i < fd_count; i++) {
		packet.fds[i] = fds[i];
	}
	request->serial = 1;
	answer_finish(&answer);
	return dispatch_run(from, request, &packet, &answer);
}

#define RUN(from, BODY, body, Type, ...)                                \
	({                                                              \
		Fbk__Wire__##Type message_ = FBK__WIRE__##BODY##__INIT; \
		Fbk__Wire__Request request_ = FBK__WIRE__REQUEST__INIT; \
		__VA_ARGS__;                                            \
		request_.body_case = FBK__WIRE__REQUEST__BODY_##BODY;   \
		request_.body = &message_;                              \
		run_with(from, &request_, NULL, 0);                     \
	})

static void greet(struct client *from)
{
	RUN(from, HELLO, hello, Hello, message_.version_min = WIRE_VERSION_MIN;
	    message_.version_max = WIRE_VERSION_MAX; message_.name = "unit");
	ck_assert_int_eq(answer.message.error, 0);
}

static void setup(void)
{
	struct policy *policy;
	char error[256];
	ck_assert_int_eq(
		policy_load_string("test", policy_default_user, &policy, error, sizeof(error)), 0);
	ck_assert_int_eq(broker_create(policy, true, &broker), 0);
	client = connected();
	other = connected();
	answer = (struct answer){ .fd_count = 0 };
}

static void teardown(void)
{
	answer_finish(&answer);
	client_end(other, FBK_CAUSE_OWNER_LEFT);
	if (client) {
		client_end(client, FBK_CAUSE_OWNER_LEFT);
	}
	ck_assert(LIST_EMPTY(&broker->registry.clients));
	ck_assert(LIST_EMPTY(&broker->registry.timelines));
	ck_assert(LIST_EMPTY(&broker->registry.devices));
	broker_destroy(broker); /* asserts that nothing is charged any more */
}

/* A timeline of `client`, by its handle there. */
static uint32_t timeline_made(void)
{
	RUN(client, DEVICE_REGISTER, device_register, DeviceRegister, message_.name = "dev";
	    message_.device = 1; message_.class_ = FBK_CLASS_CPU;
	    message_.signals = FBK_FENCE_MEMORY64);
	ck_assert_int_eq(answer.message.error, 0);
	uint32_t device = answer.object.id;
	RUN(client, TIMELINE_CREATE, timeline_create, TimelineCreate, message_.name = "line";
	    message_.handle = 1; message_.device = device; message_.flags = FBK_TIMELINE_BROKERED);
	ck_assert_int_eq(answer.message.error, 0);
	ck_assert_int_eq(answer.message.body_case, FBK__WIRE__MESSAGE__BODY_TIMELINE);
	ck_assert_uint_eq(answer.fd_count,
			  2); /* control and payload page, for whoever sends them */
	return answer.timeline.handle;
}

/* The same timeline, opened by `other`. */
static const struct timeline *timeline_opened(uint32_t handle)
{
	static struct wire_packet packet;
	Fbk__Wire__TimelineOpen open = FBK__WIRE__TIMELINE_OPEN__INIT;
	open.handle = 1;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	RUN(client, TIMELINE_SHARE, timeline_share, TimelineShare, message_.handle = handle;
	    message_.rights = FBK_RIGHT_WAIT; message_.token = 1);
	ck_assert_int_eq(answer.message.error, 0);
	ck_assert_uint_eq(answer.fd_count, 1);
	int token = dup(answer.fds[0]);
	request.body_case = FBK__WIRE__REQUEST__BODY_TIMELINE_OPEN;
	request.timeline_open = &open;
	request.serial = 1;
	packet.size = 8;
	packet.fd_count = 1;
	packet.fds[0] = token;
	answer_finish(&answer);
	dispatch_run(other, &request, &packet, &answer);
	close(token);
	ck_assert_int_eq(answer.message.error, 0);
	return client_handle(other, answer.timeline.handle)->timeline;
}

START_TEST(hello_comes_first)
{
	ck_assert_int_eq(RUN(client, SET_CREATE, set_create, SetCreate, message_.set = 1),
			 ANSWER_THEN_HANG_UP);
	ck_assert_int_eq(answer.message.error, -EPROTO);
	greet(client);
	ck_assert(client->greeted);
	ck_assert_int_eq(RUN(client, SET_CREATE, set_create, SetCreate, message_.set = 1),
			 ANSWER_THEN_GO_ON);
	ck_assert_int_eq(answer.message.error, 0);
}
END_TEST

START_TEST(goodbye_leaves)
{
	greet(client);
	ck_assert_int_eq(RUN(client, GOODBYE, goodbye, Goodbye), ANSWER_THEN_LEAVE);
	ck_assert(answer.silent);
	/* Nothing has ended: that is for who called. */
	ck_assert(!client->ending);
	ck_assert_ptr_eq(client->registry, &broker->registry);
}
END_TEST

/* What a refused request would have given away is not in its answer. */
START_TEST(an_error_carries_nothing)
{
	greet(client);
	ck_assert_int_eq(
		RUN(client, TIMELINE_INFO, timeline_info, TimelineInfo, message_.handle = 77),
		ANSWER_THEN_GO_ON);
	ck_assert_int_eq(answer.message.error, -ENOENT);
	ck_assert_int_eq(answer.message.body_case, FBK__WIRE__MESSAGE__BODY__NOT_SET);
	ck_assert_uint_eq(answer.fd_count, 0);
	ck_assert_str_eq(answer.message.detail, answer.detail);
	ck_assert(answer.detail[0]);
}
END_TEST

static const struct {
	enum fbk_cause cause;
	int error;
} ends[] = {
	{ FBK_CAUSE_OWNER_DIED, -EOWNERDEAD },
	{ FBK_CAUSE_OWNER_LEFT, -EPIPE },
	{ FBK_CAUSE_ADMIN, -ECONNABORTED },
};

/* The cause of a client's end is an argument, and becomes that of its timelines. */
START_TEST(ends_with_its_cause)
{
	greet(client);
	greet(other);
	const struct timeline *timeline = timeline_opened(timeline_made());
	ck_assert_int_eq(timeline->cause, FBK_CAUSE_NONE);
	client_end(client, ends[_i].cause);
	client = NULL;
	ck_assert_int_eq(timeline->cause, ends[_i].cause);
	ck_assert_int_eq(timeline->error, ends[_i].error);
}
END_TEST

/* A watch that fires for a client without a connection waits on its list, until somebody takes it. */
START_TEST(a_watch_is_kept)
{
	uint64_t numbers[2];
	int32_t results[2];
	greet(client);
	uint32_t handle = timeline_made();
	RUN(client, POINT_WATCH, point_watch, PointWatch, message_.handle = handle;
	    message_.watch = 5; message_.value = 1; message_.deadline_ns = UINT64_MAX);
	ck_assert_int_eq(answer.message.error, 0);
	ck_assert_uint_eq(watch_take_fired(client, numbers, results, 2), 0);
	RUN(client, TIMELINE_SIGNAL, timeline_signal, TimelineSignal, message_.handle = handle;
	    message_.value = 1);
	ck_assert_int_eq(answer.message.error, 0);
	ck_assert_uint_eq(watch_take_fired(client, numbers, results, 2), 1);
	ck_assert_uint_eq(numbers[0], 5);
	ck_assert_int_eq(results[0], 0);
	ck_assert_uint_eq(watch_take_fired(client, numbers, results, 2), 0);
}
END_TEST

/* The table asks for the right before a handler runs, whatever the request says. */
START_TEST(administration_needs_the_right)
{
	greet(client);
	greet(other);
	uint64_t id = client_handle(client, timeline_made())->timeline->id;
	RUN(other, ADMIN_FAIL, admin_fail, AdminFail, message_.id = id);
	ck_assert_int_eq(answer.message.error, -EPERM);
	ck_assert_ptr_nonnull(strstr(answer.detail, "fencectl"));
	RUN(other, ADMIN_EVICT, admin_evict, AdminEvict, message_.client = client->id);
	ck_assert_int_eq(answer.message.error, -EPERM);
	RUN(other, ADMIN_RELOAD, admin_reload, AdminReload);
	ck_assert_int_eq(answer.message.error, -EPERM);
	other->admin = true;
	RUN(other, ADMIN_RELOAD, admin_reload, AdminReload);
	ck_assert_int_eq(answer.message.error, -EOPNOTSUPP); /* there is no file to read */
	RUN(other, ADMIN_FAIL, admin_fail, AdminFail, message_.id = id; message_.dry_run = true);
	ck_assert_int_eq(answer.message.error, 0);
	ck_assert_uint_eq(answer.message.affected->n_text, 1);
	RUN(other, ADMIN_FAIL, admin_fail, AdminFail, message_.id = id);
	ck_assert_int_eq(answer.message.error, 0);
	RUN(other, ADMIN_FAIL, admin_fail, AdminFail, message_.id = id);
	ck_assert_int_eq(answer.message.error, -EALREADY);
}
END_TEST

/* Nothing can be disconnected that has no connection. */
START_TEST(eviction_needs_a_connection)
{
	greet(client);
	greet(other);
	other->admin = true;
	RUN(other, ADMIN_EVICT, admin_evict, AdminEvict, message_.client = client->id);
	ck_assert_int_eq(answer.message.error, -ENOENT);
	ck_assert(!client->ending);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, hello_comes_first);
	tcase_add_test(tcase, goodbye_leaves);
	tcase_add_test(tcase, an_error_carries_nothing);
	ADD_LOOP(tcase, ends_with_its_cause, ends);
	tcase_add_test(tcase, a_watch_is_kept);
	tcase_add_test(tcase, administration_needs_the_right);
	tcase_add_test(tcase, eviction_needs_a_connection);
}

int main(void)
{
	return suite_main("dispatch", add);
}
