// SPDX-License-Identifier: MIT
/*
 * proto/vectors: what another implementation checks itself against is what ours packs and unpacks, and how our pages lie
 * in memory. Each message, and each field of each, is in a vector.
 *
 *	test-unit-vectors --renew           write the hex of all vectors again, from their text
 *	test-unit-vectors --draft           print a vector for each message that has none
 */
#include "tests/vectors/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/fencebroker.pb-c.h"
#include "proto/page.h"
#include "proto/wire.h"
#include "tests/expect.h"
#include "tests/suite.h"
#include "tests/vectors/message.h"

static const char *const message_files[] = { "requests.txt", "replies.txt", "events.txt" };

static const ProtobufCMessageDescriptor *kind_of(const struct vector *vector)
{
	return strcmp(vector->kind, "Request") == 0 ? &fbk__wire__request__descriptor
						    : &fbk__wire__message__descriptor;
}

static char *message_text(const ProtobufCMessage *message)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	message_print(file, message, 0);
	fclose(file);
	return text;
}

static ProtobufCMessage *text_message(const struct vector *vector)
{
	char error[128];
	ProtobufCMessage *message = message_parse(kind_of(vector), vector->text, error);
	CHECK(message != NULL, "vector %s: %s", vector->name, error);
	return message;
}

/* Whether its bytes are those that are packed, in other words the only right ones. */
static bool is_packed(const struct vector *vector)
{
	return vector->how[0] == '\0' || strncmp(vector->how, "fds=", 4) == 0;
}

static int text_pack(const struct vector *vector, uint8_t ret_bytes[VECTOR_HEX_MAX])
{
	if (!is_packed(vector)) {
		return -1;
	}
	ProtobufCMessage *message = text_message(vector);
	static uint8_t packed[WIRE_PACKET_MAX];
	ssize_t size = wire_pack(message, packed);
	CHECK(size > 0 && size <= VECTOR_HEX_MAX, "size > 0 && size <= VECTOR_HEX_MAX");
	memcpy(ret_bytes, packed, (size_t)size);
	protobuf_c_message_free_unpacked(message, NULL);
	return (int)size;
}

/* ------------------------------------------------------------------------------------------ messages -- */

/* As the daemon and the library unpack: with memory that is bounded by the packet. */
static ProtobufCMessage *unpack(struct wire_arena *arena, const struct vector *vector)
{
	static _Alignas(16) uint8_t memory[WIRE_ARENA_SIZE];
	wire_arena_init(arena, memory, sizeof(memory));
	return protobuf_c_message_unpack(kind_of(vector), &arena->allocator, vector->size,
					 vector->bytes);
}

static void check_unpacked(const struct vector *vector)
{
	struct wire_arena arena;
	ProtobufCMessage *message = unpack(&arena, vector);
	if (strcmp(vector->how, "refused") == 0) {
		ck_assert_msg(message == NULL, "vector %s is unpacked", vector->name);
		return;
	}
	ck_assert_msg(message != NULL, "vector %s is not unpacked", vector->name);
	char *text = message_text(message);
	ck_assert_msg(strcmp(text, vector->text) == 0, "vector %s, line %d, is unpacked to\n%s",
		      vector->name, vector->line, text);
	free(text);
}

START_TEST(messages)
{
	static uint8_t packed[VECTOR_HEX_MAX];
	size_t count;
	const struct vector *vectors = vectors_read(message_files[_i], &count);
	EXPECT(count > 0);
	for (size_t i = 0; i < count; i++) {
		check_unpacked(&vectors[i]);
		int size = text_pack(&vectors[i], packed);
		ck_assert_msg(size < 0 || ((size_t)size == vectors[i].size &&
					   memcmp(packed, vectors[i].bytes, vectors[i].size) == 0),
			      "vector %s, line %d, is packed to other bytes: --renew, if the "
			      "protocol changed",
			      vectors[i].name, vectors[i].line);
	}
}
END_TEST

/* --------------------------------------------------------------------------------- none is forgotten -- */

#define FIELDS_MAX 1024

static const ProtobufCFieldDescriptor *seen[FIELDS_MAX];
static size_t seen_count;

static bool is_seen(const ProtobufCFieldDescriptor *field)
{
	for (size_t i = 0; i < seen_count; i++) {
		if (seen[i] == field) {
			return true;
		}
	}
	return false;
}

static void see(void *arg, const ProtobufCMessageDescriptor *kind,
		const ProtobufCFieldDescriptor *field)
{
	(void)arg;
	(void)kind;
	if (!is_seen(field)) {
		CHECK(seen_count < FIELDS_MAX, "seen_count < FIELDS_MAX");
		seen[seen_count++] = field;
	}
}

static void see_all(void)
{
	for (size_t f = 0; f < sizeof(message_files) / sizeof(message_files[0]); f++) {
		size_t count;
		const struct vector *vectors = vectors_read(message_files[f], &count);
		for (size_t i = 0; i < count; i++) {
			if (is_packed(&vectors[i])) {
				ProtobufCMessage *message = text_message(&vectors[i]);
				message_walk(message, see, NULL);
				protobuf_c_message_free_unpacked(message, NULL);
			}
		}
	}
}

static unsigned int missing_print(const ProtobufCMessageDescriptor *kind)
{
	unsigned int missing = 0;
	for (unsigned int i = 0; i < kind->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &kind->fields[i];
		if (!is_seen(field)) {
			fprintf(stderr, "no vector has %s.%s\n", kind->name, field->name);
			missing++;
		} else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
			missing += missing_print(field->descriptor);
		}
	}
	return missing;
}

START_TEST(all_fields)
{
	see_all();
	unsigned int missing = missing_print(&fbk__wire__request__descriptor) +
			       missing_print(&fbk__wire__message__descriptor);
	ck_assert_msg(missing == 0, "add them to proto/vectors, and use --renew");
}
END_TEST

static void draft(const ProtobufCMessageDescriptor *kind)
{
	unsigned int choice = 0;
	for (unsigned int i = 0; i < kind->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &kind->fields[i];
		if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)) {
			continue;
		}
		if (!is_seen(field)) {
			printf("vector %s %s\n", field->name, kind->short_name);
			message_draft(stdout, kind, choice, 0);
			printf("hex\n\n");
		}
		choice++;
	}
}

/* --------------------------------------------------------------------------------------------- pages -- */

struct member {
	const char *name;
	size_t offset, size;
};

#define M(type, member)                                                                    \
	{                                                                                  \
#member, offsetof(struct type, member), sizeof(((struct type *)0)->member) \
	}
#define RECTANGLE(type, member) \
	M(type, member.x), M(type, member.y), M(type, member.width), M(type, member.height)

static const struct member header[] = {
	M(fbk_page_header, magic),  M(fbk_page_header, version),
	M(fbk_page_header, kind),   M(fbk_page_header, header_size),
	M(fbk_page_header, stride), M(fbk_page_header, slot_count),
	M(fbk_page_header, size),   M(fbk_page_header, page_id),
	M(fbk_page_header, set_id), M(fbk_page_header, reserved),
};
static const struct member payload[] = {
	M(fbk_payload_slot, payload),    M(fbk_payload_slot, timestamp),
	M(fbk_payload_slot, reserved_a), M(fbk_payload_slot, raw),
	M(fbk_payload_slot, reserved_b),
};
static const struct member control[] = {
	M(fbk_control_slot, monitored),   M(fbk_control_slot, generation),
	M(fbk_control_slot, status),      M(fbk_control_slot, cause),
	M(fbk_control_slot, error),       M(fbk_control_slot, flags),
	M(fbk_control_slot, failed_from), M(fbk_control_slot, shadow),
	M(fbk_control_slot, clock_ticks), M(fbk_control_slot, clock_ns),
	M(fbk_control_slot, clock_mult),  M(fbk_control_slot, clock_shift),
	M(fbk_control_slot, timeline_id), M(fbk_control_slot, reserved),
};
static const struct member cell[] = {
	M(fbk_pair_cell, minimum),  M(fbk_pair_cell, sequence), M(fbk_pair_cell, mapped),
	M(fbk_pair_cell, since_ns), M(fbk_pair_cell, until_ns), M(fbk_pair_cell, reserved),
};
static const struct member frame[] = {
	M(fbk_frame_slot, sequence),
	M(fbk_frame_slot, value),
	M(fbk_frame_slot, timeline),
	M(fbk_frame_slot, incarnation),
	M(fbk_frame_slot, generation),
	M(fbk_frame_slot, flags),
	M(fbk_frame_slot, deadline_ns),
	M(fbk_frame_slot, parts),
	M(fbk_frame_slot, field_order),
	M(fbk_frame_slot, handed_ns),
	M(fbk_frame_slot, reserved_a),
	M(fbk_frame_slot, pts_ns),
	M(fbk_frame_slot, dts_ns),
	M(fbk_frame_slot, duration_ns),
	M(fbk_frame_slot, capture_ns),
	M(fbk_frame_slot, capture),
	M(fbk_frame_slot, transform),
	RECTANGLE(fbk_frame_slot, crop),
	M(fbk_frame_slot, reserved_b),
	M(fbk_frame_slot, planes[0].offset),
	M(fbk_frame_slot, planes[0].used),
	M(fbk_frame_slot, planes[1].offset),
	M(fbk_frame_slot, planes[1].used),
	M(fbk_frame_slot, planes[2].offset),
	M(fbk_frame_slot, planes[2].used),
	M(fbk_frame_slot, planes[3].offset),
	M(fbk_frame_slot, planes[3].used),
	M(fbk_frame_slot, reserved_c),
	M(fbk_frame_slot, user),
	RECTANGLE(fbk_frame_slot, damage[0]),
	RECTANGLE(fbk_frame_slot, damage[1]),
};
static const struct member returned[] = {
	M(fbk_return_slot, returned),    M(fbk_return_slot, taken), M(fbk_return_slot, value),
	M(fbk_return_slot, incarnation), M(fbk_return_slot, kind),  M(fbk_return_slot, result),
	M(fbk_return_slot, reserved),
};
static const struct member frame_head[] = {
	M(fbk_frame_head, stopped),
	M(fbk_frame_head, reserved),
};
static const struct member return_head[] = {
	M(fbk_return_head, pauses),
	M(fbk_return_head, delivery),
	M(fbk_return_head, hold),
	M(fbk_return_head, reserved),
};
static const struct member claim[] = {
	M(fbk_claim_slot, word),
	M(fbk_claim_slot, reserved),
};

#define L(name, type)                                                            \
	{                                                                        \
#name, sizeof(struct type), name, sizeof(name) / sizeof(name[0]) \
	}

static const struct layout {
	const char *name;
	size_t size;
	const struct member *members;
	size_t count;
} layouts[] = {
	L(header, fbk_page_header),    L(payload, fbk_payload_slot),
	L(control, fbk_control_slot),  L(cell, fbk_pair_cell),
	L(frame, fbk_frame_slot),      L(returned, fbk_return_slot),
	L(frame_head, fbk_frame_head), L(return_head, fbk_return_head),
	L(claim, fbk_claim_slot),
};

#define LAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

/* A line of a layout: OFFSET SIZE NAME, and a value if it has one. */
struct row {
	size_t offset, size;
	char name[32];
	bool has_value;
	uint64_t value;
};

static const char *row_read(const char *text, struct row *ret_row)
{
	char value[32] = "";
	const char *end = strchr(text, '\n');
	int fields = sscanf(text, "%zu %zu %31s = %31[^\n]", &ret_row->offset, &ret_row->size,
			    ret_row->name, value);
	CHECK(end && fields >= 3, "end && fields >= 3");
	ret_row->has_value = fields == 4;
	ret_row->value =
		value[0] == '-' ? (uint64_t)strtoll(value, NULL, 0) : strtoull(value, NULL, 0);
	return end + 1;
}

/* Little-endian: the first bytes of a value are those of its word. */
static int layout_pack(const struct vector *vector, uint8_t ret_bytes[VECTOR_HEX_MAX])
{
	size_t size = strtoul(vector->kind, NULL, 10), next = 0;
	struct row row;
	memset(ret_bytes, 0, VECTOR_HEX_MAX);
	CHECK(size > 0 && size <= VECTOR_HEX_MAX, "size > 0 && size <= VECTOR_HEX_MAX");
	for (const char *text = vector->text; *text;) {
		text = row_read(text, &row);
		CHECK(row.offset == next, "layout %s: %s is at %zu, and %zu bytes lie before",
		      vector->name, row.name, row.offset, next);
		next = row.offset + row.size;
		CHECK(next <= size && (!row.has_value || row.size <= sizeof(row.value)),
		      "next <= size && (!row.has_value || row.size <= sizeof(row.value))");
		memcpy(ret_bytes + row.offset, &row.value, row.has_value ? row.size : 0);
	}
	CHECK(next == size, "layout %s: %zu of its %zu bytes are named", vector->name, next, size);
	return (int)size;
}

static void member_check(const struct layout *layout, const struct row *row,
			 const struct vector *vector)
{
	for (size_t i = 0; i < layout->count; i++) {
		const struct member *member = &layout->members[i];
		if (strcmp(member->name, row->name) == 0) {
			uint64_t value = 0;
			ck_assert_uint_eq(member->offset, row->offset);
			ck_assert_uint_eq(member->size, row->size);
			memcpy(&value, vector->bytes + member->offset,
			       row->has_value ? member->size : 0);
			ck_assert_uint_eq(value,
					  row->size < 8 ? row->value & ((1ULL << 8 * row->size) - 1)
							: row->value);
			return;
		}
	}
	ck_assert_msg(strcmp(row->name, "more") == 0, "layout %s: no member %s", layout->name,
		      row->name);
}

START_TEST(pages)
{
	const struct layout *layout = &layouts[_i];
	static uint8_t packed[VECTOR_HEX_MAX];
	size_t count, rows = 0;
	struct row row;
	const struct vector *vector = vectors_read("pages.txt", &count);
	ck_assert_uint_eq(count, LAYOUTS);
	while (strcmp(vector->name, layout->name) != 0) {
		EXPECT(--count > 0);
		vector++;
	}
	ck_assert_uint_eq(strtoul(vector->kind, NULL, 10), layout->size);
	ck_assert_uint_eq((size_t)layout_pack(vector, packed), vector->size);
	ck_assert_mem_eq(packed, vector->bytes, vector->size);
	for (const char *text = vector->text; *text; rows++) {
		text = row_read(text, &row);
		member_check(layout, &row, vector);
	}
	ck_assert_uint_ge(rows, layout->count);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- */

static void add(TCase *tcase)
{
	ADD_LOOP(tcase, messages, message_files);
	tcase_add_test(tcase, all_fields);
	tcase_add_loop_test(tcase, pages, 0, LAYOUTS);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--renew") == 0) {
		for (size_t i = 0; i < sizeof(message_files) / sizeof(message_files[0]); i++) {
			vectors_renew(message_files[i], text_pack);
		}
		vectors_renew("pages.txt", layout_pack);
		return EXIT_SUCCESS;
	}
	if (argc == 2 && strcmp(argv[1], "--draft") == 0) {
		see_all();
		draft(&fbk__wire__request__descriptor);
		draft(&fbk__wire__message__descriptor);
		return EXIT_SUCCESS;
	}
	return suite_main("vectors", add);
}
