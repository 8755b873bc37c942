// SPDX-License-Identifier: MIT
/* Links by name: requests without the right, with invalid names, and what they cost whom. Needs
 * root. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/lib/link/link.h"
#include "client/lib/timeline.h"
#include "lib-name.h"
#include "lib-view.h"

static int raw_publish(struct client *client, uint32_t handle, const char *name)
{
	REQUEST(request, LINK_PUBLISH, link_publish);
	request.link_publish->handle = handle;
	request.link_publish->name = (char *)(uintptr_t)name;
	return client_call(client, &request, NULL, 0, NULL);
}

static int raw_find(struct client *client, const char *name, const int *fds, size_t fd_count)
{
	struct reply reply;
	REQUEST(request, LINK_FIND, link_find);
	request.link_find->name = (char *)(uintptr_t)name;
	int r = client_call(client, &request, fds, fd_count, &reply);
	if (r == 0) {
		ck_assert_uint_eq(reply.fd_count, 1);
		ck_assert_int_eq(reply.message->body_case, FBK__WIRE__MESSAGE__BODY__NOT_SET);
		reply_free(&reply);
	}
	return r;
}

static void expect_raw(const struct client *client, int result, int error, const char *part)
{
	ck_assert_msg(result == error && strstr(client->detail, part), "%d: %s", result,
		      client->detail);
}

/* A link with only what it needs: no token of its state. Returns its handle. */
static uint32_t raw_offer(struct client *client)
{
	struct view state;
	uint32_t device = client_device(client, "raw0");
	EXPECT(view_create(client, device, 0, "state", FBK_TIMELINE_BROKERED, &state) == 0);
	REQUEST(request, LINK_OFFER, link_offer);
	request.link_offer->handle = state.handle;
	request.link_offer->device = device;
	request.link_offer->role = FBK_ROLE_CONSUMER;
	EXPECT(client_call(client, &request, NULL, 0, NULL) == 0);
	return state.handle;
}

START_TEST(whose_link)
{
	struct service service;
	struct client raw;
	struct view plain, brokered, shared;
	int token;
	service_open(&service);
	expect_ok(fbk_link_publish(service.link, "kept"));
	client_open(&raw, &names.server);
	uint32_t device = client_device(&raw, "cpu0");
	EXPECT(view_create(&raw, device, 0, "plain", 0, &plain) == 0);
	EXPECT(view_create(&raw, device, 0, "brokered", FBK_TIMELINE_BROKERED, &brokered) == 0);
	expect_raw(&raw, raw_publish(&raw, 0, "x"), -ENOENT, "no timeline 0");
	expect_raw(&raw, raw_publish(&raw, 4000, "x"), -ENOENT, "no timeline 4000");
	expect_raw(&raw, raw_publish(&raw, UINT32_MAX, "x"), -ENOENT, "no timeline 4294967295");
	expect_raw(&raw, raw_publish(&raw, plain.handle, "x"), -EBADF, "no offer of a link");
	expect_raw(&raw, raw_publish(&raw, brokered.handle, "x"), -EBADF, "no offer of a link");
	/* Having an offer, or even the right to signal its state, does not make a client the
	 * offerer. */
	expect_ok(fbk_link_find(names.finder, "kept", &token));
	EXPECT(view_open(&raw, token, &shared) == 0);
	close(token);
	expect_raw(&raw, raw_publish(&raw, shared.handle, "x"), -EPERM, "no right to signal");
	expect_ok(
		fbk_timeline_share(service.link->state, FBK_RIGHT_WAIT | FBK_RIGHT_SIGNAL, &token));
	EXPECT(view_open(&raw, token, &shared) == 0);
	close(token);
	expect_raw(&raw, raw_publish(&raw, shared.handle, "x"), -EPERM, "the offering end");
	expect_raw(&raw, raw_publish(&raw, shared.handle, ""), -EPERM, "the offering end");
	ck_assert_int_eq(find("x"), -ENOENT);
	ck_assert_int_eq(find("kept"), 0);
	client_close(&raw);
	fbk_disconnect(service.context);
}
END_TEST

START_TEST(the_accepting_end)
{
	struct service service;
	struct guest guest;
	service_open(&service);
	expect_ok(fbk_link_publish(service.link, "kept"));
	guest_open(&guest, "kept");
	expect_error(fbk_link_publish(guest.link, "x"), -EPERM, "no right to signal");
	expect_error(fbk_link_publish(guest.link, NULL), -EPERM, "no right to signal");
	fbk_disconnect(guest.context);
	fbk_disconnect(service.context);
}
END_TEST

START_TEST(raw_names)
{
	char name[WIRE_PACKET_MAX / 2];
	struct client raw;
	client_open(&raw, &names.server);
	uint32_t link = raw_offer(&raw);
	memset(name, 'n', sizeof(name));
	for (size_t length = 1; length < 200; length++) {
		name[length] = '\0';
		int published = raw_publish(&raw, link, name);
		int found = raw_find(&names.observer, name, NULL, 0);
		if (length < FBK_NAME_SIZE) {
			ck_assert_int_eq(published, 0);
			ck_assert_int_eq(found, 0);
		} else {
			EXPECT(published == -EINVAL || (published == -EMSGSIZE && length > 45));
			EXPECT(found == -EINVAL || (found == -EMSGSIZE && length > 45));
		}
		name[length] = 'n';
	}
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(raw_publish(&raw, link, name), -EMSGSIZE);
	ck_assert_int_eq(raw_find(&raw, name, NULL, 0), -EMSGSIZE);
	/* With a descriptor that it does not take. */
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t refused = client_counter(&names.observer, "fds_refused");
	ck_assert_int_eq(raw_find(&raw, "n", &fd, 1), -EINVAL);
	ck_assert_uint_eq(client_counter(&names.observer, "fds_refused"), refused + 1);
	close(fd);
	ck_assert_int_eq(raw_publish(&raw, link, "\xff\xfe"), -EINVAL);
	client_close(&raw);
	await_none("n");
}
END_TEST

/* An offer that is found is charged to the one that finds it, not to its publisher. */
static int poor_run(void *arg)
{
	struct client raw;
	(void)arg;
	become(POOR);
	client_open(&raw, &names.server);
	EXPECT(raw_publish(&raw, raw_offer(&raw), "poor") == 0);
	EXPECT(raw_find(&names.observer, "poor", NULL, 0) == 0);
	client_close(&raw);
	return 0;
}

START_TEST(costs)
{
	struct client raw;
	ck_assert_int_eq(child_wait(child_start(poor_run, NULL)), 0);
	client_open(&raw, &names.server);
	uint32_t link = raw_offer(&raw);
	uint64_t tokens = client_usage(&names.observer, 0, "tokens");
	ck_assert_int_eq(raw_publish(&raw, link, "rich"), 0);
	ck_assert_uint_eq(client_usage(&names.observer, 0, "tokens"), tokens);
	unsigned int fds = daemon_fd_count(&names.server);
	for (int i = 0; i < 500; i++) {
		ck_assert_int_eq(raw_publish(&raw, link, i % 2 ? "rich" : "richer"), 0);
		ck_assert_int_eq(raw_find(&names.observer, i % 2 ? "rich" : "richer", NULL, 0), 0);
	}
	ck_assert_uint_le(client_usage(&names.observer, 0, "tokens"),
			  tokens + 64); /* the last ones */
	ck_assert_uint_eq(daemon_fd_count(&names.server), fds);
	client_close(&raw);
	await_none("rich");
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, names_open, names_close);
	tcase_add_test(tcase, whose_link);
	tcase_add_test(tcase, the_accepting_end);
	tcase_add_test(tcase, raw_names);
	tcase_add_test(tcase, costs);
}

int main(void)
{
	if (geteuid() != 0) {
		puts("not root: several users were not tried");
		return 77;
	}
	return suite_main("name, raw", add);
}
