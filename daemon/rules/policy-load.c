// SPDX-License-Identifier: MIT
/*
 * From a file to text to libconfig's tree. libconfig gets text only, never a path: it ends the process
 * when it can't read a path, a directory for example.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy-files.h"
#include "policy-rule.h"
#include "policy.h"

#define LONG_DIGITS 10 /* a number with fewer digits fits in 31 bits */

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

__attribute__((format(printf, 4, 5))) static int refuse(int error, char *ret_error,
							size_t error_size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(ret_error, error_size, format, arguments);
	va_end(arguments);
	return error;
}

static size_t string_length(const char *at)
{
	size_t i = 1;

	while (at[i] && at[i] != '"') {
		i += at[i] == '\\' && at[i + 1] ? 2 : 1;
	}
	return at[i] ? i + 1 : 0;
}

static size_t comment_length(const char *at)
{
	if (at[0] == '/' && at[1] == '*') {
		const char *end = strstr(at + 2, "*/");

		return end ? (size_t)(end + 2 - at) : 0;
	}
	return strcspn(at, "\n");
}

/* The length of a comment, string, name or number in libconfig's syntax; 0 when it has no end. Any
 * other character is a token of its own. */
static size_t token_length(const char *at)
{
	if (at[0] == '#' || (at[0] == '/' && (at[1] == '/' || at[1] == '*'))) {
		return comment_length(at);
	}
	if (at[0] == '"') {
		return string_length(at);
	}
	if (strchr(LETTERS "*", at[0])) {
		return strspn(at, LETTERS DIGITS "-_*");
	}
	if (strchr(DIGITS ".", at[0])) {
		return strspn(at, LETTERS DIGITS ".");
	}
	return 1;
}

static unsigned int newlines(const char *at, size_t length)
{
	unsigned int count = 0;

	for (size_t i = 0; i < length; i++) {
		count += at[i] == '\n';
	}
	return count;
}

/*
 * Copies the text, with an L after each integer that may need 64 bits: without it some versions of
 * libconfig silently cut 4294967297 down to 1. Refuses a comment or string without an end, which
 * libconfig would pass over, and @include, which would open paths (see above). Line numbers stay.
 */
static int text_prepare(const char *name, const char *text, char *prepared, char *ret_error,
			size_t error_size)
{
	unsigned int line = 1;

	while (*text) {
		size_t length = token_length(text);

		if (length == 0) {
			return refuse(-EINVAL, ret_error, error_size, "%s:%u: this %s has no end",
				      name, line, *text == '"' ? "string" : "comment");
		}
		if (*text == '@') {
			return refuse(-EINVAL, ret_error, error_size,
				      "%s:%u: @include is not supported: add files to policy.d",
				      name, line);
		}
		prepared = mempcpy(prepared, text, length);
		if (length >= LONG_DIGITS && strspn(text, DIGITS) == length) {
			*prepared++ = 'L';
		}
		line += newlines(text, length);
		text += length;
	}
	*prepared = '\0';
	return 0;
}

/* Adds a part, whose name is the policy's own copy. */
static int part_load(struct policy *policy, const struct policy_part *part, const char *name,
		     char *ret_error, size_t error_size)
{
	size_t size = strlen(part->text);
	char *prepared = malloc(size + size / LONG_DIGITS + 1);
	config_t config;
	int r;

	if (!prepared) {
		return refuse(-ENOMEM, ret_error, error_size, "%s: %s", name, strerror(ENOMEM));
	}
	config_init(&config);
	r = text_prepare(name, part->text, prepared, ret_error, error_size);
	if (r == 0 && !config_read_string(&config, prepared)) {
		r = refuse(-EINVAL, ret_error, error_size, "%s:%d: %s", name,
			   config_error_line(&config), config_error_text(&config));
	}
	if (r == 0) {
		r = policy_read(policy, &config, name, part->whole, ret_error, error_size);
	}
	config_destroy(&config);
	free(prepared);
	return r;
}

static int parts_load(struct policy *policy, const struct policy_part *parts, size_t count,
		      char *ret_error, size_t error_size)
{
	int r = 0;

	policy_init(policy);
	policy->files = calloc(count + 1, sizeof(*policy->files));
	for (size_t i = 0; r == 0 && i < count; i++) {
		char *name = policy->files ? strdup(parts[i].name) : NULL;

		if (!name) {
			return refuse(-ENOMEM, ret_error, error_size, "%s: %s", parts[i].name,
				      strerror(ENOMEM));
		}
		policy->files[policy->file_count++] = name;
		if (parts[i].whole) {
			policy->name = name;
		}
		r = part_load(policy, &parts[i], name, ret_error, error_size);
	}
	return r;
}

int policy_load_parts(const struct policy_part *parts, size_t count, struct policy **ret_policy,
		      char *ret_error, size_t error_size)
{
	struct policy *policy = calloc(1, sizeof(*policy));
	int r = policy ? parts_load(policy, parts, count, ret_error, error_size)
		       : refuse(-ENOMEM, ret_error, error_size, "%s", strerror(ENOMEM));

	if (r < 0) {
		policy_destroy(policy);
		return r;
	}
	*ret_policy = policy;
	return 0;
}

int policy_load_string(const char *name, const char *text, struct policy **ret_policy,
		       char *ret_error, size_t error_size)
{
	const struct policy_part part = { .name = name, .text = text, .whole = true };

	return policy_load_parts(&part, 1, ret_policy, ret_error, error_size);
}

/* Reads up to `size` bytes; returns how many, or a negative errno. */
static ssize_t file_read(int fd, char *buffer, size_t size)
{
	size_t used = 0;

	while (used < size) {
		ssize_t n = read(fd, buffer + used, size - used);

		if (n == 0) {
			break;
		}
		if (n < 0 && errno != EINTR) {
			return -errno;
		}
		used += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)used;
}

/* Loads all of a regular file and ends it with a NUL; a file that contains a NUL is refused. */
static int file_load(const char *path, char *buffer, size_t size, char *ret_error,
		     size_t error_size)
{
	struct stat status;
	ssize_t used;
	int r = 0;
	/* O_NONBLOCK: opening a fifo must not wait for a writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &status) < 0) {
		r = refuse(-errno, ret_error, error_size, "%s: %s", path, strerror(errno));
		goto out;
	}
	if (!S_ISREG(status.st_mode)) {
		r = refuse(-EINVAL, ret_error, error_size, "%s: not a regular file", path);
		goto out;
	}
	used = file_read(fd, buffer, size);
	if (used < 0) {
		r = refuse((int)used, ret_error, error_size, "%s: %s", path, strerror((int)-used));
	} else if ((size_t)used == size) {
		r = refuse(-EFBIG, ret_error, error_size, "%s: longer than %d bytes", path,
			   POLICY_FILE_MAX);
	} else {
		buffer[used] = '\0';
		size_t text = strlen(buffer);

		if (text < (size_t)used) {
			r = refuse(-EINVAL, ret_error, error_size, "%s:%u: a NUL byte", path,
				   newlines(buffer, text) + 1);
		}
	}
out:
	if (fd >= 0) {
		close(fd);
	}
	return r;
}

int policy_file_read(const char *path, char **ret_text, char *ret_error, size_t error_size)
{
	const size_t size = POLICY_FILE_MAX + 1;
	char *text = malloc(size);
	int r = text ? file_load(path, text, size, ret_error, error_size)
		     : refuse(-ENOMEM, ret_error, error_size, "%s: %s", path, strerror(ENOMEM));

	if (r < 0) {
		free(text);
		return r;
	}
	char *fitting = realloc(text, strlen(text) + 1);
	*ret_text = fitting ? fitting : text;
	return 0;
}

int policy_load_file(const char *path, struct policy **ret_policy, char *ret_error,
		     size_t error_size)
{
	char *text;
	int r = policy_file_read(path, &text, ret_error, error_size);

	if (r == 0) {
		r = policy_load_string(path, text, ret_policy, ret_error, error_size);
		free(text);
	}
	return r;
}
