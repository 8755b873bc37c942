// SPDX-License-Identifier: MIT
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#include "clock.h"
#include "outlet.h"
#include "proto/container.h"

#define SELDOM_NS          (10 * NS_PER_S)
#define FINISH_PATIENCE_NS (1 * NS_PER_S)
#define LINES_MAX          128 /* that nobody has read yet */
#define LINE_MAX_SIZE      512
#define FIELDS_MAX         5
#define FIELD_SIZE         128

static int log_verbose;

void log_set_verbose(int verbose)
{
	log_verbose = verbose;
}

/* The service manager names the socket that it passed as stderr. Stderr may have been redirected since. */
static bool stderr_is_journal(void)
{
	static int answer = -1; /* the outlet's thread's */
	if (answer < 0) {
		const char *stream = getenv("JOURNAL_STREAM");
		unsigned long long device, inode;
		struct stat status;
		answer = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
			 fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
			 status.st_ino == inode;
	}
	return answer > 0;
}

struct line {
	struct outlet_entry entry;
	int priority;
	unsigned int field_count; /* without the message */
	char message[LINE_MAX_SIZE];
	char fields[FIELDS_MAX][FIELD_SIZE];
};

/* --------------------------------------------------------------------------- the outlet's thread -- */

/* Whoever shares stderr may have set O_NONBLOCK. */
static void write_text(const char *text, size_t size)
{
	struct pollfd polled = { .fd = STDERR_FILENO, .events = POLLOUT };
	while (size > 0) {
		ssize_t written = write(STDERR_FILENO, text, size);
		if (written > 0) {
			text += written;
			size -= (size_t)written;
		} else if (errno == EAGAIN) {
			poll(&polled, 1, -1);
		} else if (errno != EINTR) {
			return;
		}
	}
}

/* One write a line. The journal parses the priority prefix; a terminal gets none. */
static void write_to_stderr(int priority, const char *message)
{
	char text[LINE_MAX_SIZE + 32];
	int size = getenv("JOURNAL_STREAM")
			   ? snprintf(text, sizeof(text), "<%d>%s\n", priority, message)
			   : snprintf(text, sizeof(text), "fencebrokerd: %s\n", message);
	write_text(text, (size_t)size);
}

static struct iovec field_of(const char *text)
{
	return (struct iovec){ .iov_base = (char *)(uintptr_t)text, .iov_len = strlen(text) };
}

static int write_to_journal(const struct line *line)
{
	char message[sizeof("MESSAGE=") + LINE_MAX_SIZE], priority[32];
	struct iovec fields[FIELDS_MAX + 2];
	int count = 0;
	snprintf(message, sizeof(message), "MESSAGE=%s", line->message);
	snprintf(priority, sizeof(priority), "PRIORITY=%d", line->priority);
	fields[count++] = field_of(message);
	fields[count++] = field_of(priority);
	for (unsigned int i = 0; i < line->field_count; i++) {
		fields[count++] = field_of(line->fields[i]);
	}
	return sd_journal_sendv(fields, count);
}

static void line_write(const struct outlet_entry *entry)
{
	const struct line *line = container_of(entry, const struct line, entry);
	if (!stderr_is_journal() || write_to_journal(line) != 0) {
		write_to_stderr(line->priority, line->message);
	}
}

static void line_gap(unsigned int lost)
{
	struct line line = { .priority = LOG_WARNING };
	snprintf(line.message, sizeof(line.message),
		 "%u log lines are missing here: nobody read them in time", lost);
	line_write(&line.entry);
}

static struct line lines[LINES_MAX];
static struct outlet outlet = {
	.thread_name = "fbk-log",
	.ring = lines,
	.entry_size = sizeof(*lines),
	.capacity = LINES_MAX,
	.write = line_write,
	.gap = line_gap,
	OUTLET_INIT,
};

void log_finish(void)
{
	outlet_finish(&outlet, FINISH_PATIENCE_NS);
}

uint64_t log_dropped(void)
{
	return outlet_dropped(&outlet);
}

/* ------------------------------------------------------------------------------------ the loop's -- */

__attribute__((format(printf, 2, 3))) static void field_add(struct line *line, const char *format,
							    ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(line->fields[line->field_count++], FIELD_SIZE, format, args);
	va_end(args);
}

static void line_add_fields(struct line *line, const struct log_subject *subject)
{
	line->field_count = 0;
	if (!sd_id128_is_null(subject->message_id)) {
		field_add(line, "MESSAGE_ID=" SD_ID128_FORMAT_STR,
			  SD_ID128_FORMAT_VAL(subject->message_id));
	}
	if (subject->has_client) {
		field_add(line, "FENCEBROKER_UID=%u", subject->uid);
		field_add(line, "FENCEBROKER_PID=%d", subject->pid);
	}
	if (subject->timeline) {
		field_add(line, "FENCEBROKER_TIMELINE=%s", subject->timeline);
	}
	if (subject->device) {
		field_add(line, "FENCEBROKER_DEVICE=%s", subject->device);
	}
}

__attribute__((format(printf, 3, 0))) static void
log_line(int priority, const struct log_subject *subject, const char *format, va_list args)
{
	struct line *line = outlet_begin(&outlet);
	if (!line) {
		return;
	}
	line->priority = priority;
	vsnprintf(line->message, sizeof(line->message), format, args);
	line_add_fields(line, subject);
	outlet_commit(&outlet);
}

#define LOG_FUNCTION(name, priority, condition)                               \
	void name(const char *format, ...)                                    \
	{                                                                     \
		if (!(condition)) {                                           \
			return;                                               \
		}                                                             \
		va_list args;                                                 \
		va_start(args, format);                                       \
		log_line(priority, &(struct log_subject){ 0 }, format, args); \
		va_end(args);                                                 \
	}

LOG_FUNCTION(log_error, LOG_ERR, 1)
LOG_FUNCTION(log_warning, LOG_WARNING, 1)
LOG_FUNCTION(log_info, LOG_INFO, 1)
LOG_FUNCTION(log_debug, LOG_DEBUG, log_verbose)

const char *call_hint(int error)
{
	return error == -EPERM || error == -EACCES || error == -ENOSYS || error == -EINVAL
		       ? ": a sandbox's filter (seccomp) refuses it, or the kernel lacks it"
		       : "";
}

int log_call(const char *call, int error)
{
	log_error("%s: %s%s", call, strerrordesc_np(-error), call_hint(error));
	return error;
}

void log_warning_about(const struct log_subject *subject, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	log_line(LOG_WARNING, subject, format, args);
	va_end(args);
}

bool log_seldom(uint64_t *quiet_until_ns)
{
	uint64_t now = clock_now_ns();
	if (now < *quiet_until_ns) {
		return false;
	}
	*quiet_until_ns = now + SELDOM_NS;
	return true;
}

void log_starved(const char *consequence)
{
	static uint64_t quiet_until_ns;
	if (log_seldom(&quiet_until_ns)) {
		log_warning_about(
			&(struct log_subject){ .message_id = LOG_MESSAGE_STARVED },
			"file descriptors are used up, %s: raise LimitNOFILE=", consequence);
	}
}
