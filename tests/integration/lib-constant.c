// SPDX-License-Identifier: MIT
#include "lib-constant.h"

#include <check.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>

#define WARM_ROUNDS 40         /* for what is kept to be used again */
#define HEAP_SLACK  (16 << 10) /* bytes: less than 64 a round */
#define FDS_SLACK   17         /* what is swept in groups may be at another place of its group */

static unsigned int fds_here(void)
{
	unsigned int count = 0;
	for (int fd = 0; fd < 4096; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

void expect_constant(const struct daemon *daemon, void (*round)(void), void (*settle)(void))
{
	/* What a service allows shows at once; what it keeps is counted of the daemons that tests start. */
	int count = daemon->service ? 2 : getenv("FBK_SOAK") ? 10000 : 300;
	for (int i = 0; i < (daemon->service ? 1 : WARM_ROUNDS); i++) {
		round();
	}
	settle();
	unsigned int fds = fds_here(), theirs = daemon_fd_count(daemon);
	size_t heap = mallinfo2().uordblks;
	for (int i = 0; i < count; i++) {
		round();
	}
	settle();
	ck_assert_uint_le(fds_here(), fds + FDS_SLACK);
	ck_assert_uint_le(daemon_fd_count(daemon), theirs + FDS_SLACK);
	ck_assert_uint_le(mallinfo2().uordblks, heap + HEAP_SLACK);
}
