// SPDX-License-Identifier: MIT
/* Cycles: the daemon refuses and names those that are declared, or that it sees when one of its
 * fences comes back; the deadline ends the others. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib-peer.h"
#include "lib-view.h"

#define EXPORT_MS 300 /* of exports that nobody's point ends */
#define FOLLOWERS 200
#define ALL       (FBK_RIGHT_WAIT | FBK_RIGHT_SIGNAL)

#define POLICY(more)                                                  \
	"version = 1; limits: { dependencies = 4000; };" more         \
	"rules: ( { user = \"*\"; connect = true; register = true;\n" \
	"           inspect = \"all\"; } );\n"

static struct daemon fencebrokerd;
static struct bystander bystander;
static struct fbk_context *context, *other;
static struct fbk_device *device;
static struct fbk_timeline *a, *b, *c; /* in memory */
static struct fbk_timeline *s, *t;     /* brokered */

static void setup_with(const char *text)
{
	daemon_serve(&fencebrokerd, text);
	bystander_open(&bystander, &fencebrokerd);
	context = peer_connect(&fencebrokerd);
	other = peer_connect(&fencebrokerd);
	device = peer_device(context, "gpu0");
	a = peer_timeline(device, "a", 0);
	b = peer_timeline(device, "b", 0);
	c = peer_timeline(device, "c", 0);
	s = peer_timeline(device, "s", FBK_TIMELINE_BROKERED);
	t = peer_timeline(device, "t", FBK_TIMELINE_BROKERED);
}

static void setup(void)
{
	setup_with(POLICY(""));
}

static void setup_impatient(void)
{
	setup_with(POLICY("settings: { max_import_ms = 10; };"));
}

static void teardown(void)
{
	fbk_disconnect(other);
	fbk_disconnect(context);
	bystander_close(&bystander);
	daemon_stop(&fencebrokerd);
}

static struct fbk_point at(struct fbk_timeline *timeline, uint64_t value)
{
	return (struct fbk_point){ timeline, value };
}

static int depends(struct fbk_timeline *timeline, uint64_t value, struct fbk_timeline *on,
		   uint64_t on_value)
{
	return fbk_point_depends(at(timeline, value), at(on, on_value));
}

static void expect_refused(int r, int error, const char *sentence)
{
	ck_assert_int_eq(r, error);
	ck_assert_str_eq(fbk_error_detail(), sentence);
}

static uint64_t usage(const char *resource)
{
	return client_usage(&bystander.waiter, getuid(), resource);
}

static void await_usage(const char *resource, uint64_t amount)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	while (usage(resource) != amount) {
		ck_assert_msg(now_ms() < deadline, "%s: %llu", resource,
			      (unsigned long long)usage(resource));
		yield_briefly();
	}
}

static int exported(struct fbk_timeline *timeline, uint64_t value, uint64_t ms)
{
	int fd = -1;
	int r = fbk_point_export(at(timeline, value), FBK_FENCE_EVENTFD, deadline_ms(ms), &fd);
	ck_assert_msg(r == 0, "%s", fbk_error_detail());
	return fd;
}

/* ------------------------------------------------------------------------------------ declared -- */

START_TEST(declared)
{
	ck_assert_int_eq(depends(a, 3, b, 2), 0);
	ck_assert_int_eq(depends(b, 2, c, 7), 0);
	expect_refused(depends(c, 7, a, 3), -EDEADLK,
		       "c.7 waits for a.3, which waits for b.2, which waits for c.7");
	expect_refused(depends(c, 6, a, 4), -EDEADLK,
		       "c.6 waits for a.4, which waits for b.2, which waits for c.7");
	expect_refused(depends(a, 9, a, 9), -EDEADLK, "a.9 waits for a.9");
	ck_assert_int_eq(depends(c, 8, a, 3), 0);
	ck_assert_uint_eq(usage("dependencies"), 3);
	ck_assert_uint_eq(client_counter(&bystander.waiter, "cycles_refused"), 3);
}
END_TEST

/* As much of a long one as the text has room for. */
START_TEST(long_names)
{
	struct fbk_timeline *named[20];
	char name[FBK_NAME_SIZE];
	for (unsigned int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "timeline-with-quite-a-long-na%02u", i);
		named[i] = peer_timeline(device, name, 0);
		ck_assert_int_eq(i == 0 ? 0 : depends(named[i - 1], 1, named[i], 1), 0);
	}
	expect_refused(depends(named[19], 1, named[0], 1), -EDEADLK,
		       "timeline-with-quite-a-long-na19.1 waits for "
		       "timeline-with-quite-a-long-na00.1, which waits for "
		       "timeline-with-quite-a-long-na01.1, and so on");
}
END_TEST

START_TEST(by_two_clients)
{
	struct fbk_timeline *theirs = peer_timeline(peer_device(other, "vcn0"), "theirs", 0);
	struct fbk_timeline *ours = peer_open(other, a, FBK_RIGHT_WAIT);
	struct fbk_timeline *opened = peer_open(context, theirs, FBK_RIGHT_WAIT);
	ck_assert_int_eq(depends(a, 1, opened, 1), 0);
	expect_refused(depends(theirs, 1, ours, 1), -EDEADLK,
		       "theirs.1 waits for a.1, which waits for theirs.1");
	ck_assert_int_eq(depends(theirs, 2, ours, 1), 0);
}
END_TEST

/* Signalled in memory, without the daemon: it reads the payload before it believes in a cycle. */
START_TEST(over_unseen)
{
	ck_assert_int_eq(depends(a, 3, b, 5), 0);
	ck_assert_int_eq(depends(b, 4, c, 1), 0);
	expect_refused(depends(c, 1, a, 3), -EDEADLK,
		       "c.1 waits for a.3, which waits for b.5, which waits for c.1");
	ck_assert_int_eq(fbk_timeline_signal(b, 4), 0);
	ck_assert_int_eq(depends(c, 1, a, 3), 0);
	ck_assert_uint_eq(usage("dependencies"), 2);
}
END_TEST

START_TEST(decided_already)
{
	ck_assert_int_eq(fbk_timeline_signal(a, 5), 0);
	ck_assert_int_eq(depends(b, 1, a, 5), 0);
	ck_assert_int_eq(fbk_point_depends(at(b, 1), FBK_POINT_SIGNALLED), 0);
	ck_assert_uint_eq(usage("dependencies"), 0);
	expect_refused(depends(a, 5, b, 1), -EALREADY,
		       "a.5 is reached already: it waits for nothing more");
	ck_assert_int_eq(depends(a, 6, b, 1), 0);
	ck_assert_int_eq(fbk_timeline_fail(a, -EIO, "it broke"), 0);
	ck_assert_uint_eq(usage("dependencies"), 0);
	ck_assert_int_eq(depends(b, 1, a, 5), 0);
	expect_refused(depends(b, 1, a, 6), -EIO, "it broke");
	expect_refused(depends(a, 6, b, 1), -EIO, "it broke");
}
END_TEST

START_TEST(refused)
{
	struct fbk_timeline *waits = peer_open(other, s, FBK_RIGHT_WAIT);
	struct fbk_timeline *signals = peer_open(other, t, FBK_RIGHT_SIGNAL);
	ck_assert_int_eq(depends(waits, 1, waits, 1), -EPERM);
	ck_assert_msg(strstr(fbk_error_detail(), "signal timeline s"), "%s", fbk_error_detail());
	ck_assert_int_eq(depends(signals, 1, signals, 1), -EPERM);
	ck_assert_msg(strstr(fbk_error_detail(), "wait timeline t"), "%s", fbk_error_detail());
	ck_assert_int_eq(depends(signals, 1, waits, 1), 0);
	ck_assert_int_eq(depends(a, 0, b, 1), -ERANGE);
	ck_assert_int_eq(depends(a, 1, b, 0), -ERANGE);
	ck_assert_int_eq(depends(a, FBK_POINT_MAX + 1, b, 1), -ERANGE);
	ck_assert_int_eq(depends(a, 1, b, FBK_POINT_MAX + 1), -ERANGE);
	ck_assert_int_eq(depends(a, FBK_POINT_MAX, b, FBK_POINT_MAX), 0);
	ck_assert_int_eq(depends(a, 1, waits, 1), -EINVAL); /* of two contexts */
	ck_assert_int_eq(fbk_point_depends(FBK_POINT_SIGNALLED, at(a, 1)), -EINVAL);
	ck_assert_uint_eq(usage("dependencies"), 2);
}
END_TEST

START_TEST(no_such_handle)
{
	struct view view;
	REQUEST(request, POINT_DEPENDS, point_depends);
	EXPECT(view_create(&bystander.signaler, client_device(&bystander.signaler, "raw"), 0, "raw",
			   0, &view) == 0);
	request.point_depends->handle = view.handle;
	request.point_depends->value = 2;
	request.point_depends->on_handle = view.handle + 1000;
	request.point_depends->on_value = 1;
	ck_assert_int_eq(client_call(&bystander.signaler, &request, NULL, 0, NULL), -ENOENT);
	request.point_depends->on_handle = view.handle;
	ck_assert_int_eq(client_call(&bystander.signaler, &request, NULL, 0, NULL), 0);
	request.point_depends->handle = UINT32_MAX;
	ck_assert_int_eq(client_call(&bystander.signaler, &request, NULL, 0, NULL), -ENOENT);
	EXPECT(view_close(&view) == 0);
}
END_TEST

START_TEST(limit)
{
	for (uint64_t i = 1; i <= 4000; i++) {
		EXPECT(depends(a, i, b, 1) == 0);
	}
	ck_assert_int_eq(depends(a, 1, c, 1), -EDQUOT);
	ck_assert_msg(strstr(fbk_error_detail(), "dependencies"), "%s", fbk_error_detail());
	ck_assert_uint_eq(usage("dependencies"), 4000);
	bystander_round(&bystander);
	ck_assert_int_eq(fbk_timeline_signal(a, 1), 0);
	ck_assert_int_eq(depends(a, 2, c, 1), 0);
	ck_assert_int_eq(depends(a, 3, c, 1), -EDQUOT);
}
END_TEST

/* A declaration that needs too long a search is refused; one that needs no search is not. */
START_TEST(search_is_bounded)
{
	for (uint64_t i = 1; i <= 1025; i++) {
		EXPECT(depends(b, 1, c, i) == 0);
		EXPECT(depends(c, 2000 + i, a, 1) == 0);
	}
	expect_refused(depends(a, 1, b, 1), -ELOOP,
		       "more than 1024 waits would have to be looked at to tell that a.1 does not "
		       "wait for itself");
	ck_assert_int_eq(depends(a, 2, b, 1), 0);
	bystander_round(&bystander);
}
END_TEST

/* --------------------------------------------------------------------------------- what ends them -- */

START_TEST(owner_gone)
{
	struct fbk_timeline *theirs = peer_open(other, s, ALL);
	struct fbk_device *of_other = peer_device(other, "vcn0");
	struct fbk_timeline *mine = peer_timeline(of_other, "mine", 0);
	ck_assert_int_eq(depends(theirs, 1, mine, 1), 0);
	ck_assert_int_eq(depends(mine, 2, theirs, 2), 0);
	ck_assert_uint_eq(usage("dependencies"), 2);
	fbk_disconnect(context); /* owner of the timeline */
	context = NULL;
	await_usage("dependencies", 0);
}
END_TEST

START_TEST(teller_gone)
{
	struct fbk_timeline *first = peer_open(other, s, ALL);
	struct fbk_timeline *second = peer_open(other, t, ALL);
	ck_assert_int_eq(depends(first, 1, second, 1), 0);
	ck_assert_int_eq(depends(t, 1, s, 1), -EDEADLK);
	fbk_disconnect(other);
	other = NULL;
	await_usage("dependencies", 0);
	ck_assert_int_eq(depends(t, 1, s, 1), 0);
}
END_TEST

START_TEST(reached)
{
	ck_assert_int_eq(depends(s, 1, a, 1), 0);
	ck_assert_int_eq(depends(t, 1, s, 1), 0);
	ck_assert_int_eq(fbk_timeline_signal(s, 1), 0); /* it was not so, then: nobody minds */
	await_usage("dependencies", 0);
}
END_TEST

/* ------------------------------------------------------------------------- fences that come back -- */

/* The refusal comes through the timeline, with its sentence. */
static void expect_failed(struct fbk_timeline *timeline, int error, const char *sentence)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	ck_assert_int_eq(fbk_point_wait(at(timeline, FBK_POINT_MAX), deadline_ms(PATIENCE_MS)),
			 error);
	EXPECT(fbk_timeline_info(timeline, &info) == 0);
	ck_assert_int_eq(info.error, error);
	ck_assert_ptr_nonnull(strstr(info.reason, sentence));
}

START_TEST(eventfds_known)
{
	int first = exported(s, 3, PATIENCE_MS);
	ck_assert_int_eq(fbk_point_signal_on(at(t, 2), first), 0);
	await_usage("dependencies", 1);
	ck_assert_int_eq(fbk_point_signal_on(at(s, 3), exported(t, 2, PATIENCE_MS)), 0);
	expect_failed(s, -EDEADLK, "s.3 waits for t.2, which waits for s.3");
	ck_assert_uint_eq(usage("dependencies"), 0);
	ck_assert_uint_eq(usage("imports"), 0);
	ck_assert_int_eq(fbk_point_signal_on(at(s, 4), exported(t, 2, PATIENCE_MS)), -EDEADLK);
	expect_failed(t, -EDEADLK, "s.3 waits for t.2, which waits for s.3"); /* it followed s.3 */
	await_usage("dependencies", 0);
	await_usage("imports", 0);
	await_usage("exports", 0);
}
END_TEST

/* Found among many, also after those before it are removed. */
START_TEST(eventfds_many)
{
	int fds[200];
	for (int i = 0; i < 200; i++) {
		fds[i] = exported(a, 1 + (uint64_t)i, PATIENCE_MS);
	}
	ck_assert_int_eq(fbk_timeline_signal(a, 100), 0);
	await_usage("exports", 100);
	for (int i = 0; i < 200; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		ck_assert_int_eq(fbk_point_signal_on(at(s, 1 + (uint64_t)i), fd), 0);
		ck_assert_int_eq(fbk_point_check(at(a, 101)), -EAGAIN);
	}
	await_usage("dependencies", 100);
	for (uint64_t i = 101; i <= 200; i++) {
		char sentence[80];
		snprintf(sentence, sizeof(sentence),
			 "a.%llu waits for s.%llu, which waits for a.%llu", (unsigned long long)i,
			 (unsigned long long)i, (unsigned long long)i);
		expect_refused(depends(a, i, s, i), -EDEADLK, sentence);
		close(fds[i - 1]);
	}
	ck_assert_int_eq(fbk_timeline_signal(a, 200), 0);
	ck_assert_int_eq(fbk_point_wait(at(s, 200), deadline_ms(PATIENCE_MS)), 0);
	await_usage("dependencies", 0);
	for (int i = 0; i < 100; i++) {
		close(fds[i]);
	}
}
END_TEST

/* One edge of several closes a cycle: none of them is kept. */
START_TEST(eventfds_at_once)
{
	ck_assert_int_eq(depends(b, 1, s, 1), 0);
	int fds[3] = { exported(a, 1, PATIENCE_MS), eventfd(0, EFD_CLOEXEC),
		       exported(b, 1, PATIENCE_MS) };
	ck_assert_int_eq(fbk_point_signal_on_all(at(s, 1), fds, 3), 0);
	expect_failed(s, -EDEADLK, "s.1 waits for b.1, which waits for s.1");
	ck_assert_uint_eq(usage("dependencies"), 0);
	ck_assert_uint_eq(usage("imports"), 0);
	int others[2] = { exported(a, 1, PATIENCE_MS), eventfd(0, EFD_CLOEXEC) };
	ck_assert_int_eq(fbk_point_signal_on_all(at(t, 1), others, 2), 0);
	await_usage("dependencies", 1);
	ck_assert_int_eq(depends(a, 1, t, 1), -EDEADLK);
}
END_TEST

/* The eventfd is raised, and the point that it was exported for is not reached: nor is the one that follows it. */
START_TEST(export_expired)
{
	int fd = exported(a, 1, 20);
	ck_assert_int_eq(fbk_point_signal_on(at(s, 1), fcntl(fd, F_DUPFD_CLOEXEC, 0)), 0);
	ck_assert(readable_within(fd, PATIENCE_MS));
	ck_assert_int_eq(fbk_point_check(at(a, 1)), -EAGAIN);
	ck_assert_int_eq(fbk_point_wait(at(s, 1), deadline_ms(100)), -ETIMEDOUT);
	ck_assert_int_eq(depends(a, 1, s, 1), -EDEADLK);
	ck_assert_int_eq(fbk_timeline_signal(a, 1), 0);
	ck_assert_int_eq(fbk_point_wait(at(s, 1), deadline_ms(PATIENCE_MS)), 0);
	await_usage("dependencies", 0);
	close(fd);
}
END_TEST

/* Nor is it because who exported it has ended. */
START_TEST(exporter_gone)
{
	int fd = exported(peer_open(other, a, FBK_RIGHT_WAIT), 1, PATIENCE_MS);
	ck_assert_int_eq(fbk_point_signal_on(at(s, 1), fcntl(fd, F_DUPFD_CLOEXEC, 0)), 0);
	await_usage("dependencies", 1);
	fbk_disconnect(other);
	other = NULL;
	ck_assert(readable_within(fd, PATIENCE_MS));
	ck_assert_int_eq(fbk_point_wait(at(s, 1), deadline_ms(100)), -ETIMEDOUT);
	ck_assert_int_eq(fbk_timeline_signal(a, 1), 0);
	ck_assert_int_eq(fbk_point_wait(at(s, 1), deadline_ms(PATIENCE_MS)), 0);
	close(fd);
}
END_TEST

/* A failed point fails what follows it, by the same error, and says why: also where others are imported beside it. */
START_TEST(export_failed)
{
	const uint64_t one = 1;
	int stranger = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int fds[2] = { fcntl(stranger, F_DUPFD_CLOEXEC, 0), exported(a, 2, PATIENCE_MS) };
	ck_assert_int_eq(fbk_timeline_signal(a, 1), 0);
	ck_assert_int_eq(fbk_point_signal_on(at(s, 1), exported(a, 2, PATIENCE_MS)), 0);
	ck_assert_int_eq(fbk_point_signal_on_all(at(t, 1), fds, 2), 0);
	await_usage("dependencies", 2);
	ck_assert_int_eq(fbk_timeline_fail(a, -EIO, "it broke"), 0);
	expect_failed(s, -EIO, "it broke");
	ck_assert_int_eq(fbk_point_wait(at(t, 1), deadline_ms(100)), -ETIMEDOUT);
	EXPECT(write(stranger, &one, sizeof(one)) == sizeof(one));
	expect_failed(t, -EIO, "it broke");
	close(stranger);
}
END_TEST

/* Each of many follows the one before: all are reached, at one signal of the first. */
START_TEST(row_of_followers)
{
	struct fbk_timeline *row[FOLLOWERS];
	for (size_t i = 0; i < FOLLOWERS; i++) {
		char name[16];
		snprintf(name, sizeof(name), "row%zu", i);
		row[i] = peer_timeline(device, name, FBK_TIMELINE_BROKERED);
		ck_assert_int_eq(
			fbk_point_signal_on(at(row[i], 1),
					    exported(i == 0 ? a : row[i - 1], 1, PATIENCE_MS)),
			0);
	}
	ck_assert_int_eq(fbk_point_check(at(row[FOLLOWERS - 1], 1)), -EAGAIN);
	ck_assert_int_eq(fbk_timeline_signal(a, 1), 0);
	ck_assert_int_eq(fbk_point_wait(at(row[FOLLOWERS - 1], 1), deadline_ms(PATIENCE_MS)), 0);
	await_usage("imports", 0);
}
END_TEST

/* Who waits for a point that follows another is told of that one. */
START_TEST(follower_is_explained)
{
	char text[512];
	ck_assert_int_eq(fbk_point_signal_on(at(s, 1), exported(a, 7, PATIENCE_MS)), 0);
	await_usage("dependencies", 1);
	ck_assert_int_eq(fbk_point_blame(at(s, 1), text, sizeof(text)), 0);
	ck_assert_msg(strstr(text, ", which waits for a point 7 (now 0) of gpu0"), "%s", text);
	ck_assert_msg(strstr(text, ", which waits for no process here and has not signalled"), "%s",
		      text);
}
END_TEST

/* ---------------------------------------------------------------------------- what can't be seen -- */

struct relay {
	pthread_t thread;
	int from, to;
};

/* Writes the second when the first becomes readable. */
static void *relay_run(void *arg)
{
	struct relay *relay = arg;
	const uint64_t one = 1;
	EXPECT(readable_within(relay->from, PATIENCE_MS));
	EXPECT(write(relay->to, &one, sizeof(one)) == sizeof(one));
	return NULL;
}

static void relay_start(struct relay *relay, struct fbk_timeline *from, struct fbk_timeline *to)
{
	relay->from = exported(from, 1, EXPORT_MS);
	relay->to = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int fd = fcntl(relay->to, F_DUPFD_CLOEXEC, 0);
	ck_assert_int_eq(fbk_point_signal_on(at(to, 1), fd), 0);
	ck_assert_int_eq(pthread_create(&relay->thread, NULL, relay_run, relay), 0);
}

static void relay_finish(struct relay *relay)
{
	pthread_join(relay->thread, NULL);
	close(relay->from);
	close(relay->to);
}

/* The deadline of an export ends the cycle for everybody: both eventfds are raised then. The teardown checks that no fd stays
 * open. */
START_TEST(unseen)
{
	struct relay relays[2];
	uint64_t charged = usage("fds");
	uint64_t start = now_ms();
	relay_start(&relays[0], s, t);
	relay_start(&relays[1], t, s);
	ck_assert_uint_eq(usage("dependencies"), 0);
	ck_assert_int_eq(fbk_point_wait(at(t, 1), deadline_ms(PATIENCE_MS)), 0);
	ck_assert_int_eq(fbk_point_wait(at(s, 1), deadline_ms(PATIENCE_MS)), 0);
	ck_assert_uint_ge(now_ms() - start, EXPORT_MS);
	relay_finish(&relays[0]);
	relay_finish(&relays[1]);
	await_usage("imports", 0);
	await_usage("exports", 0);
	await_usage("fds", charged);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, declared);
	tcase_add_test(tcase, long_names);
	tcase_add_test(tcase, by_two_clients);
	tcase_add_test(tcase, over_unseen);
	tcase_add_test(tcase, decided_already);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, no_such_handle);
	tcase_add_test(tcase, limit);
	tcase_add_test(tcase, search_is_bounded);
	tcase_add_test(tcase, owner_gone);
	tcase_add_test(tcase, teller_gone);
	tcase_add_test(tcase, reached);
	tcase_add_test(tcase, eventfds_known);
	tcase_add_test(tcase, eventfds_many);
	tcase_add_test(tcase, eventfds_at_once);
	tcase_add_test(tcase, export_expired);
	tcase_add_test(tcase, exporter_gone);
	tcase_add_test(tcase, export_failed);
	tcase_add_test(tcase, row_of_followers);
	tcase_add_test(tcase, follower_is_explained);
}

static void add_impatient(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_impatient, teardown);
	tcase_add_test(tcase, unseen);
}

int main(void)
{
	int status = suite_main("depend", add);
	return status ? status : suite_main("depend, impatient", add_impatient);
}
