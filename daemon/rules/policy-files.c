// SPDX-License-Identifier: MIT
#include "policy-files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".conf"

/* Of the file of the last good policy: a line for each part with its length and name, then its text. */
#define KEPT_NAME  "last-good-policy"
#define KEPT_FIRST "fencebroker policy 1\n"
#define KEPT_PART  "file"
#define KEPT_OWN   "built-in\n"
#define KEPT_LAST  "end\n"

static int refuse(int error, const char *path, const char *what, char *ret_error, size_t error_size)
{
	snprintf(ret_error, error_size, "%s: %s", path, what);
	return error;
}

static int fail(int error, const char *path, char *ret_error, size_t error_size)
{
	return refuse(error, path, strerror(-error), ret_error, error_size);
}

/* Takes the text. */
static void part_add(struct policy_files *files, char *name, char *text, bool whole)
{
	files->parts[files->count++] =
		(struct policy_part){ .name = name, .text = text, .whole = whole };
}

static int built_in_add(struct policy_files *files, const struct policy_source *source)
{
	char *name = strdup(POLICY_BUILT_IN);
	char *text = strdup(source->built_in);
	if (!name || !text) {
		free(name);
		free(text);
		return -ENOMEM;
	}
	part_add(files, name, text, true);
	return 0;
}

static int file_add(struct policy_files *files, const char *path, bool whole, char *ret_error,
		    size_t error_size)
{
	char *text;
	if (files->count == POLICY_FILES_MAX) {
		return refuse(-EFBIG, path, "a policy has at most 256 files", ret_error,
			      error_size);
	}
	int r = policy_file_read(path, &text, ret_error, error_size);
	if (r < 0) {
		return r;
	}
	char *name = strdup(path);
	files->total += strlen(text) + strlen(path) + 64;
	if (!name || files->total > POLICY_TOTAL_MAX) {
		free(text);
		free(name);
		return name ? refuse(-EFBIG, path, "with it the files have more than 1 MiB",
				     ret_error, error_size)
			    : fail(-ENOMEM, path, ret_error, error_size);
	}
	part_add(files, name, text, whole);
	return 0;
}

/* ------------------------------------------------------------------------------- directories -- */

struct found {
	char *paths[POLICY_FILES_MAX];
	size_t count;
};

static const char *base_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

static bool found_has(const struct found *found, const char *name)
{
	for (size_t i = 0; i < found->count; i++) {
		if (strcmp(base_name(found->paths[i]), name) == 0) {
			return true;
		}
	}
	return false;
}

static bool name_counts(const char *name)
{
	size_t length = strlen(name);
	return name[0] != '.' && length > strlen(SUFFIX) &&
	       strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

/* The first directory that has a name counts. */
static int found_add(struct found *found, const char *directory, const char *name, char *ret_error,
		     size_t error_size)
{
	if (!name_counts(name) || found_has(found, name)) {
		return 0;
	}
	if (found->count == POLICY_FILES_MAX) {
		return refuse(-EFBIG, directory, "a policy has at most 256 files", ret_error,
			      error_size);
	}
	if (asprintf(&found->paths[found->count], "%s/%s", directory, name) < 0) {
		return fail(-ENOMEM, directory, ret_error, error_size);
	}
	found->count++;
	return 0;
}

static int directory_find(struct found *found, const char *path, char *ret_error, size_t error_size)
{
	const struct dirent *entry;
	int r = 0;
	DIR *directory = opendir(path);
	if (!directory) {
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : fail(-errno, path, ret_error, error_size);
	}
	errno = 0;
	while (r == 0 && (entry = readdir(directory))) {
		r = found_add(found, path, entry->d_name, ret_error, error_size);
		errno = 0;
	}
	if (r == 0 && errno != 0) {
		r = fail(-errno, path, ret_error, error_size);
	}
	closedir(directory);
	return r;
}

static int by_base_name(const void *a, const void *b)
{
	return strcmp(base_name(*(char *const *)a), base_name(*(char *const *)b));
}

/* As for systemd: a link to /dev/null, or an empty file, only hides those of the same name. */
static bool is_mask(const char *path)
{
	struct stat status, null;
	return stat(path, &status) == 0 &&
	       ((S_ISREG(status.st_mode) && status.st_size == 0) ||
		(S_ISCHR(status.st_mode) && stat("/dev/null", &null) == 0 &&
		 status.st_rdev == null.st_rdev));
}

static int drop_ins_add(struct policy_files *files, const struct policy_source *source,
			char *ret_error, size_t error_size)
{
	struct found found = { .count = 0 };
	int r = 0;
	for (const char *const *path = source->directories; r == 0 && path && *path; path++) {
		r = directory_find(&found, *path, ret_error, error_size);
	}
	qsort(found.paths, found.count, sizeof(found.paths[0]), by_base_name);
	for (size_t i = 0; i < found.count; i++) {
		if (r == 0 && !is_mask(found.paths[i])) {
			r = file_add(files, found.paths[i], false, ret_error, error_size);
		}
		free(found.paths[i]);
	}
	return r;
}

/* A file that exists and can't be read is an error, like one whose path can't be followed. */
static bool is_absent(const char *path)
{
	struct stat status;
	return stat(path, &status) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

/*
 * The built-in policy stands in for a file that is missing. Its rules come last then, where those of drop-ins can decide
 * before them; its settings and limits are the defaults anyway.
 */
int policy_files_collect(struct policy_files *files, const struct policy_source *source,
			 char *ret_error, size_t error_size)
{
	bool absent = !source->alone && is_absent(source->path);
	int r = absent ? 0 : file_add(files, source->path, true, ret_error, error_size);
	if (r == 0 && !source->alone) {
		r = drop_ins_add(files, source, ret_error, error_size);
	}
	if (r == 0 && absent && built_in_add(files, source) < 0) {
		r = fail(-ENOMEM, POLICY_BUILT_IN, ret_error, error_size);
	}
	return r;
}

void policy_files_clear(struct policy_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		free((char *)(uintptr_t)files->parts[i].name);
		free((char *)(uintptr_t)files->parts[i].text);
	}
	*files = (struct policy_files){ .count = 0 };
}

/* -------------------------------------------------------------------------- the last good one -- */

static bool is_built_in(const struct policy_part *part)
{
	return strcmp(part->name, POLICY_BUILT_IN) == 0;
}

static int kept_write(FILE *file, const struct policy_files *files)
{
	fputs(KEPT_FIRST, file);
	for (size_t i = 0; i < files->count; i++) {
		const struct policy_part *part = &files->parts[i];
		if (is_built_in(part)) { /* that of the program that recalls it */
			fputs(KEPT_OWN, file);
		} else {
			fprintf(file, KEPT_PART " %zu %d %zu %s\n", strlen(part->text), part->whole,
				strlen(part->name), part->name);
			fputs(part->text, file);
		}
	}
	fputs(KEPT_LAST, file);
	return fflush(file) != 0 || ferror(file) || fsync(fileno(file)) < 0 ? -errno : 0;
}

static int file_replace(int directory, const char *temporary, const struct policy_files *files)
{
	int fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file) {
		int error = -errno;
		if (fd >= 0) {
			close(fd);
		}
		return error;
	}
	int r = kept_write(file, files);
	fclose(file);
	if (r == 0 && renameat(directory, temporary, directory, KEPT_NAME) < 0) {
		r = -errno;
	}
	if (r < 0) {
		unlinkat(directory, temporary, 0);
		return r;
	}
	return fsync(directory) < 0 ? -errno : 0;
}

/* The whole file that is there, ended by a NUL; NULL: none. */
static char *kept_load(int directory, size_t *ret_size)
{
	const size_t room = POLICY_TOTAL_MAX + 4096;
	int fd = openat(directory, KEPT_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char *text = fd < 0 ? NULL : malloc(room + 1);
	size_t used = 0;
	ssize_t n = 1;
	while (text && n > 0 && used < room) {
		n = read(fd, text + used, room - used);
		used += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0) {
		close(fd);
	}
	if (n < 0) {
		free(text);
		return NULL;
	}
	if (text) {
		text[used] = '\0';
		*ret_size = used;
	}
	return text;
}

static int state_open(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Most reloads change nothing: then nothing is written. */
static bool kept_is(int directory, const struct policy_files *files)
{
	char *wanted = NULL;
	size_t wanted_size = 0, size = 0;
	char *text = kept_load(directory, &size);
	FILE *memory = text ? open_memstream(&wanted, &wanted_size) : NULL;
	if (memory) {
		kept_write(memory, files);
		fclose(memory);
	}
	bool same = memory && wanted && size == wanted_size && memcmp(text, wanted, size) == 0;
	free(wanted);
	free(text);
	return same;
}

int policy_files_keep(const struct policy_files *files, const char *directory)
{
	int fd = state_open(directory);
	if (fd < 0) {
		return fd;
	}
	int r = kept_is(fd, files) ? 0 : file_replace(fd, KEPT_NAME ".new", files);
	close(fd);
	return r;
}

/* One part of the text at `*at`, which goes on behind it. 1: that was the last. */
static int part_recall(struct policy_files *files, const struct policy_source *source, char **at,
		       const char *end)
{
	size_t length, name_length;
	int whole, used = 0;
	if (strcmp(*at, KEPT_LAST) == 0) {
		return 1;
	}
	if (files->count == POLICY_FILES_MAX + 1) {
		return -EBADMSG;
	}
	if (strncmp(*at, KEPT_OWN, strlen(KEPT_OWN)) == 0) {
		*at += strlen(KEPT_OWN);
		return built_in_add(files, source);
	}
	if (sscanf(*at, KEPT_PART " %7zu %1d %4zu %n", &length, &whole, &name_length, &used) != 3 ||
	    used == 0 || length + name_length + 1 > (size_t)(end - *at - used)) {
		return -EBADMSG;
	}
	char *name = strndup(*at + used, name_length);
	char *text = strndup(*at + used + name_length + 1, length);
	if (!name || !text) {
		free(name);
		free(text);
		return -ENOMEM;
	}
	part_add(files, name, text, whole);
	*at += (size_t)used + name_length + 1 + length;
	return 0;
}

int policy_files_recall(struct policy_files *files, const struct policy_source *source)
{
	int directory = state_open(source->state);
	if (directory < 0) {
		return directory;
	}
	size_t size = 0;
	char *text = kept_load(directory, &size);
	close(directory);
	if (!text) {
		return -ENOENT;
	}
	char *at = text + strlen(KEPT_FIRST);
	int r = strncmp(text, KEPT_FIRST, strlen(KEPT_FIRST)) == 0 ? 0 : -EBADMSG;
	while (r == 0) {
		r = part_recall(files, source, &at, text + size);
	}
	free(text);
	return r < 0 ? r : 0;
}
