// SPDX-License-Identifier: MIT
/*
 * A program that only asks, and never sleeps, waits or dispatches, learns that the daemon died: at the first question after
 * anything that shows its death. A kernel fence of the daemon's reads as signalled when the kernel closes its fds, and so does
 * the other end of a socket: these are the fences here.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib-stage.h"
#include "lib-wire.h"

#define DEATHS 20

static struct local local;
static struct fbk_timeline *line, *brokered;

static void setup(void)
{
	stage_open(WAY_NATIVE, NULL);
	local_open(&local, FBK_DELIVERY_FIFO, 1);
	line = peer_timeline(producer.device, "line", 0);
	brokered = peer_timeline(producer.device, "brokered", FBK_TIMELINE_BROKERED);
	EXPECT(fbk_timeline_signal(line, 1) == 0);
}

static void teardown(void)
{
	local_close(&local);
	stage_close();
}

/* Kill the daemon, and return as soon as its fds are closed. */
static void die(void)
{
	struct client witness;
	client_open(&witness, &server);
	struct pollfd entry = { .fd = witness.socket };
	EXPECT(kill(server.pid, SIGKILL) == 0);
	while (poll(&entry, 1, 0) == 0) {
	}
	EXPECT(entry.revents & POLLHUP);
}

/* _i: how often it was tried */
START_TEST(checks_learn_it)
{
	const struct fbk_point points[] = { { line, 2 }, { brokered, 1 } };
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(fbk_point_check(points[i]), -EAGAIN);
	}
	die();
	ck_assert_int_eq(fbk_point_check(points[_i % 2]), -ENOTCONN);
	ck_assert_int_eq(fbk_point_check(points[!(_i % 2)]), -ENOTCONN);
	ck_assert_str_eq(fbk_error_detail(), "the daemon is gone");
	/* what was reached is reached, and what is signalled still is */
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ line, 1 }), 0);
	EXPECT(fbk_timeline_signal(line, 2) == 0);
	ck_assert_int_eq(fbk_point_check(points[0]), 0);
	daemon_kill(&server);
}
END_TEST

static int ask_wait(void)
{
	return fbk_point_wait((struct fbk_point){ line, 2 }, 0);
}

static int ask_any(void)
{
	const struct fbk_point points[] = { { line, 2 }, { brokered, 1 } };
	size_t index;
	return fbk_point_wait_any(points, 2, 0, &index);
}

static int ask_all(void)
{
	const struct fbk_point points[] = { { line, 2 }, { line, 1 } };
	return fbk_point_wait_all(points, 2, 0, NULL);
}

static int ask_flush(void)
{
	return fbk_point_flush((struct fbk_point){ line, 2 }, NULL, 0);
}

static int ask_take(void)
{
	uint32_t index;
	return fbk_exchange_take(producer.exchange, 0, &index, NULL);
}

static int ask_next(void)
{
	struct fbk_frame *frame;
	return fbk_link_next(local.link, 0, &frame);
}

static int ask_link_wait(void)
{
	return fbk_link_wait(producer.link, 0);
}

static int ask_watch(void)
{
	return fbk_point_watch((struct fbk_point){ line, 2 }, 0, NULL, NULL, NULL);
}

static int ask_signal_brokered(void)
{
	return fbk_timeline_signal(brokered, 1);
}

static int ask_frame(void)
{
	return hand_at(1, (struct fbk_point){ line, 2 });
}

static int (*const questions[])(void) = {
	ask_wait, ask_any,       ask_all,   ask_flush,           ask_take,
	ask_next, ask_link_wait, ask_watch, ask_signal_brokered, ask_frame,
};

START_TEST(all_that_asks_learns_it)
{
	uint32_t index;
	EXPECT(hand_at(0, (struct fbk_point){ line, 2 }) == 1);
	while (fbk_exchange_take(producer.exchange, 0, &index, NULL) == 0) {
	}
	die();
	ck_assert_int_eq(questions[_i](), -ENOTCONN);
	daemon_kill(&server);
}
END_TEST

/* When it is stopped, the pages say why. */
START_TEST(a_stop_is_an_end)
{
	daemon_terminate(&server);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ line, 2 }), -ENOTCONN);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "the daemon was stopped"));
}
END_TEST

/* A client can read the page, and no more. */
START_TEST(nobody_else_writes_the_page)
{
	struct client client;
	char path[64];
	client_open(&client, &server);
	ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, client.life_fd, 0),
			 MAP_FAILED);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", client.life_fd);
	int fd = open(path, O_RDWR | O_CLOEXEC); /* as the daemon's own user, or root */
	ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	ck_assert(write(fd, "12345678", 8) < 0);
	ck_assert(ftruncate(fd, 0) < 0);
	ck_assert(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) < 0);
	close(fd);
	client_close(&client);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ line, 2 }), -EAGAIN);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, checks_learn_it, 0, DEATHS);
	ADD_LOOP(tcase, all_that_asks_learns_it, questions);
	tcase_add_test(tcase, a_stop_is_an_end);
	tcase_add_test(tcase, nobody_else_writes_the_page);
}

int main(void)
{
	return suite_main("daemon-death", add);
}
