// SPDX-License-Identifier: MIT
/* Packets of a client, and their consequences: the daemon goes on, and so do all other clients. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib-view.h"

static struct daemon fencebrokerd;
static struct bystander bystander;
static struct client client; /* the one that misbehaves */

static void setup(void)
{
	daemon_serve(&fencebrokerd, NULL);
	bystander_open(&bystander, &fencebrokerd);
	client_open(&client, &fencebrokerd);
}

/* No other client noticed, and the daemon kept nothing. */
static void teardown(void)
{
	bystander_round(&bystander);
	client_close(&client);
	bystander_close(&bystander);
	daemon_stop(&fencebrokerd);
}

static void expect_alive(void)
{
	client_ping(&client);
	bystander_round(&bystander);
}

/* A fresh connection replaces the one that ended. */
static void client_again(bool greeted)
{
	client_close(&client);
	client_connect(&client, &fencebrokerd);
	if (greeted) {
		ck_assert_int_eq(client_hello(&client, 1, 1), 0);
	}
}

/* --------------------------------------------------------------------------------- the greeting -- */

START_TEST(hello)
{
	struct stat status;
	ck_assert_int_eq(fstat(client.pair_fd, &status), 0);
	ck_assert_int_eq(status.st_size, sizeof(struct fbk_pair_page));
	ck_assert_uint_eq(client.pair->header.magic, FBK_PAGE_MAGIC);
	ck_assert_uint_eq(client.pair->header.version, FBK_PAGE_VERSION);
	ck_assert_uint_eq(client.pair->header.kind, FBK_PAGE_PAIR);
	ck_assert_uint_eq(client.pair->cells[0].minimum, FBK_MONITORED_NONE);
	ck_assert(fcntl(client.doorbell, F_GETFL) & O_NONBLOCK);
	ck_assert(client.features & (1U << FBK_FEATURE_TIMELINES));
	ck_assert(!(client.features & (1U << FBK_FEATURE_RECONNECT)));
	expect_alive();
}
END_TEST

/* One for all connections of a daemon, another for the next daemon. */
START_TEST(instance)
{
	static const uint8_t none[16];
	struct client other;
	client_open(&other, &fencebrokerd);
	ck_assert_mem_eq(other.instance, client.instance, sizeof(other.instance));
	ck_assert_mem_ne(other.instance, none, sizeof(none));
	client_close(&other);
	struct daemon second;
	daemon_serve(&second, NULL);
	client_open(&other, &second);
	ck_assert_mem_ne(other.instance, client.instance, sizeof(other.instance));
	client_close(&other);
	daemon_stop(&second);
}
END_TEST

START_TEST(clock_of_the_daemon)
{
	struct client other;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	uint64_t before = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	client_open(&other, &fencebrokerd);
	clock_gettime(CLOCK_MONOTONIC, &now);
	uint64_t after = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	ck_assert_uint_ge(other.clock_ns, before);
	ck_assert_uint_le(other.clock_ns, after);
	client_close(&other);
}
END_TEST

static const struct {
	uint32_t min, max;
	const char *ours, *advice; /* NULL: accepted */
} versions[] = {
	{ 1, 1, NULL, NULL },
	{ 0, 1, NULL, NULL },
	{ 1, 99, NULL, NULL },
	{ 2, 9, "the client 2 to 9", "update the daemon" },
	{ UINT32_MAX, UINT32_MAX, "the client 4294967295 to 4294967295", "update the daemon" },
	{ 0, 0, "the client 0 to 0", "update the client" },
};

START_TEST(version)
{
	client_again(false);
	int r = client_hello(&client, versions[_i].min, versions[_i].max);
	if (!versions[_i].ours) {
		ck_assert_int_eq(r, 0);
		expect_alive();
		return;
	}
	ck_assert_int_eq(r, -EPROTONOSUPPORT);
	client_expect_detail(&client, "protocol 1 to 1");
	client_expect_detail(&client, versions[_i].ours);
	client_expect_detail(&client, versions[_i].advice);
	client_expect_end(&client);
}
END_TEST

START_TEST(request_before_hello)
{
	client_again(false);
	REQUEST(request, SET_CREATE, set_create);
	ck_assert_int_eq(client_call(&client, &request, NULL, 0, NULL), -EPROTO);
	client_expect_detail(&client, "Hello");
	client_expect_end(&client);
}
END_TEST

START_TEST(second_hello)
{
	ck_assert_int_eq(client_hello(&client, 1, 1), -EPROTO);
	client_expect_detail(&client, "once");
	expect_alive();
}
END_TEST

START_TEST(says_nothing)
{
	struct client others[32];
	for (size_t i = 0; i < 32; i++) {
		client_connect(&others[i], &fencebrokerd);
	}
	bystander_round(&bystander);
	for (size_t i = 0; i < 32; i++) {
		client_close(&others[i]);
	}
	expect_alive();
}
END_TEST

/* --------------------------------------------------------------------------- malformed packets -- */

static const struct {
	size_t size;
	const char *bytes;
} garbage[] = {
	{ 1, "\x08" }, /* a field without a value */
	{ 1, "\xff" }, /* a tag that goes on */
	{ 16, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" },
	{ 16, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" }, /* field number 0 */
	{ 14, "GET / HTTP/1.1" },                 /* another protocol */
	{ 4, "\x08\x01\x12\x7f" },                /* a body longer than the packet */
	{ 7, "\x08\x01\x12\xff\xff\xff\x7f" },    /* much longer */
	{ 2, "\x12\0" },                          /* no serial */
	{ 4, "\x08\0\x12\0" },                    /* serial 0 is for events */
	{ 2, "\x0b\x0c" },                        /* groups are not of this syntax */
	{ 8, "\x08\x01\x22\x04\x0a\x02\xc3" },    /* a string that goes on */
};

START_TEST(garbage_packet)
{
	uint64_t malformed = client_counter(&bystander.waiter, "malformed");
	int fd = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(client_send_raw(&client, garbage[_i].bytes, garbage[_i].size, &fd, 1), 0);
	close(fd);
	client_expect_end(&client);
	ck_assert_uint_eq(client_counter(&bystander.waiter, "malformed"), malformed + 1);
}
END_TEST

/* A request cut at any byte is either no message, and the connection ends, or one that is
 * refused. */
START_TEST(truncated_packet)
{
	uint8_t bytes[256];
	REQUEST(request, DEVICE_REGISTER, device_register);
	request.serial = 7;
	request.device_register->name = (char *)(uintptr_t) "truncated";
	request.device_register->class_ = FBK_CLASS_CPU;
	size_t size = fbk__wire__request__pack(&request, bytes);
	size_t ended = 0;

	for (size_t cut = 1; cut < size; cut++) {
		struct reply reply;
		Fbk__Wire__Request *parsed = fbk__wire__request__unpack(NULL, cut, bytes);
		ck_assert_int_eq(client_send_raw(&client, bytes, cut, NULL, 0), 0);
		if (parsed) {
			fbk__wire__request__free_unpacked(parsed, NULL);
			EXPECT(client_receive(&client, &reply));
			EXPECT(reply.message->serial == 7 && reply.message->error < 0);
			reply_free(&reply);
			continue;
		}
		client_expect_end(&client);
		client_again(true);
		ended++;
	}
	ck_assert_uint_ge(ended, size - 3); /* only a whole serial without a body is a message */
}
END_TEST

/* A DeviceRegister whose packet has exactly this many bytes. */
static void send_of_size(size_t wanted)
{
	static char name[2 * WIRE_PACKET_MAX];
	static uint8_t bytes[2 * WIRE_PACKET_MAX];
	REQUEST(request, DEVICE_REGISTER, device_register);
	request.serial = 1;
	request.device_register->device = 1;
	request.device_register->name = name;
	memset(name, 'x', wanted);
	for (size_t length = wanted;; length--) {
		name[length] = '\0';
		if (protobuf_c_message_get_packed_size(&request.base) == wanted) {
			break;
		}
		EXPECT(length > 0);
	}
	EXPECT(fbk__wire__request__pack(&request, bytes) == wanted);
	int r = client_send_raw(&client, bytes, wanted, NULL, 0);
	ck_assert_msg(r == 0, "%s", strerror(-r));
}

static int error_received(void)
{
	struct reply reply;
	EXPECT(client_receive(&client, &reply));
	int error = reply.message->error;
	strncpy(client.detail, reply.message->detail, sizeof(client.detail) - 1);
	reply_free(&reply);
	return error;
}

START_TEST(oversized_packet)
{
	send_of_size(256);
	ck_assert_int_eq(error_received(), -EINVAL); /* its size is right: the name is looked at */
	client_expect_detail(&client, "name");
	send_of_size(257);
	ck_assert_int_eq(error_received(), -EMSGSIZE);
	client_expect_detail(&client, "device_register: 257 bytes, at most 256");
	send_of_size(WIRE_PACKET_MAX);
	ck_assert_int_eq(error_received(), -EMSGSIZE);
	expect_alive();
	send_of_size(WIRE_PACKET_MAX + 1);
	client_expect_end(&client);
}
END_TEST

/* The body of that number, of unknown fields alone, so that the packet has exactly `size` bytes. */
static size_t body_unknown(uint32_t number, size_t size, uint8_t *ret_bytes)
{
	size_t at = 0;
	ret_bytes[at++] = 0x08; /* serial 1 */
	ret_bytes[at++] = 1;
	uint32_t tag = number << 3 | 2;
	for (; tag >= 0x80; tag >>= 7) {
		ret_bytes[at++] = (uint8_t)(tag | 0x80);
	}
	ret_bytes[at++] = (uint8_t)tag;
	size_t rest = size - at - 2; /* 128 to 16383: two bytes of length */
	ret_bytes[at++] = (uint8_t)(rest | 0x80);
	ret_bytes[at++] = (uint8_t)(rest >> 7);
	ret_bytes[at++] = 0xfa; /* field 1999 of the body, bytes */
	ret_bytes[at++] = 0x7c;
	rest -= 4;
	ret_bytes[at++] = (uint8_t)(rest | 0x80);
	ret_bytes[at++] = (uint8_t)(rest >> 7);
	memset(ret_bytes + at, 'x', rest);
	return at + rest;
}

/* Each request has room for fields that this daemon does not know, and ignores them. */
START_TEST(unknown_fields)
{
	const ProtobufCMessageDescriptor *requests = &fbk__wire__request__descriptor;
	for (unsigned int i = 0; i < requests->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &requests->fields[i];
		uint8_t bytes[512];
		struct reply reply;
		if (field->type != PROTOBUF_C_TYPE_MESSAGE ||
		    field->id == FBK__WIRE__REQUEST__BODY_GOODBYE) {
			continue;
		}
		ck_assert_uint_eq(body_unknown(field->id, 256, bytes), 256);
		ck_assert_int_eq(client_send_raw(&client, bytes, 256, NULL, 0), 0);
		EXPECT(client_receive(&client, &reply));
		ck_assert_msg(reply.message->error != -EMSGSIZE &&
				      !strstr(reply.message->detail, "does not know"),
			      "%s: %s", field->name, reply.message->detail);
		reply_free(&reply);
	}
	expect_alive();
}
END_TEST

/* The upper half of flags is the daemon's; the lower has no others yet. */
START_TEST(flags)
{
	struct view view;
	uint32_t device = client_device(&client, "cpu0");
	for (uint32_t bit = 1; bit < 32; bit++) {
		ck_assert_int_eq(view_create(&client, device, 0, "a", UINT32_C(1) << bit, &view),
				 -EINVAL);
		client_expect_detail(&client, bit < 16 ? "unknown" : "bits 16 to 31");
	}
	ck_assert_int_eq(view_create(&client, device, 0, "a", FBK_TIMELINE_BROKERED, &view), 0);
	ck_assert_uint_eq(view.flags, FBK_TIMELINE_BROKERED);
}
END_TEST

START_TEST(unknown_request)
{
	static const uint8_t bytes[] = { 0x08, 0x05, 0xa2, 0x06, 0x00 }; /* body number 100 */
	int fd = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(client_send_raw(&client, bytes, sizeof(bytes), &fd, 1), 0);
	close(fd);
	ck_assert_int_eq(error_received(), -EOPNOTSUPP);
	client_expect_detail(&client, "does not know");
	expect_alive();
}
END_TEST

START_TEST(unknown_objects)
{
	struct view view;
	const struct view nothing = { .client = &client, .handle = 4095 };
	const struct view beyond = { .client = &client, .handle = UINT32_MAX };
	ck_assert_int_eq(view_create(&client, 77, 0, "a", 0, &view), -ENOENT);
	client_expect_detail(&client, "no device 77");
	uint32_t device = client_device(&client, "cpu0");
	ck_assert_int_eq(view_create(&client, device, 78, "a", 0, &view), -ENOENT);
	client_expect_detail(&client, "no set 78");
	ck_assert_int_eq(view_close(&nothing), -ENOENT);
	client_expect_detail(&client, "no timeline 4095");
	ck_assert_int_eq(view_request_signal(&beyond, 1), -ENOENT);
	client_expect_detail(&client, "no timeline 4294967295");
	ck_assert_int_eq(page_mapped(&client, bystander.signals.payload_page), -ENOENT);
	client_expect_detail(&client, "is not the writer of page");
	/* another client's device is unknown here, whatever its number */
	ck_assert_int_eq(view_create(&bystander.waiter, device, 0, "a", 0, &view), -ENOENT);
	expect_alive();
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, hello);
	tcase_add_test(tcase, instance);
	tcase_add_test(tcase, clock_of_the_daemon);
	ADD_LOOP(tcase, version, versions);
	tcase_add_test(tcase, request_before_hello);
	tcase_add_test(tcase, second_hello);
	tcase_add_test(tcase, says_nothing);
	ADD_LOOP(tcase, garbage_packet, garbage);
	tcase_add_test(tcase, truncated_packet);
	tcase_add_test(tcase, oversized_packet);
	tcase_add_test(tcase, unknown_fields);
	tcase_add_test(tcase, flags);
	tcase_add_test(tcase, unknown_request);
	tcase_add_test(tcase, unknown_objects);
}

int main(void)
{
	return suite_main("wire", add);
}
