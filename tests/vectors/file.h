// SPDX-License-Identifier: MIT
/* The files in proto/vectors: their README has the format. Owned by the test; one thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define VECTORS_MAX     256
#define VECTOR_HEX_MAX  4096
#define VECTOR_TEXT_MAX 8192

/* Say so and abort, in a test and out of it. */
__attribute__((format(printf, 1, 2), noreturn)) void vectors_fail(const char *format, ...);
#define CHECK(condition, ...)                      \
	do {                                       \
		if (!(condition)) {                \
			vectors_fail(__VA_ARGS__); \
		}                                  \
	} while (0)

struct vector {
	char name[64];
	char kind[32]; /* Request or Message; of a layout its size */
	char how[16];  /* "", fds=N, decode-only or refused */
	int line;
	char text[VECTOR_TEXT_MAX];
	uint8_t bytes[VECTOR_HEX_MAX];
	size_t size;
};

/* Vectors of a file in $FBK_SOURCE_DIR/proto/vectors; static memory. A fault in it is vectors_fail(). */
const struct vector *vectors_read(const char *file, size_t *ret_count);

/* Write the file again, with the bytes that `fn` gives to each vector, its size or -1: as they are. */
typedef int vector_fn(const struct vector *vector, uint8_t ret_bytes[VECTOR_HEX_MAX]);
void vectors_renew(const char *file, vector_fn *fn);
