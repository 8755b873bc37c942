// SPDX-License-Identifier: MIT
/* `fencectl stuck`, with real processes: which process waits for which, and which of them is the
 * cause. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-peer.h"
#include "lib-stuck.h"

static struct daemon server;

/* ------------------------------------------------------------------------------------ actors --- */

/* A process with one timeline of its own, which waits for another's. */
struct actor {
	struct peer peer;
	int token; /* of its timeline */
};

enum order {
	ORDER_WAIT = 1, /* followed by a token; answers when the wait begins, and with its result */
	ORDER_SIGNAL,   /* raise its own timeline by one */
	ORDER_LEAVE,
};

static void actor_wait(int socket, struct fbk_context *context, struct fbk_timeline **opened,
		       uint64_t value)
{
	int token;
	uint64_t timeout_ms = receive_word(socket, &token);
	EXPECT(fbk_timeline_open(context, token, opened) == 0);
	close(token);
	send_word(socket, 0, -1);
	struct fbk_point point = { *opened, value };
	int r = fbk_point_wait(point, deadline_ms(timeout_ms));
	send_word(socket, (uint64_t)-r, -1);
}

static int actor_run(int socket, void *arg)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *own = peer_timeline(peer_device(context, arg), arg, 0);
	struct fbk_timeline *opened = NULL;
	uint64_t signalled = 0, waited = 0;
	int token;
	EXPECT(fbk_timeline_share(own, FBK_RIGHT_WAIT, &token) == 0);
	send_word(socket, 0, token);
	close(token);
	for (;;) {
		switch (receive_word(socket, NULL)) {
		case ORDER_WAIT:
			actor_wait(socket, context, &opened, ++waited);
			break;
		case ORDER_SIGNAL:
			EXPECT(fbk_timeline_signal(own, ++signalled) == 0);
			send_word(socket, 0, -1);
			break;
		default:
			fbk_disconnect(context);
			return 0;
		}
	}
}

static void actor_start(struct actor *actor, const char *name)
{
	peer_start(&actor->peer, actor_run, (void *)(uintptr_t)name);
	receive_word(actor->peer.socket, &actor->token);
}

/* Until it waits. */
static void actor_await(struct actor *actor, const struct actor *whom, uint64_t timeout_ms)
{
	send_word(actor->peer.socket, ORDER_WAIT, -1);
	send_word(actor->peer.socket, timeout_ms, whom->token);
	receive_word(actor->peer.socket, NULL);
}

static int actor_result(struct actor *actor)
{
	return -(int)receive_word(actor->peer.socket, NULL);
}

static void actor_signal(struct actor *actor)
{
	send_word(actor->peer.socket, ORDER_SIGNAL, -1);
	receive_word(actor->peer.socket, NULL);
}

static void actor_leave(struct actor *actor)
{
	send_word(actor->peer.socket, ORDER_LEAVE, -1);
	ck_assert_int_eq(peer_wait(&actor->peer), 0);
	close(actor->token);
}

static void actor_stop(const struct actor *actor)
{
	ck_assert_int_eq(kill(actor->peer.pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(actor->peer.pid, NULL, WUNTRACED), actor->peer.pid);
}

static void actor_continue(const struct actor *actor)
{
	ck_assert_int_eq(kill(actor->peer.pid, SIGCONT), 0);
}

static void setup(void)
{
	daemon_serve(&server, NULL);
}

static void teardown(void)
{
	daemon_stop(&server);
}

/* -------------------------------------------------------------------------------- the chains --- */

START_TEST(nothing)
{
	struct actor a;
	char *text;
	actor_start(&a, "alone");
	ck_assert_int_eq(fencectl(&server, "stuck", &text), NOT_STUCK);
	ck_assert_str_eq(text, "nothing is stuck\n");
	free(text);
	json_object_put(stuck_await(&server, 0));
	actor_leave(&a);
	ck_assert_int_eq(fencectl(&server, "--older 1s stuck", &text), 2);
	free(text);
	ck_assert_int_eq(fencectl(&server, "--older -1 stuck", &text), 2);
	free(text);
	ck_assert_int_eq(fencectl(&server, "--socket /nowhere stuck", &text), 1);
	free(text);
}
END_TEST

START_TEST(signaler_stopped)
{
	struct actor a, b;
	char *text;
	actor_start(&a, "signaler");
	actor_start(&b, "waiter");
	actor_await(&b, &a, PATIENCE_MS);
	actor_stop(&a);
	struct json_object *list = stuck_await(&server, 1);
	struct json_object *entry = json_object_array_get_idx(list, 0);
	ck_assert_str_eq(word_of(entry, "by"), "wait");
	ck_assert_str_eq(word_of(entry, "name"), "signaler");
	ck_assert_str_eq(word_of(entry, "device"), "signaler");
	ck_assert_int_eq(number_of(entry, "pid"), a.peer.pid);
	ck_assert_int_eq(number_of(entry, "uid"), getuid());
	ck_assert_int_eq(number_of(entry, "point"), 1);
	ck_assert_int_eq(number_of(entry, "value"), 0);
	ck_assert_int_eq(number_of(entry, "waiter_pid"), b.peer.pid);
	ck_assert_int_eq(number_of(entry, "waiter_uid"), getuid());
	ck_assert_int_eq(number_of(entry, "has_deadline"), 1);
	ck_assert_int_le(number_of(entry, "deadline_ms") + number_of(entry, "waiting_ms"),
			 PATIENCE_MS);
	ck_assert_int_ge(number_of(entry, "deadline_ms"), 1);
	expect_cause(entry, "stopped", a.peer.pid, "is stopped");
	expect_chain(entry, (pid_t[]){ a.peer.pid }, 1);
	json_object_put(list);
	list = stuck(&server, 60000);
	ck_assert_uint_eq(json_object_array_length(list), 0);
	json_object_put(list);
	ck_assert_int_eq(fencectl(&server, "--older 0 stuck", &text), STUCK);
	ck_assert_msg(strstr(text, "is stopped") && strstr(text, "signaler 1"), "%s", text);
	free(text);
	actor_continue(&a);
	actor_signal(&a);
	ck_assert_int_eq(actor_result(&b), 0);
	list = stuck(&server, 0);
	ck_assert_uint_eq(json_object_array_length(list), 0);
	json_object_put(list);
	actor_leave(&a);
	actor_leave(&b);
}
END_TEST

/* c waits for b, b for a; _i 0: a is stopped, 1: it is busy with something else. */
START_TEST(chain_of_three)
{
	struct actor a, b, c;
	actor_start(&a, "first");
	actor_start(&b, "second");
	actor_start(&c, "third");
	actor_await(&b, &a, PATIENCE_MS);
	actor_await(&c, &b, PATIENCE_MS);
	if (_i == 0) {
		actor_stop(&a);
	}
	const char *end = _i == 0 ? "stopped" : "silent";
	const char *says =
		_i == 0 ? "is stopped" : "waits for no process here and has not signalled";
	struct json_object *list = stuck_await(&server, 2);
	struct json_object *entry = entry_of(list, "waiter_pid", c.peer.pid);
	expect_cause(entry, end, a.peer.pid, says);
	expect_chain(entry, (pid_t[]){ b.peer.pid, a.peer.pid }, 2);
	entry = entry_of(list, "waiter_pid", b.peer.pid);
	expect_cause(entry, end, a.peer.pid, says);
	expect_chain(entry, (pid_t[]){ a.peer.pid }, 1);
	json_object_put(list);
	if (_i == 0) {
		actor_continue(&a);
	}
	actor_signal(&a);
	ck_assert_int_eq(actor_result(&b), 0);
	actor_signal(&b);
	ck_assert_int_eq(actor_result(&c), 0);
	actor_leave(&a);
	actor_leave(&b);
	actor_leave(&c);
}
END_TEST

/* a and b for each other; c for b, from outside. */
START_TEST(cycle)
{
	struct actor a, b, c;
	actor_start(&a, "egg");
	actor_start(&b, "hen");
	actor_start(&c, "farmer");
	actor_await(&a, &b, PATIENCE_MS);
	actor_await(&b, &a, PATIENCE_MS);
	actor_await(&c, &b, PATIENCE_MS);
	struct json_object *list = stuck_await(&server, 3);
	struct json_object *entry = entry_of(list, "waiter_pid", a.peer.pid);
	expect_cause(entry, "cycle", a.peer.pid, "a cycle: hen");
	expect_cause(entry, "cycle", b.peer.pid, "wait for each other");
	expect_chain(entry, (pid_t[]){ b.peer.pid, a.peer.pid }, 2);
	entry = entry_of(list, "waiter_pid", b.peer.pid);
	expect_cause(entry, "cycle", b.peer.pid, "a cycle: egg");
	expect_chain(entry, (pid_t[]){ a.peer.pid, b.peer.pid }, 2);
	entry = entry_of(list, "waiter_pid", c.peer.pid);
	expect_cause(entry, "cycle", a.peer.pid, "a cycle: egg");
	ck_assert_ptr_null(strstr(word_of(entry, "cause"), "farmer"));
	expect_chain(entry, (pid_t[]){ b.peer.pid, a.peer.pid, b.peer.pid }, 3);
	json_object_put(list);
	kill(a.peer.pid, SIGKILL);
	ck_assert_int_eq(peer_wait(&a.peer), 128 + SIGKILL);
	ck_assert_int_eq(actor_result(&b), -EOWNERDEAD);
	actor_signal(&b);
	ck_assert_int_eq(actor_result(&c), 0);
	actor_leave(&b);
	actor_leave(&c);
	close(a.token);
}
END_TEST

/* A process that gave up does not wait any more, though it did not tell the daemon; one that waits
 * again has just begun. */
START_TEST(gave_up)
{
	struct actor a, b;
	struct json_object *list;
	uint64_t began;
	actor_start(&a, "signaler");
	actor_start(&b, "waiter");
	actor_await(&b, &a, 30);
	ck_assert_int_eq(actor_result(&b), -ETIMEDOUT);
	list = stuck(&server, 0);
	ck_assert_uint_eq(json_object_array_length(list), 0);
	json_object_put(list);
	uint64_t gone = now_ms();
	while (now_ms() < gone + 100) {
		yield_briefly();
	}
	began = now_ms();
	actor_await(&b, &a, PATIENCE_MS); /* for the next one: the daemon has the lower one armed */
	list = stuck_await(&server, 1);
	struct json_object *entry = json_object_array_get_idx(list, 0);
	ck_assert_int_le(number_of(entry, "waiting_ms"), (int64_t)(now_ms() - began));
	json_object_put(list);
	actor_signal(&a);
	actor_signal(&a);
	ck_assert_int_eq(actor_result(&b), 0);
	actor_leave(&a);
	actor_leave(&b);
}
END_TEST

/* After the two know each other the daemon takes no part, and still can tell. */
START_TEST(pair_path)
{
	struct actor a, b;
	uint64_t end = now_ms() + PATIENCE_MS;
	bool paired = false;
	actor_start(&a, "signaler");
	actor_start(&b, "waiter");
	while (!paired) {
		ck_assert_uint_lt(now_ms(), end);
		actor_await(&b, &a, PATIENCE_MS);
		struct json_object *list = stuck_await(&server, 1);
		struct json_object *entry = json_object_array_get_idx(list, 0);
		paired = strcmp(word_of(entry, "by"), "pair wait") == 0;
		ck_assert_int_eq(number_of(entry, "waiter_pid"), b.peer.pid);
		expect_cause(entry, "silent", a.peer.pid, "has not signalled");
		json_object_put(list);
		actor_signal(&a);
		ck_assert_int_eq(actor_result(&b), 0);
	}
	actor_leave(&a);
	actor_leave(&b);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, nothing);
	tcase_add_test(tcase, signaler_stopped);
	tcase_add_loop_test(tcase, chain_of_three, 0, 2);
	tcase_add_test(tcase, cycle);
	tcase_add_test(tcase, gave_up);
	tcase_add_test(tcase, pair_path);
}

int main(void)
{
	return suite_main("stuck", add);
}
