// SPDX-License-Identifier: MIT
#include "daemon/base/aio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/suite.h"

#define FULL         (UINT64_MAX - 1) /* the largest a counter gets by writing */
#define EXIT_SKIPPED 77

static struct aio aio;
static int fd;

static void setup(void)
{
	ck_assert_int_eq(aio_init(&aio), 0);
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert_int_ge(fd, 0);
}

static void teardown(void)
{
	aio_finish(&aio);
	ck_assert_int_eq(aio.source, -1);
	close(fd);
}

static bool readable(int eventfd)
{
	struct pollfd polled = { .fd = eventfd, .events = POLLIN };
	return poll(&polled, 1, 0) == 1 && polled.revents & (POLLIN | POLLERR);
}

static uint64_t value(void)
{
	eventfd_t number;
	return eventfd_read(fd, &number) == 0 ? number : 0;
}

START_TEST(raises)
{
	ck_assert(!readable(fd));
	ck_assert_int_eq(aio_raise(&aio, fd), 0);
	ck_assert(readable(fd)); /* when the call returns, not later */
	ck_assert_uint_eq(value(), 1);
	ck_assert(!readable(fd));
	ck_assert_int_eq(aio_raise(&aio, fd), 0);
	ck_assert_int_eq(aio_raise(&aio, fd), 0);
	ck_assert_uint_eq(value(), 2);
}
END_TEST

/* Full counters, where a writer would block. Each such call ends, and the eventfd is readable. */
START_TEST(full_and_blocking)
{
	ck_assert_int_eq(eventfd_write(fd, FULL), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
	alarm(10); /* instead of hanging */
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(aio_raise(&aio, fd), 0);
		ck_assert(readable(fd));
	}
	alarm(0);
}
END_TEST

START_TEST(semaphore)
{
	int counted = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	ck_assert_int_eq(aio_raise(&aio, counted), 0);
	ck_assert(readable(counted));
	close(counted);
}
END_TEST

/* More than the ring holds: each eventfd is raised nevertheless. */
START_TEST(many)
{
	for (unsigned int i = 0; i < 10000; i++) {
		ck_assert_msg(aio_raise(&aio, fd) == 0, "number %u", i);
	}
	ck_assert_uint_eq(value(), 10000);
}
END_TEST

START_TEST(not_an_eventfd)
{
	ck_assert_int_eq(aio_raise(&aio, aio.source), -EINVAL);
	ck_assert_int_eq(aio_raise(&aio, 9999), -EBADF);
	ck_assert_int_eq(aio_raise(&aio, fd), 0); /* the context still works */
	ck_assert_uint_eq(value(), 1);
}
END_TEST

START_TEST(closed_by_the_other_side)
{
	int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(aio_raise(&aio, duplicate), 0);
	}
	close(duplicate);
	ck_assert_uint_eq(value(), 1000);
}
END_TEST

START_TEST(without_context)
{
	struct aio none = { .source = -1 };
	ck_assert_int_eq(aio_raise(&none, fd), -ENOSYS);
	aio_finish(&none);
	ck_assert(!readable(fd));
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, raises);
	tcase_add_test(tcase, full_and_blocking);
	tcase_add_test(tcase, semaphore);
	tcase_add_test(tcase, many);
	tcase_add_test(tcase, not_an_eventfd);
	tcase_add_test(tcase, closed_by_the_other_side);
	tcase_add_test(tcase, without_context);
}

int main(void)
{
	int r = aio_init(&aio);
	if (r < 0) {
		printf("no AIO context here (%d)\n", r);
		return EXIT_SKIPPED;
	}
	aio_finish(&aio);
	return suite_main("aio", add);
}
