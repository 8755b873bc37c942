// SPDX-License-Identifier: MIT
/* Who sees a link in `fencectl links`, where policy shows each user its own: the users of both ends, and no other. */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib-exchange.h"
#include "lib-stuck.h"

#define PRODUCES 65534
#define CONSUMES 65533
#define STRANGER 65532

static struct daemon server;

static void setup(void)
{
	daemon_serve(&server, "version = 1;\n"
			      "rules: (\n"
			      "	{ user = 0; inspect = \"all\"; },\n"
			      "	{ user = \"*\"; connect = true; register = true; inspect = "
			      "\"own\"; } );\n");
	fencectl_copy(&server); /* only root may have access to the build */
}

static void teardown(void)
{
	daemon_stop(&server);
}

static void become(uid_t uid)
{
	EXPECT(setgroups(0, NULL) == 0 && setgid(uid) == 0 && setuid(uid) == 0);
}

/* The links that the user of this process sees. */
static struct json_object *links(void)
{
	char *text;
	int status = fencectl(&server, "--json links", &text);
	struct json_object *list = json_tokener_parse(text);
	ck_assert_msg(status == 0 && json_object_is_type(list, json_type_array), "%s", text);
	free(text);
	return list;
}

static size_t links_seen(void)
{
	struct json_object *list = links();
	size_t count = json_object_array_length(list);
	json_object_put(list);
	return count;
}

static int produce(int socket, void *arg)
{
	struct producer producer;
	int offer;
	(void)arg;
	become(PRODUCES);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	send_word(socket, 0, offer);
	EXPECT(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)) == 0);
	ck_assert_uint_eq(links_seen(), 1);
	send_word(socket, 0, -1);
	receive_word(socket, NULL); /* the consumer has left */
	ck_assert_uint_eq(links_seen(), 1);
	return 0;
}

static int consume_link(int socket, void *arg)
{
	struct consumer consumer;
	(void)arg;
	become(CONSUMES);
	ck_assert_uint_eq(links_seen(), 0);
	consumer_open(&consumer, &server, NULL, socket);
	struct json_object *list = links();
	ck_assert_uint_eq(json_object_array_length(list), 1);
	struct json_object *entry = json_object_array_get_idx(list, 0);
	ck_assert_int_eq(number_of(entry, "consumer_pid"), getpid());
	ck_assert_str_eq(word_of(entry, "producer"), "producer");
	json_object_put(list);
	send_word(socket, 0, -1);
	receive_word(socket, NULL);
	consumer_close(&consumer);
	ck_assert_uint_eq(links_seen(), 0); /* another's now */
	return 0;
}

static int see_nothing(void *arg)
{
	(void)arg;
	become(STRANGER);
	return links_seen() == 0 ? 0 : 1;
}

START_TEST(both_ends_see_it)
{
	struct peer producer, consumer;
	int offer;
	peer_start(&producer, produce, NULL);
	receive_word(producer.socket, &offer);
	peer_start(&consumer, consume_link, NULL);
	send_word(consumer.socket, 0, offer);
	close(offer);
	receive_word(consumer.socket, NULL);
	receive_word(producer.socket, NULL);
	ck_assert_uint_eq(links_seen(), 1);
	ck_assert_int_eq(child_wait(child_start(see_nothing, NULL)), 0);
	send_word(consumer.socket, 0, -1);
	ck_assert_int_eq(peer_wait(&consumer), 0);
	send_word(producer.socket, 0, -1);
	ck_assert_int_eq(peer_wait(&producer), 0);
	ck_assert_uint_eq(links_seen(), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, both_ends_see_it);
}

int main(void)
{
	if (geteuid() != 0) {
		puts("SKIPPED: needs root, to be several users");
		return 77;
	}
	return suite_main("link-seen", add);
}
