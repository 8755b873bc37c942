// SPDX-License-Identifier: MIT
/* Every struct of the public headers that begins with its size: a smaller one is refused, a longer one works while its
 * tail says nothing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib-stage.h"

#define TAIL 64

/* One of the program's, of any version: `size` bytes of ours, then more. */
union given {
	size_t struct_size;
	struct fbk_device_desc device;
	struct fbk_timeline_info timeline;
	struct fbk_memory memory_of;
	struct fbk_format format;
	struct fbk_consumer_desc consumer;
	struct fbk_link_desc link;
	struct fbk_buffer_desc buffer;
	struct fbk_frame_meta meta;
	struct fbk_link_info info;
	unsigned char bytes[sizeof(struct fbk_link_info) + TAIL];
};

static struct local local;

static void setup(void)
{
	stage_open(WAY_NATIVE, NULL);
	local_open(&local, FBK_DELIVERY_FIFO, 3);
}

static void teardown(void)
{
	local_close(&local);
	stage_close();
}

/* -------------------------------------------------------------------------------------- who reads it -- */

static int register_device(union given *given)
{
	struct fbk_device *device;
	given->device.name = "sized"; /* free again with the next try */
	int r = fbk_device_register(local.context, &given->device, &device);
	if (r == 0) {
		fbk_device_unregister(device);
	}
	return r;
}

static int try_offer(const struct fbk_link_desc *desc)
{
	struct fbk_link *link;
	int fd;
	int r = fbk_link_offer(producer.device, desc, &fd, &link);
	if (r == 0) {
		fbk_link_close(link);
		close(fd);
	}
	return r;
}

static int try_accept(const struct fbk_link_desc *desc)
{
	struct fbk_link *offered, *link;
	int fd;
	EXPECT(link_offer(producer.device, FBK_ROLE_PRODUCER, &fd, &offered) == 0);
	int r = fbk_link_accept(local.device, fd, desc, &link);
	if (r == 0) {
		fbk_link_close(link);
	}
	fbk_link_close(offered);
	close(fd);
	return r;
}

static int offer_desc(union given *given)
{
	return try_offer(&given->link);
}

static int accept_desc(union given *given)
{
	return try_accept(&given->link);
}

static int offer_format(union given *given)
{
	const struct fbk_format *const list[] = { &given->format };
	return try_offer(&(struct fbk_link_desc){ sizeof(struct fbk_link_desc), FBK_ROLE_PRODUCER,
						  list, 1, NULL });
}

static int accept_format(union given *given)
{
	const struct fbk_format *const list[] = { &given->format };
	return try_accept(&(struct fbk_link_desc){
		.struct_size = sizeof(struct fbk_link_desc), .formats = list, .format_count = 1 });
}

static int offer_consumer(union given *given)
{
	return try_offer(&(struct fbk_link_desc){ sizeof(struct fbk_link_desc), FBK_ROLE_CONSUMER,
						  NULL, 0, &given->consumer });
}

static int accept_consumer(union given *given)
{
	return try_accept(&(struct fbk_link_desc){ .struct_size = sizeof(struct fbk_link_desc),
						   .consumer = &given->consumer });
}

static int add_buffer(union given *given)
{
	given->buffer.fd[0] = fcntl(producer.buffers[0].fd, F_DUPFD_CLOEXEC, 0);
	int r = fbk_exchange_add(producer.exchange, PRODUCER_BUFFERS, &given->buffer);
	return r < 0 ? r : fbk_exchange_remove(producer.exchange, PRODUCER_BUFFERS);
}

static int hand_meta(union given *given)
{
	int r = fbk_exchange_hand(producer.exchange, 0, FBK_POINT_SIGNALLED, FBK_DEADLINE_MAX,
				  &given->meta, NULL, NULL);
	if (r < 0) {
		return r;
	}
	struct fbk_frame *frame = local_next(&local);
	ck_assert_uint_eq(fbk_frame_meta(frame)->struct_size, sizeof(struct fbk_frame_meta));
	ck_assert_int_eq(fbk_frame_meta(frame)->pts_ns, given->meta.pts_ns);
	return frame_release(frame, 0);
}

static const struct kind {
	const char *name;
	size_t size;
	union given given;
	int (*use)(union given *given);
} kinds[] = {
	{ "fbk_device_desc",
	  sizeof(struct fbk_device_desc),
	  { .device = { .device_class = FBK_CLASS_CPU, .waits = FBK_FENCE_MEMORY64 } },
	  register_device },
	{ "fbk_link_desc, offered",
	  sizeof(struct fbk_link_desc),
	  { .link = { .role = FBK_ROLE_CONSUMER } },
	  offer_desc },
	{ "fbk_link_desc, accepted", sizeof(struct fbk_link_desc), { 0 }, accept_desc },
	{ "fbk_format, offered",
	  sizeof(struct fbk_format),
	  { .format = { .memory = FBK_MEMORY_MEMFD } },
	  offer_format },
	{ "fbk_format, accepted",
	  sizeof(struct fbk_format),
	  { .format = { .memory = FBK_MEMORY_MEMFD } },
	  accept_format },
	{ "fbk_consumer_desc, offered", sizeof(struct fbk_consumer_desc), { 0 }, offer_consumer },
	{ "fbk_consumer_desc, accepted",
	  sizeof(struct fbk_consumer_desc),
	  { .consumer = { .delivery = FBK_DELIVERY_MAILBOX, .hold = 64 } },
	  accept_consumer },
	{ "fbk_buffer_desc",
	  sizeof(struct fbk_buffer_desc),
	  { .buffer = { .memory = FBK_MEMORY_MEMFD, .plane_count = 1, .fd = { -1, -1, -1, -1 } } },
	  add_buffer },
	{ "fbk_frame_meta", sizeof(struct fbk_frame_meta), { .meta = { .pts_ns = 5 } }, hand_meta },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static size_t fds_open(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t count = 0;
	while (readdir(folder)) {
		count++;
	}
	closedir(folder);
	return count;
}

static int use(const struct kind *kind, size_t struct_size, size_t at, unsigned char tail)
{
	union given given = kind->given;
	given.struct_size = struct_size;
	if (tail) {
		given.bytes[at] = tail;
	}
	return kind->use(&given);
}

static void expect(const struct kind *kind, size_t struct_size, size_t at, int error,
		   const char *part)
{
	size_t before = fds_open();
	int r = use(kind, struct_size, at, at > 0);
	ck_assert_msg(r == error && (r == 0 || strstr(fbk_error_detail(), part)),
		      "%s of %zu bytes: %d, %s", kind->name, struct_size, r, fbk_error_detail());
	ck_assert_uint_eq(fds_open(), before);
}

START_TEST(read_in)
{
	const struct kind *kind = &kinds[_i];
	static const char *const more = "more than this library knows";
	use(kind, kind->size, 0, 0); /* what is made once is there */
	expect(kind, kind->size, 0, 0, "");
	expect(kind, kind->size - 1, 0, -EINVAL, "struct_size is");
	expect(kind, 0, 0, -EINVAL, "struct_size is 0");
	expect(kind, sizeof(size_t), 0, -EINVAL, "struct_size is 8");
	for (size_t more_bytes = 1; more_bytes <= TAIL; more_bytes *= 2) {
		expect(kind, kind->size + more_bytes, 0, 0, "");
		expect(kind, kind->size + more_bytes, kind->size, -E2BIG, more);
		expect(kind, kind->size + more_bytes, kind->size + more_bytes - 1, -E2BIG, more);
		/* behind it: not looked at */
		expect(kind, kind->size, kind->size + more_bytes - 1, 0, "");
	}
	/* no struct is that long: it was not set at all */
	expect(kind, (size_t)1 << 40, 0, -E2BIG, "struct_size is 1099511627776");
	expect(kind, SIZE_MAX, 0, -E2BIG, "struct_size is 18446744073709551615");
	expect(kind, kind->size, 0, 0, "");
}
END_TEST

/* --------------------------------------------------------------------------------------- filled in -- */

static int fill_timeline(union given *given)
{
	return fbk_timeline_info(producer.timeline, &given->timeline);
}

static int fill_memory(union given *given)
{
	return fbk_timeline_memory(producer.timeline, &given->memory_of, NULL);
}

static int fill_link(union given *given)
{
	return fbk_link_info(producer.link, &given->info);
}

static const struct filled {
	const char *name;
	size_t size;
	int (*fill)(union given *given);
	size_t at; /* of something that is not zero */
} filled[] = {
	{ "fbk_timeline_info", sizeof(struct fbk_timeline_info), fill_timeline,
	  offsetof(struct fbk_timeline_info, id) },
	{ "fbk_memory", sizeof(struct fbk_memory), fill_memory, offsetof(struct fbk_memory, size) },
	{ "fbk_link_info", sizeof(struct fbk_link_info), fill_link,
	  offsetof(struct fbk_link_info, phase) },
};

#define FILLED (sizeof(filled) / sizeof(filled[0]))

/* The smaller of both, and nothing behind it. */
START_TEST(filled_in)
{
	const struct filled *kind = &filled[_i];
	const size_t sizes[] = { 0,
				 sizeof(size_t),
				 kind->size - 1,
				 kind->size,
				 kind->size + 1,
				 kind->size + TAIL,
				 (size_t)1 << 40,
				 SIZE_MAX };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		union given given, before;
		int error = sizes[i] < kind->size ? -EINVAL : sizes[i] > 4096 ? -E2BIG : 0;
		memset(&given, 0xa5, sizeof(given));
		given.struct_size = sizes[i];
		before = given;
		ck_assert_int_eq(kind->fill(&given), error);
		ck_assert_uint_eq(given.struct_size, sizes[i]);
		size_t from = error == 0 ? kind->size : 0;
		ck_assert_mem_eq(given.bytes + from, before.bytes + from, sizeof(given) - from);
		if (error == 0) {
			ck_assert_uint_ne(given.bytes[kind->at], 0xa5);
			ck_assert_uint_ne(given.bytes[kind->at], 0);
		} else {
			ck_assert(strstr(fbk_error_detail(), "struct_size is") != NULL);
		}
	}
}
END_TEST

/* -------------------------------------------------------------------------------- none is forgotten -- */

static bool is_tested(const char *name)
{
	size_t length = strlen(name);
	for (size_t i = 0; i < KINDS; i++) {
		if (strncmp(kinds[i].name, name, length) == 0 &&
		    (kinds[i].name[length] == '\0' || kinds[i].name[length] == ',')) {
			return true;
		}
	}
	for (size_t i = 0; i < FILLED; i++) {
		if (strcmp(filled[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

/* How many structs of a header begin with their size; each must be in a table above. */
static unsigned int header_check(const char *path)
{
	unsigned int found = 0;
	char line[512], name[64] = "";
	FILE *file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		char next[64];
		int end = 0;
		if (name[0] && strcmp(line, "\tsize_t struct_size;\n") == 0) {
			ck_assert_msg(is_tested(name), "struct %s is not tested here", name);
			found++;
		}
		name[0] = '\0';
		if (sscanf(line, "struct %63s {%n", next, &end) == 1 && end > 0) {
			strcpy(name, next);
		}
	}
	fclose(file);
	return found;
}

START_TEST(all_of_them)
{
	char pattern[512];
	glob_t headers;
	unsigned int found = 0;
	snprintf(pattern, sizeof(pattern), "%s/client/include/*.h", getenv("FBK_SOURCE_DIR"));
	ck_assert_int_eq(glob(pattern, 0, NULL, &headers), 0);
	for (size_t i = 0; i < headers.gl_pathc; i++) {
		found += header_check(headers.gl_pathv[i]);
	}
	globfree(&headers);
	ck_assert_uint_ge(found, 9);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, read_in, 0, KINDS);
	tcase_add_loop_test(tcase, filled_in, 0, FILLED);
	tcase_add_test(tcase, all_of_them);
}

int main(void)
{
	return suite_main("struct_size", add);
}
