// SPDX-License-Identifier: MIT
#include "build.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

#define CHILD_PATIENCE_S 600
#define OUTPUT_SIZE      (256 * 1024) /* JSON of one row takes 2 KiB */

struct child {
	pid_t pid;
	int output; /* a pipe */
	int errors; /* a memfd */
};

/* ---------------------------------------------------------------------------------- children -- */

/* A build directory may have been moved or copied: then the run path in its programs leads elsewhere. */
static void library_path_set(const struct build *build)
{
	char path[2 * PATH_MAX];
	const char *before = getenv("LD_LIBRARY_PATH");
	snprintf(path, sizeof(path), "%s/lib%s%s", build->directory, before ? ":" : "",
		 before ? before : "");
	setenv("LD_LIBRARY_PATH", path, 1);
}

static _Noreturn void child_exec(const struct build *build, char **arguments,
				 const struct child *child)
{
	char path[PATH_MAX + 32];
	snprintf(path, sizeof(path), "%s/bin/fence-bench", build->directory);
	library_path_set(build);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	dup2(child->output, STDOUT_FILENO);
	dup2(child->errors, STDERR_FILENO);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* its daemon and partners end with it in the same way */
	execv(path, arguments);
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	_exit(127);
}

static int child_start(const struct build *build, char **arguments, struct child *ret_child)
{
	int ends[2];
	struct child child = { .errors = memfd_create("fence-bench", MFD_CLOEXEC) };
	if (child.errors < 0) {
		return bench_fail("memfd_create: %s", strerror(errno));
	}
	if (pipe2(ends, O_CLOEXEC) < 0) {
		close(child.errors);
		return bench_fail("pipe: %s", strerror(errno));
	}
	child.output = ends[1];
	fflush(NULL);
	child.pid = fork();
	if (child.pid == 0) {
		child_exec(build, arguments, &child);
	}
	close(ends[1]);
	child.output = ends[0];
	if (child.pid < 0) {
		close(child.output);
		close(child.errors);
		return bench_fail("fork: %s", strerror(errno));
	}
	*ret_child = child;
	return 0;
}

/* Until it closes its standard output. */
static int child_read(const struct child *child, char *ret_text)
{
	uint64_t deadline = host_now() + CHILD_PATIENCE_S * UINT64_C(1000000000);
	size_t used = 0;
	for (;;) {
		struct pollfd entry = { .fd = child->output, .events = POLLIN };
		uint64_t now = host_now();
		int wait_ms = now < deadline ? (int)((deadline - now) / 1000000) + 1 : 0;
		if (poll(&entry, 1, wait_ms) == 0) {
			return bench_fail("it took longer than %d seconds", CHILD_PATIENCE_S);
		}
		ssize_t size = read(child->output, ret_text + used, OUTPUT_SIZE - 1 - used);
		if (size < 0 && errno == EINTR) {
			continue;
		}
		if (size <= 0) {
			ret_text[used] = '\0';
			return 0;
		}
		used += (size_t)size;
		if (used == OUTPUT_SIZE - 1) {
			return bench_fail("it printed more than %d bytes", OUTPUT_SIZE);
		}
	}
}

/* The last line that it wrote to standard error. */
static void child_complaint(const struct child *child, char *ret_text, size_t size)
{
	off_t end = lseek(child->errors, 0, SEEK_END);
	off_t start = end > (off_t)size - 1 ? end - (off_t)size + 1 : 0;
	ssize_t got = pread(child->errors, ret_text, size - 1, start);
	ret_text[got > 0 ? got : 0] = '\0';
	size_t length = strlen(ret_text);
	while (length > 0 && ret_text[length - 1] == '\n') {
		ret_text[--length] = '\0';
	}
	const char *line = strrchr(ret_text, '\n');
	if (line) {
		memmove(ret_text, line + 1, strlen(line));
	}
}

/* The exit status, with what it printed in `ret_text` (OUTPUT_SIZE) and its last complaint as
 * bench_reason(); or negative. */
static int build_run(const struct build *build, char **arguments, char *ret_text)
{
	struct child child = { 0 };
	char complaint[REASON_SIZE];
	int status;
	int r = child_start(build, arguments, &child);
	if (r < 0) {
		return r;
	}
	r = child_read(&child, ret_text);
	if (r < 0) {
		kill(child.pid, SIGKILL);
	}
	while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
	}
	if (r == 0 && WIFSIGNALED(status)) {
		r = bench_fail("%s ended it", strsignal(WTERMSIG(status)));
	} else if (r == 0) {
		child_complaint(&child, complaint, sizeof(complaint));
		bench_fail("%s", complaint);
		r = WEXITSTATUS(status);
	}
	close(child.output);
	close(child.errors);
	return r;
}

/* ------------------------------------------------------------------------------------ builds -- */

static int own_directory(char *ret_path)
{
	ssize_t length = readlink("/proc/self/exe", ret_path, PATH_MAX - 1);
	if (length <= 0) {
		return bench_fail("/proc/self/exe: %s", strerror(errno));
	}
	ret_path[length] = '\0';
	for (int parts = 0; parts < 2; parts++) { /* bin/fence-bench */
		char *slash = strrchr(ret_path, '/');
		if (slash) {
			*slash = '\0';
		}
	}
	return 0;
}

/* Without its own daemon it would measure the one in $PATH. */
static int directory_check(const char *directory)
{
	static const char *const programs[] = { "fence-bench", "fencebrokerd" };
	char path[PATH_MAX + 64];
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		snprintf(path, sizeof(path), "%s/bin/%s", directory, programs[i]);
		if (access(path, X_OK) == 0) {
			continue;
		}
		int error = errno;
		char nested[PATH_MAX + 64];
		snprintf(nested, sizeof(nested), "%s/build/bin/%s", directory, programs[i]);
		return bench_fail("%s/bin/%s: %s: --against takes the build directory of another "
				  "checkout%s%s%s",
				  directory, programs[i], strerror(error),
				  access(nested, X_OK) == 0 ? ", perhaps " : "",
				  access(nested, X_OK) == 0 ? directory : "",
				  access(nested, X_OK) == 0 ? "/build" : "");
	}
	return 0;
}

static int version_read(struct build *build, char *text)
{
	char *arguments[] = { "fence-bench", "--version", NULL };
	int r = build_run(build, arguments, text);
	if (r < 0) {
		return r;
	}
	if (r != 0 || sscanf(text, "fence-bench %63s", build->version) != 1) {
		return bench_fail("%s/bin/fence-bench --version: status %d, no version",
				  build->directory, r);
	}
	return 0;
}

/* The first word of each line is a row. */
static int rows_read(struct build *build, char *text)
{
	char *arguments[] = { "fence-bench", "--list", NULL };
	int r = build_run(build, arguments, text);
	if (r != 0) {
		return r < 0 ? r
			     : bench_fail("%s/bin/fence-bench --list: status %d", build->directory,
					  r);
	}
	char *rest;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		void *names = reallocarray(build->row_names, build->row_count + 1, BUILD_NAME_SIZE);
		if (!names) {
			return bench_fail("no memory");
		}
		build->row_names = names;
		snprintf(build->row_names[build->row_count++], BUILD_NAME_SIZE, "%.*s",
			 (int)strcspn(line, " "), line);
	}
	return 0;
}

int build_init(struct build *build, const char *directory)
{
	*build = (struct build){ 0 };
	int r = 0;
	if (!directory) {
		r = own_directory(build->directory);
	} else if (!realpath(directory, build->directory)) {
		r = bench_fail("%s: %s", directory, strerror(errno));
	}
	if (r == 0) {
		r = directory_check(build->directory);
	}
	char *text = r == 0 ? malloc(OUTPUT_SIZE) : NULL;
	if (r == 0 && !text) {
		r = bench_fail("no memory");
	}
	if (r == 0) {
		r = version_read(build, text);
	}
	if (r == 0) {
		r = rows_read(build, text);
	}
	free(text);
	return r;
}

void build_finish(struct build *build)
{
	free(build->row_names);
	*build = (struct build){ 0 };
}

bool build_has_row(const struct build *build, const char *row)
{
	for (size_t i = 0; i < build->row_count; i++) {
		if (strcmp(build->row_names[i], row) == 0) {
			return true;
		}
	}
	return false;
}

/* ----------------------------------------------------------------------------------- figures -- */

static const char *text_of(struct json_object *row, const char *key)
{
	const char *text = json_object_get_string(json_object_object_get(row, key));
	return text ? text : "";
}

/* 0 where it is null */
static double number_of(struct json_object *row, const char *key)
{
	return json_object_get_double(json_object_object_get(row, key));
}

static void figures_fail(struct figures *figures, const char *reason)
{
	*figures = (struct figures){ .state = RESULT_FAILED };
	snprintf(figures->reason, sizeof(figures->reason), "%s",
		 reason[0] ? reason : "its fence-bench printed no figures");
}

static void figures_take(struct json_object *row, struct figures *figures)
{
	const char *state = text_of(row, "state");
	*figures = (struct figures){ .ours = number_of(row, "ours"), .raw = number_of(row, "raw") };
	snprintf(figures->unit, sizeof(figures->unit), "%s", text_of(row, "unit"));
	snprintf(figures->kind, sizeof(figures->kind), "%s", text_of(row, "ratio_is"));
	snprintf(figures->reason, sizeof(figures->reason), "%s", text_of(row, "reason"));
	figures->state = strcmp(state, "done") == 0      ? RESULT_DONE
			 : strcmp(state, "skipped") == 0 ? RESULT_SKIPPED
							 : RESULT_FAILED;
}

static void json_take(const char *text, const char *name, struct figures *figures)
{
	struct json_object *report = json_tokener_parse(text);
	struct json_object *rows = report ? json_object_object_get(report, "rows") : NULL;
	struct json_object *row = rows && json_object_is_type(rows, json_type_array)
					  ? json_object_array_get_idx(rows, 0)
					  : NULL;
	if (row && strcmp(text_of(row, "name"), name) == 0) {
		figures_take(row, figures);
	} else {
		figures_fail(figures, bench_reason());
	}
	json_object_put(report);
}

void build_measure(const struct build *build, const char *row, struct figures *ret_figures)
{
	char rounds[32];
	char *text = malloc(OUTPUT_SIZE);
	char *arguments[] = { "fence-bench", "--json", "--quick", (char *)row, NULL, NULL };
	if (!text) {
		figures_fail(ret_figures, "no memory");
		return;
	}
	if (bench_options.rounds > 0) {
		snprintf(rounds, sizeof(rounds), "--rounds=%u", bench_options.rounds);
		arguments[4] = rounds;
	}
	if (build_run(build, arguments, text) < 0) {
		figures_fail(ret_figures, bench_reason());
	} else {
		json_take(text, row, ret_figures);
	}
	free(text);
}
