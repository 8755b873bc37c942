// SPDX-License-Identifier: MIT
/* Waiters that the signaler wakes without the daemon: how they become such, that the daemon then
 * takes no part, and that no waiter is lost when it ends. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib-peer.h"
#include "lib-view.h"

#define THREADS 40
#define WAITERS 12
#define PAIRS   8 /* places that a signaler looks at */

static struct daemon server;
static struct client observer;
static struct fbk_context *context;
static struct fbk_device *device;
static struct fbk_timeline *timeline;

static void setup(void)
{
	daemon_serve(&server, NULL);
	client_open(&observer, &server);
	context = peer_connect(&server);
	device = peer_device(context, "dev");
	timeline = peer_timeline(device, "line", 0);
}

static void teardown(void)
{
	fbk_disconnect(context);
	client_close(&observer);
	daemon_stop(&server);
}

/* ----------------------------------------------------------------------- a process that waits --- */

/* Waits for each point it is sent, and answers with the result; 0 ends it. */
static int wait_points(int socket, void *arg)
{
	(void)arg;
	int token;
	receive_word(socket, &token);
	struct fbk_context *own = peer_connect(&server);
	struct fbk_timeline *opened;
	EXPECT(fbk_timeline_open(own, token, &opened) == 0);
	close(token);
	send_word(socket, 0, -1);
	uint64_t value;
	while ((value = receive_word(socket, NULL)) != 0) {
		int r = fbk_point_wait((struct fbk_point){ opened, value },
				       deadline_ms(PATIENCE_MS));
		send_word(socket, (uint64_t)(int64_t)r, -1);
	}
	fbk_disconnect(own);
	return 0;
}

static void waiter_start_as(struct peer *peer, int (*fn)(int socket, void *arg))
{
	int token;
	peer_start(peer, fn, NULL);
	ck_assert_int_eq(fbk_timeline_share(timeline, FBK_RIGHT_WAIT, &token), 0);
	send_word(peer->socket, 0, token);
	close(token);
	receive_word(peer->socket, NULL);
}

static void waiter_start(struct peer *peer)
{
	waiter_start_as(peer, wait_points);
}

static void waiter_stop(struct peer *peer)
{
	send_word(peer->socket, 0, -1);
	ck_assert_int_eq(peer_wait(peer), 0);
}

static void ask(struct peer *peer, uint64_t value)
{
	send_word(peer->socket, value, -1);
	await_asleep(peer->pid);
}

static int answer(struct peer *peer)
{
	return (int)(int64_t)receive_word(peer->socket, NULL);
}

/* Signals points one by one, each slept for, until the daemon takes no part any more. Returns the
 * last one. The daemon is asked after the waiter was woken: it counts a wait before its wake, but
 * may answer a request before it reads a bell that was rung earlier. */
static uint64_t pair_up(struct peer *peer, uint64_t value)
{
	uint64_t end = now_ms() + PATIENCE_MS, before, waits;
	do {
		EXPECT(now_ms() < end);
		before = client_counter(&observer, "waits");
		ask(peer, ++value);
		EXPECT(fbk_timeline_signal(timeline, value) == 0);
		EXPECT(answer(peer) == 0);
		waits = client_counter(&observer, "waits");
	} while (waits != before);
	return value;
}

/* ------------------------------------------------------------------------------ among two of them -- */

START_TEST(the_daemon_is_left_alone)
{
	struct peer peer;
	waiter_start(&peer);
	uint64_t value = pair_up(&peer, 0);
	uint64_t bells = client_counter(&observer, "bells");
	uint64_t wakes = client_counter(&observer, "wakes");
	uint64_t requests = client_counter(&observer, "requests");
	for (int i = 0; i < 200; i++) {
		ask(&peer, ++value);
		ck_assert_int_eq(fbk_timeline_signal(timeline, value), 0);
		ck_assert_int_eq(answer(&peer), 0);
	}
	ck_assert_uint_eq(client_counter(&observer, "bells"), bells);
	ck_assert_uint_eq(client_counter(&observer, "wakes"), wakes);
	ck_assert_uint_eq(client_counter(&observer, "requests"), requests + 3); /* these */
	waiter_stop(&peer);
}
END_TEST

/* A waiter for a point further away is not woken early, and is woken at its point. */
START_TEST(only_whom_it_concerns)
{
	struct peer peers[2];
	uint64_t value = 0;
	for (int i = 0; i < 2; i++) {
		waiter_start(&peers[i]);
		value = pair_up(&peers[i], value);
	}
	ask(&peers[0], value + 1);
	ask(&peers[1], value + 2);
	ck_assert_int_eq(fbk_timeline_signal(timeline, value + 1), 0);
	ck_assert_int_eq(answer(&peers[0]), 0);
	ck_assert_int_eq(readable_within(peers[1].socket, 0), 0);
	ck_assert_int_eq(fbk_timeline_signal(timeline, value + 2), 0);
	ck_assert_int_eq(answer(&peers[1]), 0);
	waiter_stop(&peers[0]);
	waiter_stop(&peers[1]);
}
END_TEST

enum end {
	END_SIGNALLED,
	END_FAILED,
	END_CLOSED,
	END_DAEMON_KILLED,
};

START_TEST(all_ends_wake)
{
	static const int results[] = { 0, -EIO, -EPIPE, -ENOTCONN };
	struct peer peer;
	waiter_start(&peer);
	uint64_t value = pair_up(&peer, 0);
	ask(&peer, value + 1);
	switch (_i) {
	case END_SIGNALLED:
		ck_assert_int_eq(fbk_timeline_signal(timeline, value + 1), 0);
		break;
	case END_FAILED:
		ck_assert_int_eq(fbk_timeline_fail(timeline, -EIO, "test"), 0);
		break;
	case END_CLOSED:
		fbk_timeline_close(timeline);
		break;
	case END_DAEMON_KILLED:
		daemon_kill(&server);
		break;
	}
	ck_assert_int_eq(answer(&peer), results[_i]);
	waiter_stop(&peer);
	if (_i == END_DAEMON_KILLED) {
		client_close(&observer);
		daemon_start(&server, NULL);
		client_open(&observer, &server);
	}
}
END_TEST

static int signal_and_die(int socket, void *arg)
{
	(void)arg;
	struct fbk_context *own = peer_connect(&server);
	struct fbk_timeline *line = peer_timeline(peer_device(own, "mortal"), "mortal", 0);
	uint64_t value;
	int token;
	EXPECT(fbk_timeline_share(line, FBK_RIGHT_WAIT, &token) == 0);
	send_word(socket, 0, token);
	while ((value = receive_word(socket, NULL)) != 0) {
		EXPECT(fbk_timeline_signal(line, value) == 0);
	}
	/* A signaler that dies between its store and its wake. */
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	EXPECT(fbk_timeline_memory(line, &memory, NULL) == 0);
	__atomic_store_n((uint64_t *)memory.address, fbk_timeline_value(line) + 1,
			 __ATOMIC_SEQ_CST);
	kill(getpid(), SIGKILL);
	return 0;
}

struct sleeper {
	pthread_t thread;
	struct fbk_point point;
	int result;
};

static void *sleep_on(void *arg)
{
	struct sleeper *sleeper = arg;
	sleeper->result = fbk_point_wait(sleeper->point, deadline_ms(PATIENCE_MS));
	return NULL;
}

static void sleeper_start(struct sleeper *sleeper, struct fbk_timeline *line, uint64_t value)
{
	sleeper->point = (struct fbk_point){ line, value };
	ck_assert_int_eq(pthread_create(&sleeper->thread, NULL, sleep_on, sleeper), 0);
}

static int sleeper_join(struct sleeper *sleeper)
{
	pthread_join(sleeper->thread, NULL);
	return sleeper->result;
}

/* A point that was reached before the signaler died counts, though no waiter was woken for it; the
 * next point fails. */
START_TEST(death_between_store_and_wake)
{
	struct sleeper reached, failed;
	struct fbk_timeline *opened;
	struct peer peer;
	int token;
	peer_start(&peer, signal_and_die, NULL);
	receive_word(peer.socket, &token);
	ck_assert_int_eq(fbk_timeline_open(context, token, &opened), 0);
	close(token);
	for (uint64_t value = 1; value <= 8; value++) {
		uint64_t waits = client_counter(&observer, "waits");
		sleeper_start(&reached, opened, value);
		if (value < 4) {
			client_await_counter(&observer, "waits", waits + 1);
		}
		send_word(peer.socket, value, -1);
		ck_assert_int_eq(sleeper_join(&reached), 0);
	}
	sleeper_start(&reached, opened, 9);
	sleeper_start(&failed, opened, 10);
	send_word(peer.socket, 0, -1);
	ck_assert_int_eq(sleeper_join(&reached), 0);
	ck_assert_int_eq(sleeper_join(&failed), -EOWNERDEAD);
	ck_assert_int_eq(peer_wait(&peer), 128 + SIGKILL);
}
END_TEST

/* -------------------------------------------------------------------------- many of them --- */

/* More waiters than a signaler looks at: the daemon wakes the others. */
START_TEST(more_than_eight)
{
	struct peer peers[WAITERS];
	uint64_t value = 0;
	for (int i = 0; i < WAITERS; i++) {
		waiter_start(&peers[i]);
	}
	for (int round = 0; round < 20; round++) {
		value++;
		for (int i = 0; i < WAITERS; i++) {
			ask(&peers[i], value);
		}
		ck_assert_int_eq(fbk_timeline_signal(timeline, value), 0);
		for (int i = 0; i < WAITERS; i++) {
			ck_assert_int_eq(answer(&peers[i]), 0);
		}
	}
	uint64_t waits = client_counter(&observer, "waits");
	for (int i = 0; i < WAITERS; i++) {
		ask(&peers[i], value + 1);
	}
	client_await_counter(&observer, "waits", waits + WAITERS - PAIRS);
	ck_assert_uint_eq(client_counter(&observer, "waits"), waits + WAITERS - PAIRS);
	ck_assert_int_eq(fbk_timeline_signal(timeline, value + 1), 0);
	for (int i = 0; i < WAITERS; i++) {
		ck_assert_int_eq(answer(&peers[i]), 0);
		waiter_stop(&peers[i]);
	}
}
END_TEST

#define EVERYBODY                                                                 \
	"version = 1; rules: ( { user = \"*\"; connect = true; register = true; " \
	"inspect = \"all\"; } );"

static int wait_points_as_nobody(int socket, void *arg)
{
	EXPECT(setgid(65534) == 0 && setuid(65534) == 0);
	return wait_points(socket, arg);
}

/* A user that has all places gives some to another, and is still woken. */
START_TEST(shared_out_between_users)
{
	struct peer peers[PAIRS + 1];
	uint64_t value = 0;
	if (geteuid() != 0) {
		fprintf(stderr, "skipped: only root can be two users\n");
		return;
	}
	teardown();
	daemon_serve(&server, EVERYBODY);
	EXPECT(chmod(server.directory, 0755) == 0);
	client_open(&observer, &server);
	context = peer_connect(&server);
	device = peer_device(context, "dev");
	timeline = peer_timeline(device, "line", 0);
	for (int i = 0; i < PAIRS; i++) {
		waiter_start_as(&peers[i], wait_points);
		value = pair_up(&peers[i], value);
	}
	waiter_start_as(&peers[PAIRS], wait_points_as_nobody);
	value = pair_up(&peers[PAIRS], value); /* it gets one */
	for (int round = 0; round < 20; round++) {
		value++;
		for (int i = 0; i <= PAIRS; i++) {
			ask(&peers[i], value);
		}
		ck_assert_int_eq(fbk_timeline_signal(timeline, value), 0);
		for (int i = 0; i <= PAIRS; i++) {
			ck_assert_int_eq(answer(&peers[i]), 0);
		}
	}
	uint64_t waits = client_counter(&observer, "waits");
	value++;
	for (int i = 0; i <= PAIRS; i++) {
		ask(&peers[i], value);
	}
	client_await_counter(&observer, "waits",
			     waits + 1); /* the first user's ninth, and no other */
	ck_assert_uint_eq(client_counter(&observer, "waits"), waits + 1);
	ck_assert_int_eq(fbk_timeline_signal(timeline, value), 0);
	for (int i = 0; i <= PAIRS; i++) {
		ck_assert_int_eq(answer(&peers[i]), 0);
		waiter_stop(&peers[i]);
	}
}
END_TEST

/* Processes come and go: each gets a pair, and nothing stays of it. */
START_TEST(come_and_go)
{
	uint64_t value = 0;
	int token;
	/* One token for all of them, which the daemon keeps. */
	ck_assert_int_eq(fbk_timeline_share(timeline, FBK_RIGHT_WAIT, &token), 0);
	close(token);
	unsigned int fds = daemon_fd_count(&server);
	for (int i = 0; i < 30; i++) {
		struct peer peer;
		waiter_start(&peer);
		value = pair_up(&peer, value);
		waiter_stop(&peer);
	}
	daemon_await_fds(&server, fds);
}
END_TEST

/* Threads of one process: a wake reaches sixteen, and those wake the others. */
START_TEST(forty_threads)
{
	static struct sleeper sleepers[THREADS];
	struct fbk_context *own = peer_connect(&server);
	struct fbk_timeline *opened = peer_open(own, timeline, FBK_RIGHT_WAIT);
	for (uint64_t value = 1; value <= 20; value++) {
		for (int i = 0; i < THREADS; i++) {
			sleeper_start(&sleepers[i], opened, value);
		}
		ck_assert_int_eq(fbk_timeline_signal(timeline, value), 0);
		for (int i = 0; i < THREADS; i++) {
			ck_assert_int_eq(sleeper_join(&sleepers[i]), 0);
		}
	}
	fbk_disconnect(own);
}
END_TEST

/* A process that waits for what another of its threads signals. */
START_TEST(within_one_process)
{
	struct sleeper sleeper;
	for (uint64_t value = 1; value <= 200; value++) {
		sleeper_start(&sleeper, timeline, value);
		ck_assert_int_eq(fbk_timeline_signal(timeline, value), 0);
		ck_assert_int_eq(sleeper_join(&sleeper), 0);
	}
}
END_TEST

/* --------------------------------------------------------------------------- the wire --- */

static int pair_join(struct client *client, uint32_t handle, struct reply *ret_reply)
{
	REQUEST(request, PAIR_JOIN, pair_join);
	request.pair_join->handle = handle;
	return client_call(client, &request, NULL, 0, ret_reply);
}

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int pair_list(struct client *client, uint32_t handle, uint64_t *have, size_t count,
		     struct reply *ret_reply)
{
	REQUEST(request, PAIR_LIST, pair_list);
	request.pair_list->handle = handle;
	request.pair_list->have = have;
	request.pair_list->n_have = count;
	return client_call(client, &request, NULL, 0, ret_reply);
}

static uint32_t silent_device(struct client *client)
{
	struct reply reply;
	REQUEST(request, DEVICE_REGISTER, device_register);
	request.device_register->name = (char *)(uintptr_t) "silent";
	request.device_register->class_ = FBK_CLASS_CPU;
	request.device_register->signals = FBK_FENCE_MEMORY64;
	request.device_register->silent = true;
	ck_assert_int_eq(client_call(client, &request, NULL, 0, &reply), 0);
	uint32_t id = reply.message->object->id;
	reply_free(&reply);
	return id;
}

START_TEST(refused)
{
	struct client signaler, waiter;
	struct view signals, waits, brokered, brokered_waits, stores, stores_waits;
	client_open(&signaler, &server);
	client_open(&waiter, &server);
	uint32_t dev = client_device(&signaler, "dev");
	view_pair(&signaler, dev, "memory", 0, &waiter, &signals, &waits);
	view_pair(&signaler, dev, "brokered", FBK_TIMELINE_BROKERED, &waiter, &brokered,
		  &brokered_waits);
	view_pair(&signaler, silent_device(&signaler), "stores", 0, &waiter, &stores,
		  &stores_waits);
	ck_assert_int_eq(pair_join(&waiter, stores_waits.handle, NULL), -EINVAL);
	ck_assert_int_eq(pair_join(&waiter, 99, NULL), -ENOENT);
	ck_assert_int_eq(pair_join(&waiter, brokered_waits.handle, NULL), -EINVAL);
	ck_assert_int_eq(pair_list(&waiter, waits.handle, NULL, 0, NULL), -EPERM);
	ck_assert_int_eq(pair_list(&signaler, brokered.handle, NULL, 0, NULL), -EPERM);
	ck_assert_int_eq(view_fail(&signals, -EIO, ""), 0);
	ck_assert_int_eq(pair_join(&waiter, waits.handle, NULL), -EIO);
	client_close(&waiter);
	client_close(&signaler);
}
END_TEST

START_TEST(joined_and_listed)
{
	struct client signaler, waiter;
	struct view signals, waits;
	struct reply reply, again;
	client_open(&signaler, &server);
	client_open(&waiter, &server);
	view_pair(&signaler, client_device(&signaler, "dev"), "memory", 0, &waiter, &signals,
		  &waits);
	ck_assert_int_eq(pair_join(&waiter, waits.handle, &reply), 0);
	const Fbk__Wire__Page *cell = reply.message->pair->cell;
	uint64_t page = cell->id;
	ck_assert_uint_eq(cell->size, FBK_PEER_SIZE);
	ck_assert_uint_eq(cell->kind, FBK_PAGE_PEER);
	ck_assert_uint_eq(cell->slot, 0);
	ck_assert_uint_eq(reply.fd_count, 1);
	/* both can write it; neither can shrink it or make the daemon unable to map it */
	ck_assert_int_eq(ftruncate(reply.fds[0], 0), -1);
	ck_assert_int_eq(fcntl(reply.fds[0], F_GET_SEALS) & SEALS, SEALS);

	ck_assert_int_eq(pair_join(&waiter, waits.handle, &again), 0); /* the same */
	ck_assert_uint_eq(again.message->pair->cell->id, page);
	ck_assert_uint_eq(again.message->pair->cell->slot, 0);
	reply_free(&again);
	reply_free(&reply);

	ck_assert_uint_eq(atomic_load(&signals.control->generation), 1);
	ck_assert_int_eq(pair_list(&signaler, signals.handle, NULL, 0, &reply), 0);
	ck_assert_uint_eq(reply.message->pair_cells->generation, 1);
	ck_assert_uint_eq(reply.message->pair_cells->n_cells, 1);
	ck_assert_uint_eq(reply.message->pair_cells->fresh, 1);
	ck_assert_uint_eq(reply.fd_count, 1);
	reply_free(&reply);
	ck_assert_int_eq(pair_list(&signaler, signals.handle, &page, 1, &reply), 0);
	ck_assert_uint_eq(reply.message->pair_cells->n_cells, 1);
	ck_assert_uint_eq(reply.message->pair_cells->fresh, 0);
	ck_assert_uint_eq(reply.fd_count, 0);
	reply_free(&reply);

	client_close(&waiter); /* the daemon sees it when it gets there */
	uint64_t deadline = now_ms() + PATIENCE_MS;
	while (atomic_load(&signals.control->generation) == 1) {
		ck_assert_msg(now_ms() < deadline, "the waiter's cell is kept");
		yield_briefly();
	}
	ck_assert_int_eq(pair_list(&signaler, signals.handle, &page, 1, &reply), 0);
	ck_assert_uint_eq(reply.message->pair_cells->n_cells, 0);
	ck_assert_uint_gt(reply.message->pair_cells->generation, 1);
	reply_free(&reply);
	client_close(&signaler);
}
END_TEST

/* ----------------------------------------------------------------------- who is not what he says -- */

/* A waiter that speaks the wire protocol, with its cell mapped. */
struct raw_waiter {
	struct client client;
	struct view view;
	struct fbk_peer_page *page;
	struct fbk_pair_cell *cell;
};

static void raw_waiter_open(struct raw_waiter *raw)
{
	uint32_t slot;
	int token;
	client_open(&raw->client, &server);
	ck_assert_int_eq(fbk_timeline_share(timeline, FBK_RIGHT_WAIT, &token), 0);
	ck_assert_int_eq(view_open(&raw->client, token, &raw->view), 0);
	close(token);
	ck_assert_int_eq(view_join(&raw->view, &raw->page, &slot), 0);
	raw->cell = &raw->page->cells[slot];
}

static void raw_waiter_close(struct raw_waiter *raw)
{
	client_close(&raw->client);
}

/* Arms at the daemon, and is rung for, until the signaler has the cell. */
static void raw_waiter_mapped(struct raw_waiter *raw, uint64_t *value)
{
	uint64_t end = now_ms() + PATIENCE_MS;
	while (!atomic_load(&raw->cell->mapped)) {
		EXPECT(now_ms() < end);
		uint32_t sequence = cell_arm(&raw->view, *value + 1);
		view_await_monitored(&raw->view, *value + 1);
		EXPECT(fbk_timeline_signal(timeline, ++*value) == 0);
		EXPECT(cell_wait(&raw->view, sequence, PATIENCE_MS) == 0);
	}
}

/* Always armed and never asleep: after sixteen wasted wakes the signaler drops the cell; it takes
 * it up again a second later, when it rings anyway. */
START_TEST(awake_is_dropped)
{
	struct raw_waiter raw;
	uint64_t value = 0;
	raw_waiter_open(&raw);
	raw_waiter_mapped(&raw, &value);
	for (int i = 0; i < 15; i++) {
		atomic_store(&raw.cell->minimum, 0);
		ck_assert_int_eq(fbk_timeline_signal(timeline, ++value), 0);
	}
	ck_assert_uint_eq(atomic_load(&raw.cell->mapped), 1);
	uint32_t sequence = atomic_load(&raw.cell->sequence);
	atomic_store(&raw.cell->minimum, 0);
	ck_assert_int_eq(fbk_timeline_signal(timeline, ++value), 0);
	ck_assert_uint_eq(atomic_load(&raw.cell->mapped), 0);
	/* one ring for the point, one for the drop */
	ck_assert_uint_eq(atomic_load(&raw.cell->sequence), sequence + 2);
	atomic_store(&raw.cell->minimum, 0);
	ck_assert_int_eq(fbk_timeline_signal(timeline, ++value), 0);
	ck_assert_uint_eq(atomic_load(&raw.cell->minimum), 0); /* not looked at */
	uint64_t dropped = now_ms();
	raw_waiter_mapped(&raw, &value);
	ck_assert_uint_ge(now_ms() - dropped + 50, 1000);
	raw_waiter_close(&raw);
}
END_TEST

/* Random words in the page: other waiters on the same timeline do not notice. */
START_TEST(scribbled)
{
	struct raw_waiter raw;
	struct peer peer;
	uint64_t value = 0, seed = 0x9e3779b97f4a7c15;
	raw_waiter_open(&raw);
	raw_waiter_mapped(&raw, &value);
	waiter_start(&peer);
	value = pair_up(&peer, value);
	for (int i = 0; i < 200; i++) {
		uint64_t *words = (uint64_t *)raw.page;
		for (size_t word = 0; word < FBK_PEER_SIZE / 8; word++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			words[word] = seed;
		}
		ask(&peer, ++value);
		ck_assert_int_eq(fbk_timeline_signal(timeline, value), 0);
		ck_assert_int_eq(answer(&peer), 0);
	}
	waiter_stop(&peer);
	raw_waiter_close(&raw);
}
END_TEST

/* The daemon takes no part, and can nevertheless tell who waits for whom. */
START_TEST(blamed)
{
	struct fbk_context *own = peer_connect(&server);
	struct fbk_timeline *theirs = peer_timeline(peer_device(own, "second"), "theirs", 0);
	struct fbk_timeline *opened = peer_open(own, timeline, FBK_RIGHT_WAIT);
	struct sleeper sleeper;
	uint64_t value = 0, before, end = now_ms() + PATIENCE_MS;
	char text[512] = "", expected[64];
	do {
		EXPECT(now_ms() < end);
		before = client_counter(&observer, "waits");
		sleeper_start(&sleeper, opened, ++value);
		snprintf(expected, sizeof(expected), "waits for line point %llu",
			 (unsigned long long)value);
		do {
			EXPECT(now_ms() < end);
			EXPECT(fbk_point_blame((struct fbk_point){ theirs, 1 }, text,
					       sizeof(text)) == 0);
		} while (!strstr(text, expected));
		ck_assert_int_eq(fbk_timeline_signal(timeline, value), 0);
		ck_assert_int_eq(sleeper_join(&sleeper), 0);
	} while (client_counter(&observer, "waits") != before);
	fbk_disconnect(own);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_daemon_is_left_alone);
	tcase_add_test(tcase, only_whom_it_concerns);
	tcase_add_loop_test(tcase, all_ends_wake, END_SIGNALLED, END_DAEMON_KILLED + 1);
	tcase_add_test(tcase, death_between_store_and_wake);
	tcase_add_test(tcase, more_than_eight);
	tcase_add_test(tcase, shared_out_between_users);
	tcase_add_test(tcase, come_and_go);
	tcase_add_test(tcase, forty_threads);
	tcase_add_test(tcase, within_one_process);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, joined_and_listed);
	tcase_add_test(tcase, awake_is_dropped);
	tcase_add_test(tcase, scribbled);
	tcase_add_test(tcase, blamed);
}

int main(void)
{
	return suite_main("pair", add_tests);
}
