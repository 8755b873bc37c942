// SPDX-License-Identifier: MIT
/* The list of `fencectl stuck`: each kind of waiter, all of them once, nothing untrue, and which
 * users may see it. The last part needs root, to act as two users. */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib-peer.h"
#include "lib-stuck.h"
#include "lib-view.h"

#define NOBODY 65534

static const char policy[] = "version = 1;\n"
			     "settings: { spin_us = 0; };\n"
			     "rules: (\n"
			     "	{ user = 0; inspect = \"all\"; },\n"
			     "	{ user = \"*\"; connect = true; register = true; class = \"*\";\n"
			     "	  inspect = \"own\"; } );\n";

static struct daemon server;
static struct client signaler, waiter;
static struct view signals, waits;

static void setup(void)
{
	daemon_serve(&server, NULL);
}

static void setup_users(void)
{
	daemon_serve(&server, policy);
}

static void teardown(void)
{
	daemon_stop(&server);
}

static void pair_open(uint32_t flags)
{
	client_open(&signaler, &server);
	client_open(&waiter, &server);
	view_pair(&signaler, client_device(&signaler, "dev"), "line", flags, &waiter, &signals,
		  &waits);
}

static void pair_close(void)
{
	client_close(&waiter);
	client_close(&signaler);
}

static struct json_object *stuck_one(const char *by)
{
	struct json_object *list = stuck(&server, 0);
	ck_assert_msg(json_object_array_length(list) == 1, "%s", json_object_to_json_string(list));
	struct json_object *entry = json_object_get(json_object_array_get_idx(list, 0));
	ck_assert_str_eq(word_of(entry, "by"), by);
	json_object_put(list);
	return entry;
}

static void stuck_none(unsigned int older_ms)
{
	struct json_object *list = stuck(&server, older_ms);
	ck_assert_msg(json_object_array_length(list) == 0, "%s", json_object_to_json_string(list));
	json_object_put(list);
}

/* The daemon does not trust a client's times of its own wait. */
START_TEST(lies)
{
	struct fbk_peer_page *page;
	uint32_t slot;
	pair_open(0);
	ck_assert_int_eq(view_join(&waits, &page, &slot), 0);
	struct fbk_pair_cell *cell = &page->cells[slot];
	uint64_t now = now_ms() * 1000000;
	stuck_none(0);
	atomic_store(&cell->minimum, 0);
	stuck_none(0);
	atomic_store(&cell->minimum, FBK_POISON);
	stuck_none(0);

	atomic_store(&cell->minimum, 7);
	struct json_object *entry =
		stuck_one("pair wait"); /* before the daemon's start: from its start */
	ck_assert_int_eq(number_of(entry, "point"), 7);
	ck_assert_int_eq(number_of(entry, "has_deadline"), 0);
	ck_assert_int_le(number_of(entry, "waiting_ms"), PATIENCE_MS);
	json_object_put(entry);
	atomic_store(&cell->since_ns, UINT64_MAX); /* in the future: now */
	entry = stuck_one("pair wait");
	ck_assert_int_le(number_of(entry, "waiting_ms"), 1000);
	json_object_put(entry);
	stuck_none(60000);
	atomic_store(&cell->until_ns, UINT64_MAX);
	entry = stuck_one("pair wait");
	ck_assert_int_eq(number_of(entry, "has_deadline"), 1);
	ck_assert_int_gt(number_of(entry, "deadline_ms"), PATIENCE_MS);
	json_object_put(entry);
	atomic_store(&cell->until_ns, now);
	stuck_none(0);
	pair_close();
}
END_TEST

START_TEST(watched)
{
	uint64_t number;
	int result;
	pair_open(0);
	ck_assert_int_eq(view_watch(&waits, 3, deadline_ms(PATIENCE_MS), UINT64_MAX), 0);
	struct json_object *entry = stuck_one("watch");
	ck_assert_int_eq(number_of(entry, "point"), 3);
	ck_assert_int_eq(number_of(entry, "has_deadline"), 1);
	ck_assert_int_le(number_of(entry, "deadline_ms"), PATIENCE_MS);
	ck_assert_int_eq(number_of(entry, "waiter_pid"), getpid());
	json_object_put(entry);

	/* Reached without a ring: not listed, and completed now. */
	atomic_store(&signals.payload->payload, 3);
	stuck_none(0);
	client_next_fired(&waiter, &number, &result);
	ck_assert_uint_eq(number, UINT64_MAX);
	ck_assert_int_eq(result, 0);
	pair_close();
}
END_TEST

/* A watch of one's own device waits for no other process, and not for itself. */
START_TEST(own_device)
{
	pair_open(0);
	ck_assert_int_eq(view_watch(&signals, 1, deadline_ms(PATIENCE_MS), 1), 0);
	struct json_object *entry = stuck_one("watch");
	expect_cause(entry, "silent", getpid(), "waits for no process here");
	expect_chain(entry, (pid_t[]){ getpid() }, 1);
	json_object_put(entry);
	pair_close();
}
END_TEST

/* Where it has more waits than are looked at, whether one of them is for another process is not known. */
START_TEST(more_than_is_looked_at)
{
	uint64_t count = 0;
	pair_open(0);
	ck_assert_int_eq(view_watch(&waits, 1, deadline_ms(PATIENCE_MS), 1), 0);
	for (; count < 900; count++) {
		EXPECT(view_watch(&signals, 1, deadline_ms(PATIENCE_MS), count) == 0);
	}
	struct json_object *list = stuck(&server, 0);
	expect_cause(json_object_array_get_idx(list, 0), "silent", getpid(),
		     "waits for no process here");
	json_object_put(list);
	for (; count < 1100; count++) {
		EXPECT(view_watch(&signals, 1, deadline_ms(PATIENCE_MS), count) == 0);
	}
	list = stuck(&server, 0);
	expect_cause(json_object_array_get_idx(list, 0), "busy", getpid(),
		     "has not signalled; it has more waits here than were looked at");
	json_object_put(list);
	pair_close();
}
END_TEST

START_TEST(exported)
{
	int fd;
	pair_open(0);
	ck_assert_int_eq(view_export(&waits, 3, FBK_FENCE_EVENTFD, deadline_ms(PATIENCE_MS), &fd),
			 0);
	struct json_object *entry = stuck_one("export");
	ck_assert_int_eq(number_of(entry, "point"), 3);
	ck_assert_int_eq(number_of(entry, "has_deadline"), 1);
	json_object_put(entry);
	atomic_store(&signals.payload->payload, 2);
	entry = stuck_one("export");
	ck_assert_int_eq(number_of(entry, "value"), 2);
	ck_assert_int_le(number_of(entry, "unchanged_ms"), number_of(entry, "waiting_ms"));
	json_object_put(entry);
	atomic_store(&signals.payload->payload, 3);
	stuck_none(0);
	ck_assert_int_eq(readable_within(fd, PATIENCE_MS), 1);
	close(fd);
	pair_close();
}
END_TEST

/* A point that follows a fence: the daemon does not know the process that has to signal it. */
START_TEST(imported)
{
	pair_open(FBK_TIMELINE_BROKERED);
	int fence = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert_int_eq(view_import(&signals, 5, fence), 0);
	struct json_object *entry = stuck_one("import");
	ck_assert_int_eq(number_of(entry, "point"), 5);
	expect_cause(entry, "fence", getpid(), "follows a kernel fence that has not signalled");
	json_object_put(entry);

	ck_assert_int_eq(view_watch(&waits, 4, deadline_ms(PATIENCE_MS), 1), 0);
	struct json_object *list = stuck_await(&server, 2);
	expect_cause(entry_of(list, "point", 4), "fence", getpid(), "follows a kernel fence");
	json_object_put(list);
	ck_assert_int_eq(view_watch(&waits, 6, deadline_ms(PATIENCE_MS), 2), 0); /* not given yet */
	list = stuck_await(&server, 3);
	expect_cause(entry_of(list, "point", 6), "silent", getpid(), "has not signalled");
	json_object_put(list);

	ck_assert_int_eq(eventfd_write(fence, 1), 0);
	list = stuck_await(&server, 1);
	entry_of(list, "point", 6);
	json_object_put(list);
	close(fence);
	pair_close();
}
END_TEST

#define MANY_WATCHES   1000
#define MANY_TIMELINES 100
#define MANY_EXPORTS   100

/* On one timeline and on many; points that rise, fall and reach both ends of the range. */
START_TEST(many)
{
	static struct view views[MANY_TIMELINES][2];
	static unsigned int seen[3][MANY_WATCHES + 1];
	int fds[MANY_EXPORTS];
	memset(seen, 0, sizeof(seen));
	pair_open(0);
	uint32_t device = client_device(&signaler, "more");
	for (uint64_t i = 1; i <= MANY_WATCHES; i++) {
		uint64_t number = i == 1 ? 0 : i % 2 ? i : UINT64_MAX - i + 2;
		EXPECT(view_watch(&waits, i, FBK_DEADLINE_MAX, number) == 0);
	}
	for (uint64_t i = 0; i < MANY_EXPORTS; i++) {
		EXPECT(view_export(&waits, i + 1, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &fds[i]) ==
		       0);
	}
	uint32_t set = client_set(&signaler);
	for (uint64_t i = 0; i < MANY_TIMELINES; i++) {
		struct view *pair = views[i];
		int token;
		EXPECT(view_create(&signaler, device, set, "one-of-many", 0, &pair[0]) == 0);
		EXPECT(view_share(&pair[0], FBK_RIGHT_WAIT, &token) == 0);
		EXPECT(view_open(&waiter, token, &pair[1]) == 0);
		close(token);
		cell_arm(&pair[1], i + 1);
		view_await_monitored(&pair[1], i + 1);
	}
	struct json_object *list = stuck(&server, 0);
	ck_assert_uint_eq(json_object_array_length(list),
			  MANY_WATCHES + MANY_EXPORTS + MANY_TIMELINES);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);
		const char *by = word_of(entry, "by");
		size_t kind = strcmp(by, "watch") == 0 ? 0 : strcmp(by, "export") == 0 ? 1 : 2;
		int64_t point = number_of(entry, "point");
		EXPECT(point >= 1 && point <= MANY_WATCHES);
		EXPECT(++seen[kind][point] == 1);
	}
	json_object_put(list);
	stuck_none(60000);
	for (size_t i = 0; i < MANY_EXPORTS; i++) {
		close(fds[i]);
	}
	pair_close();
}
END_TEST

/* The work for a page, and its size, are bounded, whatever there is. */
START_TEST(paged)
{
	struct reply reply;
	uint64_t pages = 0, after[3] = { 0 };
	pair_open(0);
	for (uint64_t i = 1; i <= 2500; i++) {
		EXPECT(view_watch(&waits, i, FBK_DEADLINE_MAX, i) == 0);
	}
	do {
		REQUEST(request, INSPECT_STUCK, inspect_stuck);
		request.inspect_stuck->older_ms = 600000;
		request.inspect_stuck->after_id = after[0];
		request.inspect_stuck->after_part = after[1];
		request.inspect_stuck->after_wait = after[2];
		EXPECT(client_call(&waiter, &request, NULL, 0, &reply) == 0);
		const Fbk__Wire__StuckList *list = reply.message->stuck;
		ck_assert_uint_eq(list->n_stuck, 0);
		after[0] = list->next;
		after[1] = list->next_part;
		after[2] = list->next_wait;
		reply_free(&reply);
		pages++;
	} while (after[0] != 0);
	ck_assert_uint_eq(pages, 3); /* of 1024 objects each */

	/* Cursors that the daemon never gave. */
	for (uint64_t i = 0; i < 64; i++) {
		REQUEST(request, INSPECT_STUCK, inspect_stuck);
		request.inspect_stuck->after_id = i & 1 ? UINT64_MAX : UINT64_MAX - 1 - (i & 32);
		request.inspect_stuck->after_part = i & 2 ? UINT64_MAX : i & 12;
		request.inspect_stuck->after_wait = i & 16 ? UINT64_MAX : i;
		EXPECT(client_call(&waiter, &request, NULL, 0, &reply) == 0);
		EXPECT(reply.message->stuck->n_stuck <= 10);
		reply_free(&reply);
	}
	pair_close();
}
END_TEST

/* A long watch that expires is logged; a watch of a client that polls is not. */
START_TEST(logged)
{
	char log[8192], says[128];
	uint64_t number;
	int result, fd;
	pair_open(0);
	ck_assert_int_eq(view_watch(&waits, 1, 0, 1), 0);
	ck_assert_int_eq(view_watch(&waits, 2, deadline_ms(50), 2), 0);
	ck_assert_int_eq(view_watch(&waits, 3, deadline_ms(1100), 3), 0);
	ck_assert_int_eq(view_export(&waits, 4, FBK_FENCE_EVENTFD, deadline_ms(1050), &fd), 0);
	for (int i = 0; i < 3; i++) {
		client_next_fired(&waiter, &number, &result);
		ck_assert_int_eq(result, -ETIMEDOUT);
	}
	ck_assert_uint_eq(client_counter(&waiter, "watches_expired"), 3);
	ck_assert_uint_eq(client_counter(&waiter, "exports_expired"), 1);
	daemon_log_text(&server, log, sizeof(log));
	snprintf(says, sizeof(says), "its watch expired: line point 3 (now 0) of dev (pid %d)",
		 getpid());
	ck_assert_msg(strstr(log, says), "%s", log);
	snprintf(says, sizeof(says), "its export expired: line point 4 (now 0) of dev (pid %d)",
		 getpid());
	ck_assert_msg(strstr(log, says), "%s", log);
	ck_assert_msg(!strstr(log, "line point 1 ") && !strstr(log, "line point 2 "), "%s", log);
	close(fd);
	pair_close();
}
END_TEST

/* --------------------------------------------------------------------------------- the rights -- */

/* A client sees its own wait on a timeline, and not those of others on the same one. */
static int stranger_run(int socket, void *arg)
{
	int token;
	(void)arg;
	receive_word(socket, &token);
	EXPECT(setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	struct json_object *list = stuck(&server, 0);
	EXPECT(json_object_array_length(list) == 0);
	json_object_put(list);
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *opened;
	int fd;
	EXPECT(fbk_timeline_open(context, token, &opened) == 0);
	EXPECT(fbk_point_export((struct fbk_point){ opened, 9 }, FBK_FENCE_EVENTFD,
				FBK_DEADLINE_MAX, &fd) == 0);
	list = stuck(&server, 0);
	EXPECT(json_object_array_length(list) == 1);
	EXPECT(number_of(json_object_array_get_idx(list, 0), "waiter_uid") == NOBODY);
	json_object_put(list);
	send_word(socket, 0, -1);
	receive_word(socket, NULL);
	fbk_disconnect(context);
	return 0;
}

START_TEST(others_are_not_shown)
{
	struct peer peer;
	int token;
	pair_open(0);
	fencectl_copy(&server); /* only root may have access to the build */
	ck_assert_int_eq(view_watch(&waits, 1, FBK_DEADLINE_MAX, 1), 0);
	peer_start(&peer, stranger_run, NULL);
	ck_assert_int_eq(view_share(&signals, FBK_RIGHT_WAIT, &token), 0);
	send_word(peer.socket, 0, token);
	close(token);
	receive_word(peer.socket, NULL);
	struct json_object *list = stuck(&server, 0); /* root sees both waits */
	ck_assert_uint_eq(json_object_array_length(list), 2);
	entry_of(list, "waiter_uid", NOBODY);
	entry_of(list, "waiter_uid", 0);
	json_object_put(list);
	send_word(peer.socket, 0, -1);
	ck_assert_int_eq(peer_wait(&peer), 0);
	pair_close();
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, lies);
	tcase_add_test(tcase, watched);
	tcase_add_test(tcase, own_device);
	tcase_add_test(tcase, more_than_is_looked_at);
	tcase_add_test(tcase, exported);
	tcase_add_test(tcase, imported);
	tcase_add_test(tcase, many);
	tcase_add_test(tcase, paged);
	tcase_add_test(tcase, logged);
}

static void add_users(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_users, teardown);
	tcase_add_test(tcase, others_are_not_shown);
}

int main(void)
{
	int r = suite_main("overdue", add);
	if (geteuid() != 0) {
		fprintf(stderr, "the rest needs root, to be two users\n");
		return r;
	}
	return r == 0 ? suite_main("overdue, of others", add_users) : r;
}
