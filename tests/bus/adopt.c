// SPDX-License-Identifier: MIT
/* adopt SOCKET TOKEN: two fds, which this process inherited: the socket of a device that was registered over the bus,
 * and a timeline's token. Uses both by libfencebroker, prints a line, and stays until its input ends. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/include/fencebroker.h"

static int fail(const char *what, int r)
{
	printf("%s: %s (%s)\n", what, strerrordesc_np(-r), fbk_error_detail());
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct fbk_context *context;
	struct fbk_timeline *made, *opened;
	char byte;
	if (argc != 3) {
		return 2;
	}
	int r = fbk_connect_fd(dup(STDIN_FILENO), &context);
	if (r != -EPROTO) {
		return fail("a file that is no socket", r);
	}
	r = fbk_connect_fd(atoi(argv[1]), &context);
	if (r < 0) {
		return fail("connect", r);
	}
	struct fbk_device *device = fbk_context_device(context);
	if (!device) {
		return fail("no device", -ENODEV);
	}
	r = fbk_timeline_create(device, NULL, "memory", 0, &made);
	if (r == 0) {
		r = fbk_point_signal((struct fbk_point){ made, 3 });
	}
	if (r == 0) {
		r = fbk_point_wait((struct fbk_point){ made, 3 }, FBK_DEADLINE_MAX);
	}
	if (r < 0) {
		return fail("a timeline of its own", r);
	}
	r = fbk_timeline_open(context, atoi(argv[2]), &opened);
	if (r == 0) {
		r = fbk_point_wait((struct fbk_point){ opened, 1 }, FBK_DEADLINE_MAX);
	}
	if (r < 0) {
		return fail("the timeline of the token", r);
	}
	puts("ok");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0) {
	}
	fbk_device_unregister(device);
	if (fbk_context_device(context)) {
		return fail("an unregistered device", -EEXIST);
	}
	fbk_disconnect(context);
	return EXIT_SUCCESS;
}
