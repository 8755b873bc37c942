// SPDX-License-Identifier: MIT
#include "file.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 32

static struct vector vectors[VECTORS_MAX];

void vectors_fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

static FILE *file_open(const char *name, const char *suffix, const char *mode, char ret_path[512])
{
	const char *source = getenv("FBK_SOURCE_DIR");
	snprintf(ret_path, 512, "%s/proto/vectors/%s%s", source ? source : ".", name, suffix);
	FILE *file = fopen(ret_path, mode);
	CHECK(file != NULL, "%s: %m", ret_path);
	return file;
}

static void hex_add(struct vector *vector, const char *digits, const char *path, int line)
{
	unsigned int byte;
	int length;
	for (; sscanf(digits, " %2x%n", &byte, &length) == 1; digits += length) {
		CHECK(vector->size < VECTOR_HEX_MAX, "vector->size < VECTOR_HEX_MAX");
		vector->bytes[vector->size++] = (uint8_t)byte;
	}
	CHECK(digits[strspn(digits, " \n")] == '\0', "%s:%d: not hex", path, line);
}

const struct vector *vectors_read(const char *name, size_t *ret_count)
{
	char path[512], line[1024];
	size_t count = 0;
	int number = 0;
	FILE *file = file_open(name, "", "re", path);
	memset(vectors, 0, sizeof(vectors));
	while (fgets(line, sizeof(line), file)) {
		struct vector *vector = &vectors[count > 0 ? count - 1 : 0];
		number++;
		if (line[0] == '#' || line[0] == '\n') {
			continue;
		}
		if (strncmp(line, "vector ", 7) == 0 || strncmp(line, "layout ", 7) == 0) {
			CHECK(count < VECTORS_MAX, "count < VECTORS_MAX");
			vector = &vectors[count++];
			vector->line = number;
			CHECK(sscanf(line, "%*s %63s %31s %15s", vector->name, vector->kind,
				     vector->how) >= 2,
			      "%s:%d: no name or kind", path, number);
			continue;
		}
		CHECK(count > 0, "%s:%d: of no vector", path, number);
		if (strncmp(line, "hex", 3) == 0 && !isalpha((unsigned char)line[3])) {
			hex_add(vector, line + 3, path, number);
		} else {
			CHECK(strlen(vector->text) + strlen(line) < VECTOR_TEXT_MAX,
			      "strlen(vector->text) + strlen(line) < VECTOR_TEXT_MAX");
			strcat(vector->text, line);
		}
	}
	fclose(file);
	*ret_count = count;
	return vectors;
}

static void hex_write(FILE *file, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size || i == 0; i++) {
		fprintf(file, i % LINE_BYTES == 0 ? "%shex" : "", i > 0 ? "\n" : "");
		if (i < size) {
			fprintf(file, " %02x", bytes[i]);
		}
	}
	fputc('\n', file);
}

void vectors_renew(const char *name, vector_fn *fn)
{
	char path[512], fresh[512], line[1024];
	size_t count, next = 0;
	static uint8_t bytes[VECTOR_HEX_MAX];
	vectors_read(name, &count);
	FILE *in = file_open(name, "", "re", path), *out = file_open(name, ".new", "we", fresh);
	int made = -1;
	while (true) {
		char *more = fgets(line, sizeof(line), in);
		bool begins = more && (strncmp(line, "vector ", 7) == 0 ||
				       strncmp(line, "layout ", 7) == 0);
		bool ends = !more || begins || line[0] == '\n';
		if (ends && made >= 0) {
			hex_write(out, bytes, (size_t)made);
			made = -1;
		}
		if (!more) {
			break;
		}
		if (begins) {
			made = fn(&vectors[next++], bytes);
		}
		if (made < 0 || strncmp(line, "hex", 3) != 0) {
			fputs(line, out);
		}
	}
	fclose(in);
	CHECK(fclose(out) == 0, "fclose(out) == 0");
	CHECK(rename(fresh, path) == 0, "rename(fresh, path) == 0");
}
