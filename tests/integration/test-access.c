// SPDX-License-Identifier: MIT
/* What a client, and another user, can do with the fds it was given (rule R1). The second part
 * needs root, to act as two users. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-view.h"

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

#define NOBODY 65534

static const char policy[] = "version = 1;\n"
			     "rules: (\n"
			     "	{ user = 65533; connect = false; },\n"
			     "	{ user = 0; register = true; inspect = \"all\"; },\n"
			     "	{ user = 65534; register = true; class = \"encoder\"; },\n"
			     "	{ user = \"*\"; connect = true; inspect = \"own\"; } );\n";

static struct daemon fencebrokerd;
static struct bystander bystander;
static struct client client, waiter;
static uint32_t device;
static struct view view, opened;
static struct view_fds owner_fds, waiter_fds;

static void setup_with(const char *text)
{
	int token;
	daemon_serve(&fencebrokerd, text);
	bystander_open(&bystander, &fencebrokerd);
	client_open(&client, &fencebrokerd);
	client_open(&waiter, &fencebrokerd);
	device = client_device(&client, "cpu0");
	ck_assert_int_eq(view_create_fds(&client, device, 0, "guarded", 0, &view, &owner_fds), 0);
	ck_assert_int_eq(page_mapped(&client, view.payload_page), 0);
	ck_assert_int_eq(view_share(&view, FBK_RIGHT_WAIT, &token), 0);
	ck_assert_int_eq(view_open_fds(&waiter, token, &opened, &waiter_fds), 0);
	close(token);
}

static void setup(void)
{
	setup_with(NULL);
}

static void setup_system(void)
{
	setup_with(policy);
}

static void fds_close(struct view_fds *fds)
{
	close(fds->control);
	close(fds->payload);
}

static void teardown(void)
{
	fds_close(&owner_fds);
	fds_close(&waiter_fds);
	client_close(&waiter);
	client_close(&client);
	bystander_close(&bystander);
	daemon_stop(&fencebrokerd);
}

/* ----------------------------------------------------------------------------- the owner's fds -- */

static void expect_page(int fd, int access, int seals)
{
	struct stat status;
	ck_assert_int_eq(fstat(fd, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0600);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, access);
	ck_assert_int_eq(fcntl(fd, F_GET_SEALS) & ~F_SEAL_EXEC, seals);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

#define SEALS_BOUNDED (F_SEAL_SHRINK | F_SEAL_GROW)
#define SEALS_MAPPED  (SEALS_BOUNDED | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

START_TEST(seals)
{
	struct view fresh, brokered;
	struct view_fds fds;
	expect_page(client.pair_fd, O_RDWR, SEALS_BOUNDED | F_SEAL_SEAL);
	expect_page(owner_fds.payload, O_RDWR, SEALS_MAPPED);
	expect_page(owner_fds.control, O_RDONLY, F_SEAL_SEAL);
	expect_page(waiter_fds.payload, O_RDONLY, SEALS_MAPPED);
	expect_page(waiter_fds.control, O_RDONLY, F_SEAL_SEAL);

	ck_assert_int_eq(view_create_fds(&client, device, 0, "fresh", 0, &fresh, &fds), 0);
	expect_page(fds.payload, O_RDWR, SEALS_BOUNDED); /* until it says that the page is mapped */
	ck_assert_int_eq(page_mapped(&client, fresh.payload_page), 0);
	expect_page(fds.payload, O_RDWR, SEALS_MAPPED);
	fds_close(&fds);

	ck_assert_int_eq(view_create_fds(&client, device, 0, "brokered", FBK_TIMELINE_BROKERED,
					 &brokered, &fds),
			 0);
	expect_page(fds.payload, O_RDONLY, F_SEAL_SEAL); /* its signaler's, too */
	expect_page(fds.control, O_RDONLY, F_SEAL_SEAL);
	fds_close(&fds);
}
END_TEST

static int truncate_to(int fd, off_t size)
{
	return ftruncate(fd, size) == 0 ? 0 : -errno;
}

static int punch(int fd)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0 ? 0 : -errno;
}

static int map_writable(int fd)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		return -errno;
	}
	munmap(memory, 4096);
	return 0;
}

/* Existing mappings stay as they are; no other process can map it writable, not even its
 * owner's. */
START_TEST(owner_is_bound)
{
	int fd = owner_fds.payload;
	ck_assert(view_signal(&view, 0, 3));
	ck_assert_int_eq(truncate_to(fd, 0), -EPERM);
	ck_assert_int_eq(truncate_to(fd, (off_t)owner_fds.payload_size * 2), -EPERM);
	ck_assert_int_eq(punch(fd), -EPERM);
	ck_assert_int_eq(map_writable(fd), -EPERM);
	ck_assert_int_eq(pwrite(fd, "x", 1, 128), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_uint_eq(view_payload(&opened), 3);
	ck_assert(view_signal(&view, 3, 4)); /* existing mappings still work */
	ck_assert_int_eq(point_wait(&opened, 4, PATIENCE_MS), 0);
}
END_TEST

START_TEST(owner_is_bound_before_mapping)
{
	struct view fresh;
	struct view_fds fds;
	ck_assert_int_eq(view_create_fds(&client, device, 0, "fresh", 0, &fresh, &fds), 0);
	ck_assert_int_eq(truncate_to(fds.payload, 0), -EPERM);
	ck_assert_int_eq(truncate_to(fds.payload, (off_t)fds.payload_size * 2), -EPERM);
	ck_assert_int_eq(fcntl(fds.payload, F_ADD_SEALS, F_SEAL_WRITE), -1); /* it is mapped */
	bystander_round(&bystander);
	ck_assert_int_eq(page_mapped(&client, fresh.payload_page), 0);
	fds_close(&fds);
}
END_TEST

/* A client that takes the daemon's seals away gets a page that is never shared with others. */
START_TEST(owner_seals_first)
{
	struct view fresh, shared;
	struct view_fds fds;
	int token;
	ck_assert_int_eq(view_create_fds(&client, device, 0, "fresh", 0, &fresh, &fds), 0);
	ck_assert_int_eq(fcntl(fds.payload, F_ADD_SEALS, F_SEAL_SEAL), 0);
	ck_assert_int_eq(page_mapped(&client, fresh.payload_page), -EPERM);
	ck_assert_int_eq(view_share(&fresh, FBK_RIGHT_WAIT, &token), 0);
	ck_assert_int_eq(view_open(&waiter, token, &shared), -EAGAIN);
	bystander_round(&bystander);
	close(token);
	fds_close(&fds);
}
END_TEST

START_TEST(pair_page_is_bound)
{
	ck_assert_int_eq(truncate_to(client.pair_fd, 0), -EPERM);
	ck_assert_int_eq(truncate_to(client.pair_fd, 4096), -EPERM);
	ck_assert_int_eq(truncate_to(client.pair_fd, 2 << 20), -EPERM);
	ck_assert_int_eq(fcntl(client.pair_fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	for (off_t offset = 0; offset < (off_t)sizeof(struct fbk_pair_page); offset += 4096) {
		ck_assert_int_eq(fallocate(client.pair_fd,
					   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
					   4096),
				 0); /* zeroes: it could write */
	}
	doorbell_ring(&client, view.handle);
	bystander_round(&bystander);
	client_ping(&client);
}
END_TEST

START_TEST(reader_is_bound)
{
	int fds[] = { waiter_fds.payload, waiter_fds.control, owner_fds.control };
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(map_writable(fds[i]), -EACCES);
		ck_assert_int_ne(truncate_to(fds[i], 0), 0);
		ck_assert_int_ne(punch(fds[i]), 0);
		ck_assert_int_eq(fcntl(fds[i], F_ADD_SEALS, F_SEAL_WRITE), -1);
		void *memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fds[i], 0);
		ck_assert_ptr_ne(memory, MAP_FAILED);
		ck_assert_int_eq(mprotect(memory, 4096, PROT_READ | PROT_WRITE), -1);
		munmap(memory, 4096);
	}
}
END_TEST

/* Opening the payload page again for writing fails: it was sealed before the client got it. */
START_TEST(opened_again)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", waiter_fds.payload);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		ck_assert_int_eq(errno, EACCES);
		return;
	}
	ck_assert_int_eq(map_writable(fd), -EPERM);
	ck_assert_int_eq(punch(fd), -EPERM);
	ck_assert_int_eq(pwrite(fd, "x", 1, 128), -1);
	ck_assert_int_eq(errno, EPERM);
	close(fd);
}
END_TEST

/* ------------------------------------------------------------------------------- another user -- */

/* In a child process, where check cannot report errors. */
#define CHILD_EXPECT(condition)                                                                    \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			dprintf(STDERR_FILENO, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, \
				strerror(errno));                                                  \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

static int become(uid_t uid)
{
	return setgid(uid) == 0 && setuid(uid) == 0 ? 0 : -1;
}

static int opens_writable(int fd)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int again = open(path, O_RDWR | O_CLOEXEC);
	if (again < 0) {
		return -errno;
	}
	close(again);
	return 0;
}

/* A stranger with the token, and so with the pages, tries everything that ever worked. */
static int stranger_run(void *arg)
{
	const int *token = arg;
	struct client stranger;
	struct view page;
	struct view_fds fds;
	CHILD_EXPECT(become(NOBODY) == 0);
	client_open(&stranger, &fencebrokerd);
	CHILD_EXPECT(view_open_fds(&stranger, *token, &page, &fds) == 0);
	CHILD_EXPECT(point_wait(&page, 1, PATIENCE_MS) == 0); /* the purpose of the token */
	CHILD_EXPECT(opens_writable(fds.payload) == -EACCES);
	CHILD_EXPECT(opens_writable(fds.control) == -EACCES);
	CHILD_EXPECT(opens_writable(*token) == -EACCES);
	CHILD_EXPECT(map_writable(fds.payload) == -EACCES);
	CHILD_EXPECT(fchmod(fds.payload, 0666) < 0 && errno == EPERM);
	CHILD_EXPECT(truncate_to(fds.payload, 0) < 0);
	CHILD_EXPECT(punch(fds.payload) < 0);
	if (unshare(CLONE_NEWUSER) == 0) { /* root, in a namespace of its own */
		CHILD_EXPECT(opens_writable(fds.payload) == -EACCES);
		CHILD_EXPECT(opens_writable(fds.control) == -EACCES);
	}
	client_close(&stranger);
	fds_close(&fds);
	return 0;
}

START_TEST(stranger_opens_again)
{
	int token;
	ck_assert_int_eq(view_share(&view, FBK_RIGHT_WAIT, &token), 0);
	pid_t pid = child_start(stranger_run, &token);
	ck_assert(view_signal(&view, 0, 1));
	ck_assert_int_eq(child_wait(pid), 0);
	close(token);
}
END_TEST

static int other_class_run(void *arg)
{
	struct client stranger;
	(void)arg;
	CHILD_EXPECT(become(NOBODY) == 0);
	client_open(&stranger, &fencebrokerd);
	REQUEST(request, DEVICE_REGISTER, device_register);
	request.device_register->name = (char *)(uintptr_t) "gpu0";
	request.device_register->class_ = FBK_CLASS_GPU;
	CHILD_EXPECT(client_call(&stranger, &request, NULL, 0, NULL) == -EPERM);
	CHILD_EXPECT(strstr(stranger.detail, "uid 65534 may not register a device of class gpu"));
	request.device_register->class_ = FBK_CLASS_ENCODER;
	CHILD_EXPECT(client_call(&stranger, &request, NULL, 0, NULL) == 0);
	return 0;
}

START_TEST(registering_by_policy)
{
	ck_assert_int_eq(child_wait(child_start(other_class_run, NULL)), 0);
}
END_TEST

static int unwanted_run(void *arg)
{
	struct client stranger;
	(void)arg;
	CHILD_EXPECT(become(65533) == 0);
	client_connect(&stranger, &fencebrokerd);
	CHILD_EXPECT(client_hello(&stranger, 1, 1) == -EPERM);
	CHILD_EXPECT(strstr(stranger.detail, "policy does not let uid 65533 connect"));
	CHILD_EXPECT(strstr(stranger.detail, "policy.conf:3")); /* the rule that decided */
	client_expect_end(&stranger);
	return 0;
}

START_TEST(connecting_by_policy)
{
	ck_assert_int_eq(child_wait(child_start(unwanted_run, NULL)), 0);
}
END_TEST

/* Each client sees its own timelines and users; only one that may inspect everything sees those of
 * others. */
static int inspecting_run(void *arg)
{
	struct client stranger;
	struct reply reply;
	(void)arg;
	CHILD_EXPECT(become(NOBODY) == 0);
	client_open(&stranger, &fencebrokerd);
	REQUEST(timelines, INSPECT_TIMELINES, inspect_timelines);
	CHILD_EXPECT(client_call(&stranger, &timelines, NULL, 0, &reply) == 0);
	CHILD_EXPECT(reply.message->timelines->n_timelines == 0);
	reply_free(&reply);
	CHILD_EXPECT(client_usage(&stranger, NOBODY, "connections") == 1);
	CHILD_EXPECT(client_usage(&stranger, 0, "connections") == 0);
	return 0;
}

START_TEST(inspecting_by_policy)
{
	struct reply reply;
	ck_assert_int_eq(child_wait(child_start(inspecting_run, NULL)), 0);
	REQUEST(timelines, INSPECT_TIMELINES, inspect_timelines);
	ck_assert_int_eq(client_call(&client, &timelines, NULL, 0, &reply), 0);
	ck_assert_uint_eq(reply.message->timelines->n_timelines, 2);
	reply_free(&reply);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, seals);
	tcase_add_test(tcase, owner_is_bound);
	tcase_add_test(tcase, owner_is_bound_before_mapping);
	tcase_add_test(tcase, owner_seals_first);
	tcase_add_test(tcase, pair_page_is_bound);
	tcase_add_test(tcase, reader_is_bound);
	tcase_add_test(tcase, opened_again);
}

static void add_users(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_system, teardown);
	tcase_add_test(tcase, stranger_opens_again);
	tcase_add_test(tcase, registering_by_policy);
	tcase_add_test(tcase, connecting_by_policy);
	tcase_add_test(tcase, inspecting_by_policy);
}

int main(void)
{
	int r = suite_main("access", add);
	if (geteuid() != 0) {
		puts("not root: what another user can do was not tried");
		return r;
	}
	return r == 0 ? suite_main("access of other users", add_users) : r;
}
