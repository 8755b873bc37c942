// SPDX-License-Identifier: MIT
/* The vectors of proto/vectors and a running daemon: it takes each request in them, byte by byte as it is there, and ends
 * the connection of those that are malformed. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib-wire.h"
#include "tests/vectors/file.h"

#define PING_SERIAL 100000
#define FDS_MAX     16

static struct daemon fencebrokerd;
static struct client client;
static const struct vector *vectors;
static size_t count;

static void setup(void)
{
	daemon_serve(&fencebrokerd, NULL);
	vectors = vectors_read("requests.txt", &count);
	EXPECT(count > 0);
}

static void teardown(void)
{
	daemon_stop(&fencebrokerd);
}

static void vector_send(const struct vector *vector)
{
	int fds[FDS_MAX];
	unsigned int fd_count = 0;
	sscanf(vector->how, "fds=%u", &fd_count);
	EXPECT(fd_count <= FDS_MAX);
	for (unsigned int i = 0; i < fd_count; i++) {
		fds[i] = memfd_create("vector", MFD_CLOEXEC);
	}
	EXPECT(client_send_raw(&client, vector->bytes, vector->size, fds, fd_count) == 0);
	for (unsigned int i = 0; i < fd_count; i++) {
		close(fds[i]);
	}
}

static uint64_t serial_of(const struct vector *vector)
{
	unsigned long long serial = 0;
	sscanf(vector->text, "serial: %llu", &serial);
	return serial;
}

/* A reply with its number comes, and the connection goes on; a quiet request has one only if it is refused. */
static void expect_answer(const struct vector *vector)
{
	bool answered = strstr(vector->text, "quiet: true") != NULL, alive = false;
	REQUEST(ping, INSPECT_STATUS, inspect_status);
	client.serial = PING_SERIAL - 1; /* of the request before */
	client_send(&client, &ping, NULL, 0);
	while (!answered || !alive) {
		struct reply reply;
		ck_assert_msg(client_receive(&client, &reply),
			      "the connection ended after vector %s", vector->name);
		answered = answered || reply.message->serial == serial_of(vector);
		alive = alive || reply.message->serial == PING_SERIAL;
		reply_free(&reply);
	}
}

/* What comes of it is not looked at: there is no timeline 3, for example. It is read, and answered by its number. */
START_TEST(requests)
{
	for (size_t i = 0; i < count; i++) {
		const struct vector *vector = &vectors[i];
		bool is_hello = strcmp(vector->name, "hello") == 0;
		client_connect(&client, &fencebrokerd);
		if (!is_hello) {
			EXPECT(client_hello(&client, WIRE_VERSION_MIN, WIRE_VERSION_MAX) == 0);
		}
		vector_send(vector);
		if (strcmp(vector->name, "goodbye") == 0 || strcmp(vector->how, "refused") == 0) {
			client_expect_end(&client);
		} else {
			expect_answer(vector);
		}
		client_close(&client);
	}
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, requests);
}

int main(void)
{
	return suite_main("vectors", add);
}
