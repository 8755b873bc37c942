// SPDX-License-Identifier: MIT
/* What the kernel says of memfds, on which sharing tokens stand: who can open one anew, and what tells it from all others. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../expect.h"
#include "../suite.h"

#define HOLDER   65531 /* a uid that holds a token, */
#define STRANGER 65530 /* and one that does not */
#define MANY     20000

struct identity {
	uint64_t device, inode, born_ns;
};

static int token_make(void)
{
	int fd = memfd_create("fencebroker-token", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	EXPECT(fd >= 0 && fchmod(fd, 0) == 0);
	EXPECT(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) ==
	       0);
	return fd;
}

static int identify(int fd, struct identity *ret)
{
	struct statx status;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO | STATX_BTIME, &status) <
	    0) {
		return -errno;
	}
	EXPECT(status.stx_mask & STATX_BTIME);
	*ret = (struct identity){
		.device = (uint64_t)status.stx_dev_major << 32 | status.stx_dev_minor,
		.inode = status.stx_ino,
		.born_ns =
			(uint64_t)status.stx_btime.tv_sec * 1000000000 + status.stx_btime.tv_nsec,
	};
	return 0;
}

static bool same(const struct identity *a, const struct identity *b)
{
	return a->device == b->device && a->inode == b->inode && a->born_ns == b->born_ns;
}

static void become(uid_t uid)
{
	EXPECT(setgid(uid) == 0 && setuid(uid) == 0);
	prctl(PR_SET_DUMPABLE, 1); /* as after exec: its /proc is its own */
}

static int open_of(pid_t pid, int fd, int flags)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	int found = open(path, flags | O_CLOEXEC);
	return found < 0 ? -errno : found;
}

/* Runs in a child of that uid; returns its status. */
static int in_child(uid_t uid, int (*run)(pid_t pid, int fd), pid_t pid, int fd)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		if (uid) {
			become(uid);
		}
		_exit(run(pid, fd));
	}
	EXPECT(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* A process of HOLDER that has the token and waits. */
static pid_t holder_start(int fd)
{
	int ready[2];
	char byte;
	EXPECT(pipe(ready) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		become(HOLDER);
		fcntl(fd, F_GETFD);
		EXPECT(write(ready[1], "", 1) == 1);
		for (;;) {
			pause();
		}
	}
	EXPECT(read(ready[0], &byte, 1) == 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

/* Not even for its holder: the mode says who may. */
static int cannot_open(pid_t pid, int fd)
{
	for (int access = O_RDONLY; access <= O_RDWR; access++) {
		if (open_of(pid, fd, access) != -EACCES) {
			return 1 + access;
		}
	}
	return 0;
}

/* Who may look into the holder's /proc gets an O_PATH fd, which has the file's identity: so that must be no token. */
static int gets_path(pid_t pid, int fd)
{
	struct identity token, found;
	int path = open_of(pid, fd, O_PATH);
	return path >= 0 && fcntl(path, F_GETFL) & O_PATH && identify(path, &found) == 0 &&
			       identify(fd, &token) == 0 && same(&found, &token)
		       ? 0
		       : 1;
}

static int sees_nothing(pid_t pid, int fd)
{
	return open_of(pid, fd, O_PATH) == -EACCES ? 0 : 1;
}

/* CAP_DAC_OVERRIDE: such a file is the same inode, and a token. */
static int can_open(pid_t pid, int fd)
{
	struct identity token, found;
	int anew = open_of(pid, fd, O_RDWR);
	return anew >= 0 && identify(anew, &found) == 0 && identify(fd, &token) == 0 &&
			       same(&found, &token)
		       ? 0
		       : 1;
}

/* Only the file's owner, which the daemon's uid is, changes its mode. */
static int cannot_change_mode(pid_t pid, int fd)
{
	(void)pid;
	return fchmod(fd, 0777) < 0 && errno == EPERM ? 0 : 1;
}

START_TEST(who_opens_it)
{
	int fd = token_make();
	pid_t holder = holder_start(fd);
	ck_assert_int_eq(in_child(HOLDER, cannot_open, holder, fd), 0);
	ck_assert_int_eq(in_child(HOLDER, gets_path, holder, fd), 0);
	ck_assert_int_eq(in_child(STRANGER, cannot_open, holder, fd), 0);
	ck_assert_int_eq(in_child(STRANGER, sees_nothing, holder, fd), 0);
	ck_assert_int_eq(in_child(0, can_open, holder, fd), 0);
	ck_assert_int_eq(in_child(HOLDER, cannot_change_mode, holder, fd), 0);
	EXPECT(kill(holder, SIGKILL) == 0 && waitpid(holder, NULL, 0) == holder);
	close(fd);
}
END_TEST

/* The seals leave its owner the mode, and nothing to store in it. */
START_TEST(sealed)
{
	int fd = token_make();
	ck_assert_int_eq(fchmod(fd, 0600), 0);
	ck_assert_int_eq(fchmod(fd, 0), 0);
	ck_assert_int_eq(write(fd, "x", 1), -1);
	ck_assert_int_eq(ftruncate(fd, 4096), -1);
	ck_assert_ptr_eq(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	close(fd);
}
END_TEST

static int identity_order(const void *left, const void *right)
{
	const struct identity *a = left, *b = right;
	return a->inode < b->inode ? -1 : a->inode > b->inode;
}

/* No two have one number, also where the first is closed before the second is made; and none grows younger. */
START_TEST(identities)
{
	static struct identity seen[MANY];
	uint64_t born_ns = 0;
	for (int i = 0; i < MANY; i++) {
		int fd = token_make();
		EXPECT(identify(fd, &seen[i]) == 0);
		EXPECT(seen[i].device == seen[0].device && seen[i].inode != 0);
		EXPECT(seen[i].born_ns >= born_ns);
		born_ns = seen[i].born_ns;
		close(fd);
	}
	qsort(seen, MANY, sizeof(seen[0]), identity_order);
	for (int i = 1; i < MANY; i++) {
		EXPECT(seen[i].inode != seen[i - 1].inode);
	}
}
END_TEST

/* Nothing that is done with it later changes what it is known by. */
START_TEST(identity_stays)
{
	struct identity before, after;
	int fd = token_make();
	EXPECT(identify(fd, &before) == 0);
	const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	ck_assert_int_eq(futimens(fd, times), 0);
	ck_assert_int_eq(fchmod(fd, 0), 0);
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	EXPECT(identify(copy, &after) == 0);
	ck_assert(same(&before, &after));
	close(copy);
	close(fd);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_test(tcase, who_opens_it);
	tcase_add_test(tcase, sealed);
	tcase_add_test(tcase, identities);
	tcase_add_test(tcase, identity_stays);
}

int main(void)
{
	if (getuid() != 0) {
		printf("SKIPPED: only root can be three users\n");
		return 77;
	}
	return suite_main("token", add);
}
