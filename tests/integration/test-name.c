// SPDX-License-Identifier: MIT
/* Links by name: which clients meet, who may have which name and for how long. Needs root, to act
 * as several users. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/lib/link/link.h"
#include "client/lib/timeline.h"
#include "lib-exchange.h"
#include "lib-name.h"
#include "lib-stuck.h"

#define FRAMES 100

/* ----------------------------------------------------------------------------------- meeting --- */

/* Another user's process, which has nothing from the test but the name. */
static int consumer(int socket, void *arg)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct guest guest;
	become(SERVED);
	guest_open(&guest, arg);
	send_word(socket, 0, -1);
	uint64_t count = consume(guest.link, wait_point, NULL);
	EXPECT(fbk_link_info(guest.link, &info) == 0);
	EXPECT(info.error == -EPIPE);
	fbk_disconnect(guest.context);
	return count == FRAMES ? 0 : 1;
}

START_TEST(two_processes_meet)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct producer producer;
	struct peer peer;
	int offer;
	producer_open(&producer, &names.server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	close(offer);
	expect_ok(fbk_link_publish(producer.link, "encoder.0"));
	peer_start(&peer, consumer, (void *)(uintptr_t) "encoder.0");
	receive_word(peer.socket, NULL);
	expect_ok(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)));
	expect_ok(fbk_link_info(producer.link, &info));
	ck_assert_int_eq(info.pid, peer.pid);
	ck_assert_uint_eq(info.uid, SERVED);
	for (int i = 0; i < FRAMES; i++) {
		producer_frame(&producer);
	}
	uint32_t index;
	for (int i = 0; i < PRODUCER_BUFFERS; i++) { /* all frames are back, so all were seen */
		expect_ok(fbk_exchange_take(producer.exchange, deadline_ms(PATIENCE_MS), &index,
					    NULL));
	}
	producer_close(&producer);
	ck_assert_int_eq(peer_wait(&peer), 0);
}
END_TEST

/* A service of three links, on the connections of two processes: find gives the oldest free one,
 * then none. */
START_TEST(several_of_one_name)
{
	struct service first, second, third;
	struct guest guests[3], late;
	service_open(&first);
	second = first;
	service_offer(&second);
	service_open(&third);
	ck_assert_int_eq(find("camera"), -ENOENT);
	expect_ok(fbk_link_publish(second.link, "camera")); /* in another order */
	expect_ok(fbk_link_publish(third.link, "camera"));
	expect_ok(fbk_link_publish(first.link, "camera"));
	struct fbk_link *links[] = { first.link, second.link, third.link };
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(phase_of(links[i]), FBK_PHASE_OFFERED);
		guest_open(&guests[i], "camera");
		ck_assert_int_eq(phase_of(links[i]), FBK_PHASE_ACCEPTED);
	}
	guest_connect(&late);
	expect_error(guest_accept(&late, "camera"), -EBUSY,
		     "all 3 links named camera are taken, the oldest by ");
	/* Closing a link, or ending, makes room. */
	fbk_link_close(guests[1].link);
	ck_assert_int_eq(phase_of(links[1]), FBK_PHASE_OFFERED);
	expect_ok(guest_accept(&late, "camera"));
	ck_assert_int_eq(phase_of(links[1]), FBK_PHASE_ACCEPTED);
	ck_assert_int_eq(find("camera"), -EBUSY);
	/* A link whose name was removed is not found any more, and stays with its consumer. */
	expect_ok(fbk_link_publish(links[2], NULL));
	fbk_disconnect(guests[2].context);
	expect_error(find("camera"), -EBUSY, "all 2 links");
	for (int i = 0; i < 2; i++) {
		fbk_disconnect(guests[i].context);
	}
	fbk_disconnect(late.context);
	fbk_disconnect(first.context);
	fbk_disconnect(third.context);
	await_none("camera");
}
END_TEST

/* Two clients find the same link, one gets it. */
START_TEST(found_by_two)
{
	struct service service;
	struct guest quick, slow;
	int offer;
	char label[64];
	service_open(&service);
	snprintf(label, sizeof(label), "(pid %d, uid 0)", getpid());
	expect_ok(fbk_link_publish(service.link, "screen"));
	guest_connect(&slow);
	expect_ok(fbk_link_find(slow.context, "screen", &offer));
	guest_open(&quick, "screen");
	expect_error(link_accept(slow.device, offer, &slow.link), -EBUSY, "has that link");
	expect_error(guest_accept(&slow, "screen"), -EBUSY, "the link named screen is taken by ");
	ck_assert_msg(strstr(fbk_error_detail(), label), "%s", fbk_error_detail());
	fbk_disconnect(quick.context);
	/* The same offer is good as long as its link exists. */
	uint64_t deadline = now_ms() + PATIENCE_MS;
	while (link_accept(slow.device, offer, &slow.link) == -EBUSY) {
		EXPECT(now_ms() < deadline);
		yield_briefly();
	}
	ck_assert_int_eq(phase_of(service.link), FBK_PHASE_ACCEPTED);
	close(offer);
	fbk_disconnect(slow.context);
	fbk_disconnect(service.context);
}
END_TEST

START_TEST(not_ones_own)
{
	struct service service;
	int offer = -1;
	service_open(&service);
	expect_ok(fbk_link_publish(service.link, "mine"));
	expect_error(fbk_link_find(service.context, "mine", &offer), -ENOENT,
		     "no other client publishes a link named mine");
	ck_assert_int_eq(offer, -1);
	ck_assert_int_eq(find("mine"), 0);
	expect_error(find("yours"), -ENOENT, "no client publishes a link named yours");
	fbk_disconnect(service.context);
}
END_TEST

/* ------------------------------------------------------------------------ how long a name lasts --- */

START_TEST(renamed)
{
	struct service service;
	service_open(&service);
	expect_ok(fbk_link_publish(service.link, "old"));
	expect_ok(fbk_link_publish(service.link, "old")); /* nothing has changed */
	expect_ok(fbk_link_publish(service.link, "new"));
	ck_assert_int_eq(find("old"), -ENOENT);
	ck_assert_int_eq(find("new"), 0);
	/* A refusal changes nothing. */
	ck_assert_int_eq(fbk_link_publish(service.link, "no name"), -EINVAL);
	ck_assert_int_eq(find("new"), 0);
	expect_ok(fbk_link_publish(service.link, ""));
	ck_assert_int_eq(find("new"), -ENOENT);
	expect_ok(fbk_link_publish(service.link, NULL)); /* it has no name */
	expect_ok(fbk_link_publish(service.link, "old"));
	ck_assert_int_eq(find("old"), 0);
	fbk_disconnect(service.context);
}
END_TEST

static int publisher(int socket, void *arg)
{
	struct service service;
	become(SERVED);
	service_open(&service);
	int r = fbk_link_publish(service.link, arg);
	send_word(socket, (uint64_t)-r, -1);
	receive_word(socket, NULL); /* until then */
	fbk_disconnect(service.context);
	return 0;
}

static uint64_t publisher_start(struct peer *peer, const char *name)
{
	peer_start(peer, publisher, (void *)(uintptr_t)name);
	return receive_word(peer->socket, NULL);
}

/* However the link ends, its name is free for the next publisher. */
START_TEST(gone_with_the_link)
{
	struct service service;
	struct peer peer;
	service_open(&service);
	for (int way = 0; way < 3; way++) {
		expect_ok(fbk_link_publish(service.link, "encoder.1"));
		ck_assert_int_eq(find("encoder.1"), 0);
		if (way == 0) {
			fbk_link_close(service.link);
		} else if (way == 1) {
			expect_ok(fbk_timeline_fail(service.link->state, -EIO, "enough"));
			expect_error(fbk_link_publish(service.link, "encoder.1"), -EPIPE, "over");
		} else {
			fbk_device_unregister(service.device);
		}
		await_none("encoder.1"); /* it closes quietly */
		ck_assert_uint_eq(publisher_start(&peer, "encoder.1"), 0);
		ck_assert_int_eq(find("encoder.1"), 0);
		send_word(peer.socket, 0, -1);
		ck_assert_int_eq(peer_wait(&peer), 0);
		await_none("encoder.1");
		if (way < 2) {
			service_offer(&service);
		}
	}
	fbk_disconnect(service.context);
}
END_TEST

START_TEST(gone_with_the_process)
{
	struct peer peer;
	struct guest guest;
	int offer;
	ck_assert_uint_eq(publisher_start(&peer, "encoder.2"), 0);
	expect_ok(fbk_link_find(names.finder, "encoder.2", &offer));
	guest_open(&guest, "encoder.2");
	EXPECT(kill(peer.pid, SIGKILL) == 0);
	ck_assert_int_eq(peer_wait(&peer), 128 + SIGKILL);
	await_none("encoder.2");
	struct fbk_link *link = NULL;
	int r = link_accept(guest.device, offer, &link);
	ck_assert_msg(r == -EBADF || r == -ENOENT, "%d: %s", r, fbk_error_detail());
	close(offer);
	fbk_disconnect(guest.context);
}
END_TEST

/* --------------------------------------------------------------------------------- who may what --- */

START_TEST(taken_by_another_user)
{
	struct service service;
	struct peer peer, second;
	char label[64];
	service_open(&service);
	ck_assert_uint_eq(publisher_start(&peer, "camera"), 0);
	snprintf(label, sizeof(label), "(pid %d, uid %d) has the name camera", peer.pid, SERVED);
	expect_error(fbk_link_publish(service.link, "camera"), -EEXIST, label);
	ck_assert_uint_eq(publisher_start(&second, "camera"), 0); /* the same user */
	send_word(peer.socket, 0, -1);
	ck_assert_int_eq(peer_wait(&peer), 0);
	expect_error(fbk_link_publish(service.link, "camera"), -EEXIST, "has the name camera");
	send_word(second.socket, 0, -1);
	ck_assert_int_eq(peer_wait(&second), 0);
	await_none("camera");
	expect_ok(fbk_link_publish(service.link, "camera"));
	ck_assert_uint_eq(publisher_start(&peer, "camera"), EEXIST);
	ck_assert_int_eq(find("camera"), 0);
	send_word(peer.socket, 0, -1);
	ck_assert_int_eq(peer_wait(&peer), 0);
	fbk_disconnect(service.context);
}
END_TEST

/* What a user is refused, with the rule that refuses it. */
static const struct refusal {
	uid_t uid;
	bool publish;
	const char *name;
	int error;
	const char *says;
} refusals[] = {
	{ SERVED, true, "encoder.7", 0, "" },
	{ SERVED, true, "encoders", -EPERM,
	  "uid 65534 may not publish a link as encoders (no rule matches)" },
	{ SERVED, false, "camera", -EPERM,
	  "uid 65534 may not find a link as camera (no rule matches)" },
	{ SERVED, false, "encoder.7", -ENOENT, "no client publishes" },
	{ BARRED, true, "own.one", 0, "" },
	{ BARRED, true, "camera", -EPERM, "policy.conf:6)" },
	{ BARRED, false, "own.one", -EPERM, "policy.conf:5)" },
	/* The error does not tell whether the name exists. */
	{ BARRED, false, "there", -EPERM, "policy.conf:5)" },
	{ BARRED, true, "there", -EPERM, "policy.conf:6)" },
	{ 4242, false, "there", -EPERM, "no rule matches" },
	{ 4242, true, "there", -EPERM, "no rule matches" },
};

static int refused_run(void *arg)
{
	const struct refusal *refusal = arg;
	struct service service;
	int offer;
	become(refusal->uid);
	service_open(&service);
	int r = refusal->publish ? fbk_link_publish(service.link, refusal->name)
				 : fbk_link_find(service.context, refusal->name, &offer);
	if (r != refusal->error || (r < 0 && !strstr(fbk_error_detail(), refusal->says))) {
		dprintf(STDERR_FILENO, "%s: %d: %s\n", refusal->name, r, fbk_error_detail());
		return 1;
	}
	/* Only its own names can be removed by a client. */
	EXPECT(fbk_link_publish(service.link, "") == 0);
	fbk_disconnect(service.context);
	return 0;
}

START_TEST(refused_by_policy)
{
	struct refusal refusal = refusals[_i];
	struct service service;
	service_open(&service);
	expect_ok(fbk_link_publish(service.link, "there"));
	ck_assert_int_eq(child_wait(child_start(refused_run, &refusal)), 0);
	ck_assert_int_eq(find("there"), 0);
	fbk_disconnect(service.context);
}
END_TEST

static const struct bad_name {
	const char *name;
	bool good;
} bad_names[] = {
	{ " ", false },
	{ "a b", false },
	{ "a\tb", false },
	{ "a\n", false },
	{ "\x7f", false },
	{ "\xc3\xa4", false },
	{ "0123456789012345678901234567890", true },
	{ "01234567890123456789012345678901", false },
	{ "0123456789012345678901234567890123456789012345678901234567890123456789", false },
	{ "*", true }, /* a name like any other */
	{ "!", true },
	{ "%s%n", true },
	{ "~", true },
};

START_TEST(which_names)
{
	const struct bad_name *bad = &bad_names[_i];
	struct service service;
	service_open(&service);
	expect_ok(fbk_link_publish(service.link, "kept"));
	int published = fbk_link_publish(service.link, bad->name);
	ck_assert_msg(published == (bad->good ? 0 : -EINVAL), "%d", published);
	ck_assert_int_eq(find(bad->name), bad->good ? 0 : -EINVAL);
	ck_assert_int_eq(find("kept"), bad->good ? -ENOENT : 0);
	if (!bad->good) {
		expect_error(find(bad->name), -EINVAL, "characters");
	}
	expect_error(find(""), -EINVAL, "a link's name has 1 to 31 printable characters");
	fbk_disconnect(service.context);
}
END_TEST

START_TEST(shown)
{
	struct service service;
	char *text;
	service_open(&service);
	expect_ok(fbk_link_publish(service.link, "to-be-seen"));
	ck_assert_int_eq(fencectl(&names.server, "links", &text), 0);
	ck_assert_msg(strstr(text, "NAME") && strstr(text, "to-be-seen"), "%s", text);
	free(text);
	ck_assert_int_eq(fencectl(&names.server, "links --json", &text), 0);
	struct json_object *list = json_tokener_parse(text);
	EXPECT(json_object_array_length(list) == 1);
	ck_assert_str_eq(word_of(json_object_array_get_idx(list, 0), "name"), "to-be-seen");
	json_object_put(list);
	free(text);
	expect_ok(fbk_link_publish(service.link, NULL));
	ck_assert_int_eq(fencectl(&names.server, "links", &text), 0);
	ck_assert_msg(!strstr(text, "to-be-seen"), "%s", text);
	free(text);
	fbk_disconnect(service.context);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, names_open, names_close);
	tcase_add_test(tcase, two_processes_meet);
	tcase_add_test(tcase, several_of_one_name);
	tcase_add_test(tcase, found_by_two);
	tcase_add_test(tcase, not_ones_own);
	tcase_add_test(tcase, renamed);
	tcase_add_test(tcase, gone_with_the_link);
	tcase_add_test(tcase, gone_with_the_process);
	tcase_add_test(tcase, taken_by_another_user);
	ADD_LOOP(tcase, refused_by_policy, refusals);
	ADD_LOOP(tcase, which_names, bad_names);
	tcase_add_test(tcase, shown);
}

int main(void)
{
	if (geteuid() != 0) {
		puts("not root: several users were not tried");
		return 77;
	}
	return suite_main("name", add);
}
