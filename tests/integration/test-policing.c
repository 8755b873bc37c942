// SPDX-License-Identifier: MIT
/* A client that writes nonsense to everything it can write to. It harms itself; no other client
 * notices. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib-view.h"

#define MAX_JUMP (UINT64_C(1) << 48)

static struct daemon fencebrokerd;
static struct bystander bystander;
static struct client client, waiter;
static uint32_t device;
static struct view view, opened;

static void setup(void)
{
	daemon_serve(&fencebrokerd, NULL);
	bystander_open(&bystander, &fencebrokerd);
	client_open(&client, &fencebrokerd);
	client_open(&waiter, &fencebrokerd);
	device = client_device(&client, "cpu0");
	view_pair(&client, device, "policed", 0, &waiter, &view, &opened);
}

static void teardown(void)
{
	client_close(&waiter);
	client_close(&client);
	bystander_close(&bystander);
	daemon_stop(&fencebrokerd);
}

/* --------------------------------------------------------------------------------- the payload -- */

static void payload_store(uint64_t value)
{
	atomic_store(&view.payload->payload, value);
	doorbell_ring(&client, view.handle);
}

/* The daemon has read this payload. */
static void payload_seen(uint64_t value)
{
	uint32_t sequence = cell_arm(&opened, value);
	payload_store(value);
	ck_assert_int_eq(cell_wait(&opened, sequence, PATIENCE_MS), 0);
}

static const struct {
	uint64_t first, then;
	const char *what;
} steps[] = {
	{ 5, 4, "stepped back: 4 after 5" },
	{ 5, 0, "stepped back: 0 after 5" },
	{ 5, FBK_POISON, "is not below 2^62: 4611686018427387904 after 5" },
	{ 5, FBK_POISON | 6, "is not below 2^62: 4611686018427387910 after 5" },
	{ 5, UINT64_MAX, "is not below 2^62: 18446744073709551615 after 5" },
	{ 5, FBK_POINT_MAX, "jumped further than policy allows: 4611686018427387903 after 5" },
	{ 5, 5 + MAX_JUMP + 1, "jumped further than policy allows: 281474976710662 after 5" },
	{ 5, 5 + MAX_JUMP, NULL },
	{ 5, 5, NULL },
};

START_TEST(implausible)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	char who[96];
	payload_seen(steps[_i].first);
	uint32_t sequence = cell_arm(&opened, FBK_POINT_MAX);
	view_await_monitored(&view, FBK_POINT_MAX);
	payload_store(steps[_i].then);
	if (!steps[_i].what) {
		ck_assert_int_eq(view_info(&opened, &info), 0);
		ck_assert_int_eq(info.cause, FBK_CAUSE_NONE);
		ck_assert_uint_eq(info.value, steps[_i].then);
		return;
	}
	ck_assert_int_eq(cell_wait(&opened, sequence, PATIENCE_MS), 0);
	ck_assert_int_eq(point_wait(&opened, 6, PATIENCE_MS), -EPROTO);
	ck_assert_int_eq(point_check(&opened, 5), 0);
	ck_assert(view_payload(&opened) & FBK_POISON);
	ck_assert_int_eq(view_info(&opened, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_POLICING);
	ck_assert_uint_eq(info.failed_from, 6);
	snprintf(who, sizeof(who), "the payload of policed, written by cpu0 (pid %d), ", getpid());
	ck_assert_msg(strncmp(info.reason, who, strlen(who)) == 0, "%s", info.reason);
	ck_assert_str_eq(info.reason + strlen(who), steps[_i].what);
}
END_TEST

/* It need not ring: the next read of it finds out. */
START_TEST(implausible_without_bell)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	payload_seen(9);
	atomic_store(&view.payload->payload, 3);
	ck_assert_int_eq(view_info(&opened, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_POLICING);
	ck_assert_int_eq(point_check(&opened, 9), 0);
	ck_assert_int_eq(point_check(&opened, 10), -EPROTO);
}
END_TEST

/* A device may overwrite the header of its payload page: the daemon takes nothing from there. */
START_TEST(payload_page_scribbled)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	const struct client_page *page = NULL;
	for (size_t i = 0; i < client.page_count; i++) {
		page = client.pages[i].id == view.payload_page ? &client.pages[i] : page;
	}
	ck_assert_ptr_nonnull(page);
	payload_seen(1);
	for (uint64_t *word = page->memory; (char *)word < (char *)page->memory + page->size;
	     word++) {
		if ((void *)word != (void *)&view.payload->payload) {
			*word = random_next();
		}
	}
	atomic_store(&view.payload->payload, 2);
	ck_assert_int_eq(view_info(&opened, &info), 0);
	ck_assert_uint_eq(info.value, 2);
	ck_assert_int_eq(info.cause, FBK_CAUSE_NONE);
	payload_seen(3);
	bystander_round(&bystander);
}
END_TEST

/* ------------------------------------------------------------------------------- the pair page -- */

static void pair_scribble(void)
{
	uint64_t *words = (uint64_t *)client.pair;
	for (size_t i = 0; i < sizeof(*client.pair) / sizeof(uint64_t); i++) {
		words[i] = random_next() >> random_next() % 64;
	}
}

static void doorbell_write(void)
{
	const uint64_t one = 1;
	EXPECT(write(client.doorbell, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN);
}

START_TEST(pair_page_scribbled)
{
	for (int round = 0; round < 50; round++) {
		pair_scribble();
		doorbell_write();
		bystander_round(&bystander);
	}
	memset(client.pair, 0xff, sizeof(*client.pair)); /* all possible handles */
	doorbell_write();
	bystander_round(&bystander);
	memset(client.pair, 0, sizeof(*client.pair));
	doorbell_write();
	bystander_round(&bystander);

	/* once repaired, everything goes on */
	for (size_t i = 0; i < FBK_PAIR_CELLS; i++) {
		atomic_store(&client.pair->cells[i].minimum, FBK_MONITORED_NONE);
	}
	uint32_t sequence = cell_arm(&view, 1);
	ck_assert(view_signal(&view, 0, 1));
	ck_assert_int_eq(cell_wait(&view, sequence, PATIENCE_MS), 0);
}
END_TEST

/* Bells for handles of other clients, or of none: the daemon does nothing for them. */
START_TEST(foreign_bells)
{
	uint64_t value = bystander.value;
	uint32_t sequence = cell_sequence(&bystander.waits);
	uint64_t looks = client_counter(&bystander.waiter, "looks");
	uint64_t bells = client_counter(&bystander.waiter, "bells");
	for (uint32_t handle = 0; handle < FBK_PAIR_CELLS; handle++) {
		if (handle != view.handle) {
			atomic_store(&client.pair->cells[handle].minimum, 1);
			atomic_fetch_or(&client.pair->bell[handle / 64], UINT64_C(1)
										 << handle % 64);
		}
	}
	atomic_store(&client.pair->bell_summary, UINT64_MAX);
	doorbell_write();
	client_await_counter(&bystander.waiter, "bells", bells + 1);
	ck_assert_uint_eq(client_counter(&bystander.waiter, "looks"), looks);
	ck_assert_uint_eq(cell_sequence(&bystander.waits), sequence);
	ck_assert_uint_eq(view_payload(&bystander.waits), value);
	bystander_round(&bystander);
}
END_TEST

START_TEST(sequence_wraps)
{
	atomic_store(&waiter.pair->cells[opened.handle].sequence, UINT32_MAX);
	uint32_t sequence = cell_arm(&opened, 1);
	ck_assert_uint_eq(sequence, UINT32_MAX);
	ck_assert(view_signal(&view, 0, 1));
	ck_assert_int_eq(cell_wait(&opened, sequence, PATIENCE_MS), 0);
	ck_assert_uint_eq(cell_sequence(&opened), 0);
}
END_TEST

/* -------------------------------------------------------------------------------- the doorbell -- */

/* Full, and blocking: reading or writing it would block the daemon. */
START_TEST(doorbell_full)
{
	const uint64_t most = UINT64_MAX - 1;
	uint64_t drained;
	ck_assert_int_eq(write(client.doorbell, &most, sizeof(most)), sizeof(most));
	ck_assert_int_eq(fcntl(client.doorbell, F_SETFL, 0), 0);
	for (int round = 0; round < 10; round++) {
		bystander_round(&bystander);
		client_ping(&client);
	}
	ck_assert_int_eq(read(client.doorbell, &drained, sizeof(drained)), sizeof(drained));
	ck_assert_uint_eq(drained, most);          /* no other process read it */
	for (int round = 0; round < 10; round++) { /* empty, and still blocking */
		bystander_round(&bystander);
	}
	ck_assert(view_signal(&view, 0, 1));
	ck_assert_int_eq(point_wait(&opened, 1, PATIENCE_MS), 0);
}
END_TEST

static atomic_bool ringing;

static void *ringer(void *arg)
{
	(void)arg;
	uint64_t drained;
	while (atomic_load(&ringing)) {
		for (uint32_t handle = 0; handle < FBK_PAIR_CELLS; handle += 64) {
			atomic_store(&client.pair->bell[handle / 64], UINT64_MAX);
		}
		atomic_store(&client.pair->bell_summary, UINT64_MAX);
		doorbell_write();
		if (read(client.doorbell, &drained, sizeof(drained)) < 0) {
			return NULL;
		}
	}
	return NULL;
}

/* Rung without end, for each possible handle: others are served as before. */
START_TEST(doorbell_never_silent)
{
	pthread_t thread;
	struct view more;
	uint32_t set = client_set(&client);
	for (int i = 0; i < 500; i++) {
		EXPECT(view_create(&client, device, set, "looked-at", 0, &more) == 0);
	}
	atomic_store(&ringing, true);
	ck_assert_int_eq(pthread_create(&thread, NULL, ringer, NULL), 0);
	for (int round = 0; round < 100; round++) {
		bystander_round(&bystander);
	}
	atomic_store(&ringing, false);
	pthread_join(thread, NULL);
}
END_TEST

/* ---------------------------------------------------------------------------------- the socket -- */

/* Requests without end, whose replies are not read: the daemon keeps one reply, and waits for its
 * reader. */
START_TEST(replies_never_read)
{
	static uint8_t bytes[256];
	struct reply reply;
	uint64_t sent = 0;
	uint64_t next = client.serial + 1;
	uint64_t stalled_since = now_ms();
	REQUEST(request, INSPECT_STATUS, inspect_status);
	for (;;) {
		request.serial = client.serial + 1;
		size_t size = fbk__wire__request__pack(&request, bytes);
		int r = wire_send(client.socket, bytes, size, NULL, 0);
		if (r == 0) {
			client.serial++;
			sent++;
			stalled_since = now_ms();
		} else {
			ck_assert_int_eq(r, -EAGAIN);
			yield_briefly();
		}
		if (r == -EAGAIN && now_ms() - stalled_since > 200) {
			break; /* both queues are full, and stay so */
		}
	}
	ck_assert_uint_gt(sent, 10);
	ck_assert_uint_gt(client_usage(&bystander.waiter, getuid(), "queued_bytes"), 0);
	for (int round = 0; round < 10; round++) {
		bystander_round(&bystander);
	}
	for (uint64_t serial = next; serial < next + sent; serial++) { /* all, and in order */
		EXPECT(client_receive(&client, &reply));
		EXPECT(reply.message->serial == serial && reply.message->error == 0);
		reply_free(&reply);
	}
	client_ping(&client);
	ck_assert_uint_eq(client_usage(&bystander.waiter, getuid(), "queued_bytes"), 0);
}
END_TEST

/* Watches that fire while no reply is read are told later, once each. */
START_TEST(events_never_read)
{
	static uint8_t bytes[256];
	struct reply reply;
	bool seen[300] = { false };
	size_t told = 0;
	size_t answered = 0;
	size_t asked = 0;
	for (uint64_t number = 0; number < 300; number++) {
		EXPECT(view_watch(&opened, 1, UINT64_MAX, number) == 0);
	}
	REQUEST(request, INSPECT_STATUS, inspect_status);
	request.serial = 1;
	size_t size = fbk__wire__request__pack(&request, bytes);
	while (wire_send(waiter.socket, bytes, size, NULL, 0) == 0) {
		asked++;
	}
	ck_assert(view_signal(&view, 0, 1));
	bystander_round(&bystander);
	while (told < 300 || answered < asked) {
		EXPECT(client_receive(&waiter, &reply));
		const Fbk__Wire__WatchesFired *fired = reply.message->watches_fired;
		answered += reply.message->serial == 1;
		for (size_t i = 0; reply.message->serial == 0 && i < fired->n_watch; i++) {
			EXPECT(fired->watch[i] < 300 && !seen[fired->watch[i]]);
			EXPECT(fired->result[i] == 0);
			seen[fired->watch[i]] = true;
			told++;
		}
		reply_free(&reply);
	}
	ck_assert_uint_eq(told, 300);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, implausible, steps);
	tcase_add_test(tcase, implausible_without_bell);
	tcase_add_test(tcase, payload_page_scribbled);
	tcase_add_test(tcase, pair_page_scribbled);
	tcase_add_test(tcase, foreign_bells);
	tcase_add_test(tcase, sequence_wraps);
	tcase_add_test(tcase, doorbell_full);
	tcase_add_test(tcase, doorbell_never_silent);
	tcase_add_test(tcase, replies_never_read);
	tcase_add_test(tcase, events_never_read);
}

int main(void)
{
	return suite_main("policing", add);
}
