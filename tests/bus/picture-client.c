// SPDX-License-Identifier: MIT
/*
 * The other side of test-foreign.py: a program with libfencebroker that gets pictures from one without.
 *   picture-client SOCKET FD
 * From the packet socket FD come the point, with the token and the picture's memfd. It waits for the
 * point, checks the picture, draws another over it and hands that back by a timeline of its own: point
 * and token go out before the picture is drawn. It ends with the first picture that is wrong, or with
 * the socket.
 */
#include <errno.h>
#include <fencebroker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS UINT64_C(30000000000)

struct note {
	uint64_t point;
	uint64_t size; /* of the picture; 0 on the way back */
};

static _Noreturn void fail(const char *what, int error)
{
	fprintf(stderr, "picture-client: %s: %s: %s\n", what, strerror(error), fbk_error_detail());
	exit(EXIT_FAILURE);
}

static void must(const char *what, int r)
{
	if (r < 0) {
		fail(what, -r);
	}
}

static uint64_t deadline(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + PATIENCE_NS;
}

/* False at the end of the socket. */
static bool note_receive(int socket, struct note *note, int fds[2])
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec data = { .iov_base = note, .iov_len = sizeof(*note) };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	ssize_t size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	if (size == 0) {
		return false;
	}
	const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (size != sizeof(*note) || !header || header->cmsg_len != CMSG_LEN(2 * sizeof(int))) {
		fail("receiving a picture", size < 0 ? errno : EPROTO);
	}
	memcpy(fds, CMSG_DATA(header), 2 * sizeof(int));
	return true;
}

static void note_send(int socket, uint64_t point, int token)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS,
				  .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct note note = { .point = point };
	struct iovec data = { .iov_base = &note, .iov_len = sizeof(note) };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	memcpy(CMSG_DATA(&control.header), &token, sizeof(token));
	if (sendmsg(socket, &message, MSG_NOSIGNAL) != sizeof(note)) {
		fail("sending a picture", errno);
	}
}

/* As test-foreign.py draws. */
static uint8_t pixel(uint64_t point, uint64_t i)
{
	return (uint8_t)(i * 7 + point * 13);
}

static void picture_check(const uint8_t *picture, const struct note *note)
{
	for (uint64_t i = 0; i < note->size; i++) {
		if (picture[i] != pixel(note->point, i)) {
			fprintf(stderr, "picture-client: picture %llu: byte %llu is %u, not %u\n",
				(unsigned long long)note->point, (unsigned long long)i, picture[i],
				pixel(note->point, i));
			exit(EXIT_FAILURE);
		}
	}
}

static void picture_take(struct fbk_context *context, struct fbk_timeline *mine, int socket,
			 const struct note *note, const int fds[2])
{
	struct fbk_timeline *theirs;
	uint64_t answer = note->point;
	int token;
	must("opening the token", fbk_timeline_open(context, fds[0], &theirs));
	must("the wait", fbk_point_wait((struct fbk_point){ theirs, note->point }, deadline()));
	uint8_t *picture = mmap(NULL, note->size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
	if (picture == MAP_FAILED) {
		fail("mapping a picture", errno);
	}
	picture_check(picture, note);
	must("sharing", fbk_timeline_share(mine, FBK_RIGHT_WAIT, &token));
	note_send(socket, answer, token);
	close(token);
	for (uint64_t i = 0; i < note->size; i++) {
		picture[i] = pixel(answer + 1, i);
	}
	must("signalling", fbk_timeline_signal(mine, answer));
	munmap(picture, note->size);
	fbk_timeline_close(theirs);
}

int main(int argc, char **argv)
{
	const struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					      .name = "painter",
					      .device_class = FBK_CLASS_CPU,
					      .waits = FBK_FENCE_MEMORY64,
					      .signals = FBK_FENCE_MEMORY64 };
	struct fbk_context *context;
	struct fbk_device *device;
	struct fbk_timeline *mine;
	struct note note;
	int fds[2];
	if (argc != 3) {
		fprintf(stderr, "usage: picture-client SOCKET FD\n");
		return 2;
	}
	int socket = atoi(argv[2]);
	must("connecting", fbk_connect(argv[1], &context));
	must("registering", fbk_device_register(context, &desc, &device));
	must("a timeline", fbk_timeline_create(device, NULL, "painted", 0, &mine));
	while (note_receive(socket, &note, fds)) {
		picture_take(context, mine, socket, &note, fds);
		close(fds[0]);
		close(fds[1]);
	}
	fbk_disconnect(context);
	return EXIT_SUCCESS;
}
