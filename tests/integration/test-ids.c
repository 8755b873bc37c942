// SPDX-License-Identifier: MIT
/*
 * The ids that clients choose: what is made twice by one is found again, so a request whose reply is lost may be repeated;
 * and what a program has not got, since the reply or its fds were lost, the daemon does not keep.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-peer.h"
#include "lib-view.h"

#define TIMES 300 /* as in the report: it left 300 timelines and 600 fds */

static struct daemon fencebrokerd;
static struct client client, observer;
static uint32_t device;

static void setup(void)
{
	daemon_serve(&fencebrokerd, NULL);
	client_open(&client, &fencebrokerd);
	client_open(&observer, &fencebrokerd);
	device = client_device(&client, "cpu0");
}

static void teardown(void)
{
	client_close(&client);
	client_close(&observer);
	daemon_stop(&fencebrokerd);
}

/* --------------------------------------------------------------------------- what is had and kept -- */

enum { HANDLES = 2, EXPORTS, PAGE_BYTES = 6, TOKENS, KEPT };
static const char *const kept_keys[KEPT] = { "devices", "timelines", "open_timelines", "exports",
					     "links",   "mirrors",   "page_bytes",     "tokens" };

struct kept {
	uint64_t used[KEPT];
	unsigned int fds;
};

static struct kept kept_now(void)
{
	struct kept kept;
	for (size_t i = 0; i < KEPT; i++) {
		kept.used[i] = client_usage(&observer, getuid(), kept_keys[i]);
	}
	kept.fds = daemon_fd_count(&fencebrokerd);
	return kept;
}

/* The daemon comes to have no more than that: it closes by and by. */
static void kept_await(const struct kept *before, const char *what)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	for (;;) {
		struct kept now = kept_now();
		if (memcmp(now.used, before->used, sizeof(now.used)) == 0 &&
		    now.fds <= before->fds) {
			return;
		}
		for (size_t i = 0; i < KEPT && now_ms() >= deadline; i++) {
			ck_assert_msg(now.used[i] == before->used[i], "%s: %s is %llu, was %llu",
				      what, kept_keys[i], (unsigned long long)now.used[i],
				      (unsigned long long)before->used[i]);
		}
		ck_assert_msg(now_ms() < deadline, "%s: %u fds, were %u", what, now.fds,
			      before->fds);
		yield_briefly();
	}
}

/* --------------------------------------------------------------------------------- twice by one id -- */

static int call_object(Fbk__Wire__Request *request, uint32_t *ret_id)
{
	struct reply reply;
	int r = client_call(&client, request, NULL, 0, &reply);
	if (r == 0) {
		*ret_id = reply.message->object->id;
		reply_free(&reply);
	}
	return r;
}

START_TEST(device_twice)
{
	uint32_t id = 0;
	REQUEST(request, DEVICE_REGISTER, device_register);
	request.device_register->device = UINT32_MAX;
	request.device_register->name = (char *)(uintptr_t) "last";
	request.device_register->class_ = FBK_CLASS_GPU;
	request.device_register->signals = FBK_FENCE_MEMORY64;
	ck_assert_int_eq(call_object(&request, &id), 0);
	ck_assert_uint_eq(id, UINT32_MAX);
	struct kept before = kept_now();
	ck_assert_int_eq(call_object(&request, &id), 0);
	ck_assert_uint_eq(id, UINT32_MAX);
	request.device_register->page_align = 65536; /* the default of the class, in words */
	ck_assert_int_eq(call_object(&request, &id), 0);
	request.device_register->waits = FBK_FENCE_MEMORY64;
	ck_assert_int_eq(call_object(&request, &id), -EEXIST);
	client_expect_detail(&client, "device 4294967295 of this client is another, last");
	request.device_register->waits = 0;
	request.device_register->device = 7; /* the name is taken */
	ck_assert_int_eq(call_object(&request, &id), -EEXIST);
	kept_await(&before, "device");
	REQUEST(end, DEVICE_UNREGISTER, device_unregister);
	end.device_unregister->device = UINT32_MAX;
	ck_assert_int_eq(client_call(&client, &end, NULL, 0, NULL), 0);
	request.device_register->device = UINT32_MAX; /* used again, for another */
	request.device_register->name = (char *)(uintptr_t) "next";
	ck_assert_int_eq(call_object(&request, &id), 0);
}
END_TEST

START_TEST(set_twice)
{
	uint32_t id = 0;
	REQUEST(request, SET_CREATE, set_create);
	request.set_create->set = UINT32_MAX;
	ck_assert_int_eq(call_object(&request, &id), 0);
	struct kept before = kept_now();
	ck_assert_int_eq(call_object(&request, &id), 0);
	ck_assert_uint_eq(id, UINT32_MAX);
	kept_await(&before, "set");
}
END_TEST

static int create_as(uint32_t handle, uint32_t set, const char *name, uint32_t flags,
		     struct reply *ret_reply)
{
	REQUEST(request, TIMELINE_CREATE, timeline_create);
	request.timeline_create->handle = handle;
	request.timeline_create->device = device;
	request.timeline_create->set = set;
	request.timeline_create->name = (char *)(uintptr_t)name;
	request.timeline_create->flags = flags;
	return client_call(&client, &request, NULL, 0, ret_reply);
}

static ino_t inode_of(int fd)
{
	struct stat status;
	EXPECT(fstat(fd, &status) == 0);
	return status.st_ino;
}

START_TEST(timeline_twice)
{
	struct reply first, again;
	uint32_t set = client_set(&client);
	ck_assert_int_eq(create_as(4095, set, "twice", 0, &first), 0);
	struct kept before = kept_now();
	ck_assert_int_eq(create_as(4095, set, "twice", 0, &again), 0);
	ck_assert_uint_eq(again.message->timeline->handle, 4095);
	ck_assert_uint_eq(again.message->timeline->id, first.message->timeline->id);
	ck_assert_uint_eq(again.fd_count, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_uint_eq(inode_of(again.fds[i]), inode_of(first.fds[i]));
	}
	ck_assert(again.message->timeline->writable); /* it has not said that it mapped the page */
	reply_free(&again);
	ck_assert_int_eq(page_mapped(&client, first.message->timeline->payload->id), 0);
	ck_assert_int_eq(create_as(4095, set, "twice", 0, &again), 0);
	ck_assert(!again.message->timeline->writable);
	reply_free(&again);
	/* with other parameters */
	ck_assert_int_eq(create_as(4095, set, "other", 0, NULL), -EEXIST);
	client_expect_detail(&client, "timeline twice open by handle 4095");
	ck_assert_int_eq(create_as(4095, 0, "twice", 0, NULL), -EEXIST);
	ck_assert_int_eq(create_as(4095, client_set(&client), "twice", 0, NULL), -EEXIST);
	ck_assert_int_eq(create_as(4095, set, "twice", FBK_TIMELINE_BROKERED, NULL), -EEXIST);
	/* what is no handle */
	ck_assert_int_eq(create_as(4096, set, "beyond", 0, NULL), -EINVAL);
	client_expect_detail(&client, "4096 is no handle: they are 1 to 4095");
	ck_assert_int_eq(create_as(UINT32_MAX, set, "beyond", 0, NULL), -EINVAL);
	before.used[PAGE_BYTES] += 65536; /* the second set */
	before.fds++;
	kept_await(&before, "timeline");
	reply_free(&first);
	/* closed: another has it */
	const struct view closed = { .client = &client, .handle = 4095 };
	ck_assert_int_eq(view_close(&closed), 0);
	ck_assert_int_eq(create_as(4095, set, "other", 0, &again), 0);
	reply_free(&again);
}
END_TEST

START_TEST(no_id)
{
	struct reply reply;
	REQUEST(timeline, TIMELINE_CREATE, timeline_create);
	timeline.timeline_create->device = device;
	timeline.timeline_create->name = (char *)(uintptr_t) "none";
	REQUEST(set, SET_CREATE, set_create);
	REQUEST(other, DEVICE_REGISTER, device_register);
	other.device_register->name = (char *)(uintptr_t) "none";
	other.device_register->class_ = FBK_CLASS_CPU;
	Fbk__Wire__Request *requests[] = { &timeline, &set, &other };
	for (size_t i = 0; i < 3; i++) {
		client_send_as_is(&client, requests[i], NULL, 0);
		EXPECT(client_receive(&client, &reply));
		ck_assert_int_eq(reply.message->error, -EINVAL);
		ck_assert_msg(strstr(reply.message->detail, "0 is no "), "%s",
			      reply.message->detail);
		reply_free(&reply);
	}
}
END_TEST

static int open_as(uint32_t handle, int token, struct reply *ret_reply)
{
	REQUEST(request, TIMELINE_OPEN, timeline_open);
	request.timeline_open->handle = handle;
	return client_call(&observer, &request, &token, 1, ret_reply);
}

START_TEST(open_twice)
{
	struct view view, mine;
	struct reply reply;
	int token;
	ck_assert_int_eq(view_create(&client, device, 0, "shared", FBK_TIMELINE_BROKERED, &view),
			 0);
	ck_assert_int_eq(view_share(&view, FBK_RIGHT_WAIT, &token), 0);
	struct kept before = kept_now();
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(open_as(17, token, &reply), 0);
		ck_assert_uint_eq(reply.message->timeline->handle, 17);
		reply_free(&reply);
	}
	/* open already: that handle is in force, and the chosen one is free */
	ck_assert_int_eq(open_as(18, token, &reply), 0);
	ck_assert_uint_eq(reply.message->timeline->handle, 17);
	reply_free(&reply);
	before.used[HANDLES]++;
	kept_await(&before, "open");
	uint32_t own = client_device(&observer, "own");
	ck_assert_int_eq(view_create(&observer, own, 0, "mine", 0, &mine), 0);
	ck_assert_int_eq(open_as(mine.handle, token, NULL), -EEXIST); /* that is another */
	ck_assert_int_eq(open_as(0, token, &reply), 0); /* the test's library chooses */
	reply_free(&reply);
	close(token);
}
END_TEST

static uint64_t eventfd_id(int fd)
{
	char path[48], text[256] = "";
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	FILE *file = fopen(path, "r");
	uint64_t id = 0;
	while (file && fgets(text, sizeof(text), file)) {
		sscanf(text, "eventfd-id: %lu", &id);
	}
	if (file) {
		fclose(file);
	}
	return id;
}

static int export_as(uint32_t id, const struct view *view, uint64_t value, int *ret_fd)
{
	struct reply reply;
	REQUEST(request, POINT_EXPORT, point_export);
	request.point_export->export = id;
	request.point_export->handle = view->handle;
	request.point_export->value = value;
	request.point_export->kind = FBK_FENCE_EVENTFD;
	request.point_export->deadline_ns = UINT64_MAX;
	int r = client_call(&client, &request, NULL, 0, &reply);
	if (r == 0) {
		*ret_fd = reply.fds[0];
		reply.fd_count = 0;
		reply_free(&reply);
	}
	return r;
}

static int export_cancel(uint32_t id)
{
	REQUEST(request, EXPORT_CANCEL, export_cancel);
	request.export_cancel->export = id;
	return client_call(&client, &request, NULL, 0, NULL);
}

START_TEST(export_twice)
{
	struct view view;
	int first = -1, again = -1, other = -1;
	ck_assert_int_eq(view_create(&client, device, 0, "line", FBK_TIMELINE_BROKERED, &view), 0);
	struct kept before = kept_now();
	ck_assert_int_eq(export_as(UINT32_MAX, &view, 5, &first), 0);
	ck_assert_int_eq(export_as(UINT32_MAX, &view, 5, &again), 0);
	ck_assert_uint_eq(eventfd_id(again), eventfd_id(first)); /* one file */
	ck_assert_uint_eq(client_usage(&observer, getuid(), "exports"), before.used[EXPORTS] + 1);
	ck_assert_int_eq(export_as(UINT32_MAX, &view, 6, &other), -EEXIST);
	client_expect_detail(&client, "export 4294967295 of this client is another");
	/* nobody has it any more: who should be left with an fd sees it fire */
	ck_assert_int_eq(readable_within(first, 0), 0);
	ck_assert_int_eq(export_cancel(UINT32_MAX), 0);
	ck_assert_int_eq(readable_within(first, PATIENCE_MS), 1);
	ck_assert_int_eq(export_cancel(UINT32_MAX), -ENOENT);
	close(first);
	close(again);
	kept_await(&before, "export");
	ck_assert_int_eq(export_as(UINT32_MAX, &view, 6, &other), 0); /* the id again */
	close(other);
}
END_TEST

static int share_as(uint32_t id, const struct view *view, uint32_t rights, int *ret_fd)
{
	struct reply reply;
	REQUEST(request, TIMELINE_SHARE, timeline_share);
	request.timeline_share->token = id;
	request.timeline_share->handle = view->handle;
	request.timeline_share->rights = rights;
	int r = client_call(&client, &request, NULL, 0, &reply);
	if (r == 0) {
		*ret_fd = reply.fds[0];
		reply.fd_count = 0;
		reply_free(&reply);
	}
	return r;
}

static int token_cancel(uint32_t id)
{
	REQUEST(request, TOKEN_CANCEL, token_cancel);
	request.token_cancel->token = id;
	return client_call(&client, &request, NULL, 0, NULL);
}

/* The daemon keeps no fd, so the file that is lost can't come again: another is the token. */
START_TEST(share_twice)
{
	struct view view, other, theirs;
	int first = -1, again = -1, none = -1;
	ck_assert_int_eq(view_create(&client, device, 0, "line", FBK_TIMELINE_BROKERED, &view), 0);
	ck_assert_int_eq(view_create(&client, device, 0, "other", FBK_TIMELINE_BROKERED, &other),
			 0);
	struct kept before = kept_now();
	ck_assert_int_eq(share_as(UINT32_MAX, &view, FBK_RIGHT_WAIT, &first), 0);
	ck_assert_int_eq(share_as(UINT32_MAX, &view, FBK_RIGHT_WAIT, &again), 0);
	ck_assert_uint_eq(client_usage(&observer, getuid(), "tokens"), before.used[TOKENS] + 1);
	ck_assert_int_eq(view_open(&observer, first, &theirs), -EBADF);
	ck_assert_int_eq(view_open(&observer, again, &theirs), 0);
	ck_assert_int_eq(view_close(&theirs), 0);
	ck_assert_int_eq(share_as(UINT32_MAX, &view, FBK_RIGHT_SIGNAL, &none), -EEXIST);
	ck_assert_int_eq(share_as(UINT32_MAX, &other, FBK_RIGHT_WAIT, &none), -EEXIST);
	client_expect_detail(&client, "token 4294967295 of this client is another, of line");
	ck_assert_int_eq(token_cancel(UINT32_MAX), 0);
	ck_assert_int_eq(view_open(&observer, again, &theirs), -EBADF);
	ck_assert_int_eq(token_cancel(UINT32_MAX), -ENOENT);
	kept_await(&before, "token");
	close(first);
	ck_assert_int_eq(share_as(UINT32_MAX, &other, FBK_RIGHT_WAIT, &first), 0);
	ck_assert_int_eq(view_close(&other), 0); /* ends with the handle */
	ck_assert_int_eq(token_cancel(UINT32_MAX), -ENOENT);
	close(first);
	close(again);
}
END_TEST

static int offer_as(uint32_t state, uint32_t lane, uint32_t hold, struct reply *ret_reply)
{
	REQUEST(request, LINK_OFFER, link_offer);
	request.link_offer->handle = state;
	request.link_offer->device = device;
	request.link_offer->role = FBK_ROLE_CONSUMER;
	request.link_offer->hold = hold;
	request.link_offer->lane = lane;
	return client_call(&client, &request, NULL, 0, ret_reply);
}

static int accept_as(uint32_t state, uint32_t with, uint32_t lane, struct reply *ret_reply)
{
	REQUEST(request, LINK_ACCEPT, link_accept);
	request.link_accept->handle = state;
	request.link_accept->device = with;
	request.link_accept->lane = lane;
	return client_call(&observer, &request, NULL, 0, ret_reply);
}

static void expect_lane(struct reply *reply, uint32_t lane, size_t fds)
{
	ck_assert_uint_eq(reply->message->link->lane->handle, lane);
	ck_assert_uint_eq(reply->fd_count, fds);
	reply_free(reply);
}

START_TEST(link_twice)
{
	struct view state, theirs;
	struct reply reply;
	int token;
	uint32_t encoder = client_device(&observer, "encoder");
	uint32_t spare = client_device(&observer, "spare");
	ck_assert_int_eq(view_create(&client, device, 0, "state", FBK_TIMELINE_BROKERED, &state),
			 0);
	ck_assert_int_eq(offer_as(state.handle, 100, 2, &reply), 0);
	expect_lane(&reply, 100, 2);
	struct kept before = kept_now();
	ck_assert_int_eq(offer_as(state.handle, 100, 2, &reply), 0);
	expect_lane(&reply, 100, 2);
	ck_assert_int_eq(offer_as(state.handle, 101, 2, NULL), -EEXIST);
	ck_assert_int_eq(offer_as(state.handle, 100, 3, NULL), -EEXIST);
	kept_await(&before, "offer");
	ck_assert_int_eq(view_share(&state, FBK_RIGHT_WAIT, &token), 0);
	ck_assert_int_eq(view_open(&observer, token, &theirs), 0);
	ck_assert_int_eq(accept_as(theirs.handle, encoder, 200, &reply), 0);
	uint64_t epoch = reply.message->link->epoch;
	expect_lane(&reply, 200, 3);
	before = kept_now();
	ck_assert_int_eq(accept_as(theirs.handle, encoder, 200, &reply), 0);
	ck_assert_uint_eq(reply.message->link->epoch, epoch); /* the same peer */
	expect_lane(&reply, 200, 3);
	ck_assert_int_eq(accept_as(theirs.handle, encoder, 201, NULL), -EEXIST);
	ck_assert_int_eq(accept_as(theirs.handle, spare, 200, NULL), -EEXIST);
	kept_await(&before, "accept");
	close(token);
}
END_TEST

/* The same creation from two threads: one is made, both have it. */
static void *create_again(void *arg)
{
	struct client *other = arg;
	REQUEST(request, TIMELINE_CREATE, timeline_create);
	request.timeline_create->handle = 9;
	request.timeline_create->device = device;
	request.timeline_create->name = (char *)(uintptr_t) "raced";
	request.serial = 1000;
	uint8_t bytes[256];
	size_t size = fbk__wire__request__pack(&request, bytes);
	for (int i = 0; i < 20; i++) {
		EXPECT(client_send_raw(other, bytes, size, NULL, 0) == 0);
	}
	return NULL;
}

START_TEST(from_two_threads)
{
	pthread_t threads[2];
	uint64_t id = 0;
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_create(&threads[i], NULL, create_again, &client), 0);
	}
	for (int i = 0; i < 40; i++) {
		struct reply reply;
		EXPECT(client_receive(&client, &reply));
		ck_assert_int_eq(reply.message->error, 0);
		ck_assert_uint_eq(reply.message->timeline->handle, 9);
		id = id ? id : reply.message->timeline->id;
		ck_assert_uint_eq(reply.message->timeline->id, id);
		reply_free(&reply);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
	}
	ck_assert_uint_eq(client_usage(&observer, getuid(), "timelines"), 1);
}
END_TEST

/* ------------------------------------------------------------------------------- nothing is left -- */

/* What a program makes, one way after the other. */
struct maker {
	struct fbk_context *context, *peer;
	struct fbk_device *device, *peer_device;
	struct fbk_timeline *timeline; /* brokered, of the peer; open here once more by its token */
	int token, offer;
	struct fbk_link *offered; /* the peer's */
};

static struct maker maker;

static int make_accept(void **ret)
{
	struct fbk_link_desc desc = { .struct_size = sizeof(desc) };
	return fbk_link_accept(maker.device, maker.offer, &desc, (struct fbk_link **)ret);
}

static void drop_link(void *made)
{
	fbk_link_close(made);
}

static void maker_open(void)
{
	struct fbk_consumer_desc consumer = { .struct_size = sizeof(consumer), .hold = 1 };
	struct fbk_link_desc desc = { .struct_size = sizeof(desc),
				      .role = FBK_ROLE_CONSUMER,
				      .consumer = &consumer };
	maker.context = peer_connect(&fencebrokerd);
	maker.peer = peer_connect(&fencebrokerd);
	maker.device = peer_device(maker.context, "maker");
	maker.peer_device = peer_device(maker.peer, "peer");
	maker.timeline = peer_timeline(maker.peer_device, "shared", FBK_TIMELINE_BROKERED);
	ck_assert_int_eq(fbk_timeline_share(maker.timeline, FBK_RIGHT_WAIT, &maker.token), 0);
	ck_assert_int_eq(fbk_link_offer(maker.peer_device, &desc, &maker.offer, &maker.offered), 0);
	void *first; /* the link keeps the claim page of its last pairing */
	ck_assert_int_eq(make_accept(&first), 0);
	drop_link(first);
}

static void maker_close(void)
{
	close(maker.token);
	close(maker.offer);
	fbk_link_close(maker.offered);
	fbk_disconnect(maker.context);
	fbk_disconnect(maker.peer);
}

static int make_timeline(void **ret)
{
	return fbk_timeline_create(maker.device, NULL, "made", 0, (struct fbk_timeline **)ret);
}

static void drop_timeline(void *made)
{
	fbk_timeline_close(made);
}

static int make_open(void **ret)
{
	return fbk_timeline_open(maker.context, maker.token, (struct fbk_timeline **)ret);
}

/* Of a timeline that is open at the peer; the fd is the pointer. */
static int make_export(void **ret)
{
	int fd = -1;
	int r = fbk_point_export((struct fbk_point){ maker.timeline, 1 }, FBK_FENCE_EVENTFD,
				 deadline_ms(3600 * 1000), &fd);
	if (r == 0) {
		*ret = (void *)(intptr_t)fd;
	}
	return r;
}

static int make_token(void **ret)
{
	int fd = -1;
	int r = fbk_timeline_share(maker.timeline, FBK_RIGHT_WAIT, &fd);
	if (r == 0) {
		*ret = (void *)(intptr_t)fd;
	}
	return r;
}

static int make_offer(void **ret)
{
	struct fbk_link_desc desc = { .struct_size = sizeof(desc), .role = FBK_ROLE_PRODUCER };
	int fd = -1;
	int r = fbk_link_offer(maker.device, &desc, &fd, (struct fbk_link **)ret);
	if (r == 0) {
		close(fd);
	}
	return r;
}

static int make_device(void **ret)
{
	struct fbk_device_desc desc = { .struct_size = sizeof(desc),
					.name = "made",
					.device_class = FBK_CLASS_CPU,
					.signals = FBK_FENCE_MEMORY64 };
	return fbk_device_register(maker.context, &desc, (struct fbk_device **)ret);
}

static void drop_device(void *made)
{
	fbk_device_unregister(made);
}

static int make_set(void **ret)
{
	return fbk_set_create(maker.context, (struct fbk_set **)ret);
}

static void drop_set(void *made)
{
	fbk_set_destroy(made);
}

static const struct way {
	const char *name;
	int (*make)(void **ret);
	void (*drop)(void *made); /* NULL: it stays until the peer disconnects */
	bool fds;                 /* its reply has some */
	uint8_t stays;            /* of those without a drop: what there is one more of, */
	uint8_t stay_fds;         /* and how many fds */
} ways[] = {
	{ "timeline", make_timeline, drop_timeline, true, 0, 0 },
	{ "open", make_open, drop_timeline, true, 0, 0 },
	{ "export", make_export, NULL, true, EXPORTS, 2 },
	{ "token", make_token, NULL, true, TOKENS, 0 },
	{ "offer", make_offer, drop_link, true, 0, 0 },
	{ "accept", make_accept, drop_link, true, 0, 0 },
	{ "device", make_device, drop_device, false, 0, 0 },
	{ "set", make_set, drop_set, false, 0, 0 },
};

/* With `room` fds free and no more. */
static struct rlimit fds_scarce(int room)
{
	struct rlimit limit, old;
	int next[4];
	EXPECT(room < 4 && getrlimit(RLIMIT_NOFILE, &old) == 0);
	limit = old;
	for (int i = 0; i <= room; i++) {
		next[i] = fcntl(0, F_DUPFD_CLOEXEC, 0);
	}
	for (int i = 0; i <= room; i++) {
		close(next[i]);
	}
	limit.rlim_cur = (rlim_t)next[room];
	EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	return old;
}

/* The fds of replies find no room. */
START_TEST(no_room_for_fds)
{
	const struct way *way = &ways[_i / 2];
	void *made = NULL;
	if (!way->fds) {
		return;
	}
	maker_open();
	struct kept before = kept_now();
	struct rlimit old = fds_scarce(_i % 2); /* none, or one of two or three */
	for (int i = 0; i < TIMES; i++) {
		int r = way->make(&made);
		if (r == 0 && _i % 2 == 1 && !way->drop) {
			break; /* that has one */
		}
		ck_assert_msg(r == -EMFILE, "%s: %d (%s)", way->name, r, fbk_error_detail());
		ck_assert_ptr_null(made);
	}
	setrlimit(RLIMIT_NOFILE, &old);
	if (!made) {
		kept_await(&before, way->name);
		ck_assert_msg(way->make(&made) == 0, "%s: %s", way->name, fbk_error_detail());
		if (way->drop) {
			way->drop(made);
			kept_await(&before, way->name);
		}
	}
	maker_close();
}
END_TEST

static void daemon_pause(void)
{
	int status;
	EXPECT(kill(fencebrokerd.pid, SIGSTOP) == 0);
	EXPECT(waitpid(fencebrokerd.pid, &status, WUNTRACED) == fencebrokerd.pid);
	EXPECT(WIFSTOPPED(status));
}

/* Replies come after the program has given up. */
START_TEST(replies_too_late)
{
	const struct way *way = &ways[_i];
	void *made = NULL;
	maker_open();
	struct fbk_context *asks = way->drop ? maker.context : maker.peer;
	struct kept before = kept_now();
	ck_assert_int_eq(fbk_context_set_timeout(asks, 20000000), 0);
	daemon_pause();
	for (int i = 0; i < 5; i++) {
		int r = way->make(&made);
		ck_assert_msg(r == -ETIMEDOUT, "%s: %d (%s)", way->name, r, fbk_error_detail());
		ck_assert_ptr_null(made);
	}
	EXPECT(kill(fencebrokerd.pid, SIGCONT) == 0);
	ck_assert_int_eq(fbk_context_set_timeout(asks, UINT64_C(30000000000)), 0);
	/* Repeated as it was: it is made, once. */
	ck_assert_msg(way->make(&made) == 0, "%s: %s", way->name, fbk_error_detail());
	if (way->drop) {
		way->drop(made);
		kept_await(&before, way->name);
	} else {
		before.used[way->stays]++;
		before.fds += way->stay_fds;
		kept_await(&before, way->name);
	}
	maker_close();
}
END_TEST

static void *create_many(void *arg)
{
	struct fbk_timeline **made = arg;
	for (int i = 0; i < 200; i++) {
		EXPECT(fbk_timeline_create(maker.device, NULL, "made", FBK_TIMELINE_BROKERED,
					   &made[i]) == 0);
	}
	return NULL;
}

/* The library's own: no two timelines have one. */
START_TEST(library_threads)
{
	static struct fbk_timeline *made[2][200];
	pthread_t threads[2];
	maker_open();
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_create(&threads[i], NULL, create_many, made[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
	}
	ck_assert_uint_ge(client_usage(&observer, getuid(), "timelines"), 400);
	for (int i = 0; i < 400; i++) {
		ck_assert_int_eq(fbk_timeline_signal(made[i / 200][i % 200], 1), 0);
		fbk_timeline_close(made[i / 200][i % 200]);
	}
	maker_close();
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, device_twice);
	tcase_add_test(tcase, set_twice);
	tcase_add_test(tcase, timeline_twice);
	tcase_add_test(tcase, no_id);
	tcase_add_test(tcase, open_twice);
	tcase_add_test(tcase, export_twice);
	tcase_add_test(tcase, share_twice);
	tcase_add_test(tcase, link_twice);
	tcase_add_test(tcase, from_two_threads);
	tcase_add_loop_test(tcase, no_room_for_fds, 0, 2 * (int)(sizeof(ways) / sizeof(ways[0])));
	ADD_LOOP(tcase, replies_too_late, ways);
	tcase_add_test(tcase, library_threads);
}

int main(void)
{
	return suite_main("ids", add);
}
