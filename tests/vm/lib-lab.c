// SPDX-License-Identifier: MIT
#include "lib-lab.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../integration/lib-wire.h"

const char *lab_policy(unsigned int import_ms)
{
	static char text[512];
	snprintf(text, sizeof(text),
		 "version = 1;\n"
		 "settings: { promises = true; implicit_promises = true; promise_ms = %d; "
		 "max_import_ms = %u; };\n"
		 "rules: ( { user = \"*\"; connect = true; register = true; promise = true; "
		 "inspect = \"all\"; } );\n",
		 LAB_PROMISE_MS, import_ms);
	return text;
}

static bool has_card_open(const struct daemon *daemon)
{
	char path[64], target[256];
	bool found = false;
	snprintf(path, sizeof(path), "/proc/%d/fd", daemon->pid);
	DIR *directory = opendir(path);
	const struct dirent *entry;
	EXPECT(directory);
	while ((entry = readdir(directory))) {
		ssize_t size =
			readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);
		target[size > 0 ? size : 0] = '\0';
		found = found || strncmp(target, "/dev/dri/card", 13) == 0;
	}
	closedir(directory);
	return found;
}

unsigned int lab_fd_count(const struct daemon *daemon)
{
	for (uint64_t end = now_ms() + PATIENCE_MS; has_card_open(daemon);) {
		ck_assert_msg(now_ms() < end, "vgem's card stays open");
		yield_briefly();
	}
	return daemon_fd_count(daemon);
}

void lab_await_fds(const struct daemon *daemon, unsigned int count)
{
	lab_fd_count(daemon);
	daemon_await_fds(daemon, count);
}

void lab_open(struct lab *lab, const char *policy)
{
	daemon_serve(&lab->daemon, policy);
	lab->signaler = peer_connect(&lab->daemon);
	lab->waiter = peer_connect(&lab->daemon);
	lab->device = peer_device(lab->signaler, "signaler");
	lab->imports = peer_device(lab->waiter, "waiter");
	lab->timeline = peer_timeline(lab->device, "line", 0);
	lab->opened = peer_open(lab->waiter, lab->timeline, FBK_RIGHT_WAIT | FBK_RIGHT_PROMISE);
}

void lab_close(struct lab *lab)
{
	fbk_disconnect(lab->waiter);
	fbk_disconnect(lab->signaler);
	daemon_stop(&lab->daemon);
}

unsigned int lab_count(unsigned int full)
{
	return getenv("FBK_SOAK") ? full : full / 10;
}

uint64_t lab_counter(const struct daemon *daemon, const char *name)
{
	static struct client client;
	client_open(&client, daemon);
	uint64_t value = client_counter(&client, name);
	client_close(&client);
	return value;
}

void lab_await_feature(struct fbk_context *context, enum fbk_feature feature, int works)
{
	uint64_t until = now_ms() + PATIENCE_MS;
	const char *why = "";
	while (fbk_feature(context, feature, &why) != works) {
		struct pollfd polled = { .fd = fbk_context_fd(context), .events = POLLIN };
		uint64_t now = now_ms();
		ck_assert_msg(now < until && poll(&polled, 1, (int)(until - now)) == 1,
			      "feature %d is not %d: %s", feature, works, why);
		ck_assert_int_ge(fbk_dispatch(context), 0);
	}
}

/* Guests are emulated, beside other work: a second may become a minute. */
#define LAB_PATIENCE_S 500

static void (*lab_add)(TCase *tcase);

static void add_patiently(TCase *tcase)
{
	tcase_set_timeout(tcase, LAB_PATIENCE_S);
	lab_add(tcase);
}

int lab_main(const char *name, const char *driver, void (*add)(TCase *tcase))
{
	if (!in_guest()) {
		return skip("kernel fences are made in a guest: see tests/vm/guest");
	}
	if (driver) {
		int fd = drm_card_open(driver);
		if (fd < 0) {
			return skip("this guest has no device of the driver %s", driver);
		}
		close(fd);
	}
	lab_add = add;
	return suite_main(name, add_patiently);
}

int lab_main_with(const char *name, const char *(*start)(void), void (*stop)(void),
		  void (*add)(TCase *tcase))
{
	const char *missing = in_guest() ? start() : NULL;
	if (missing) {
		return skip("%s", missing);
	}
	int status = lab_main(name, NULL, add);
	if (in_guest()) {
		stop();
	}
	return status;
}
