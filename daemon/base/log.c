// SPDX-License-Identifier: MIT
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#include "clock.h"

#define STARVED_QUIET_NS (10 * NS_PER_S)
#define LINE_MAX_SIZE    512
#define FIELDS_MAX       7
#define FIELD_SIZE       128

static int log_verbose;

void log_set_verbose(int verbose)
{
	log_verbose = verbose;
}

/* The service manager names the socket that it passed as stderr. Stderr may have been redirected since. */
static bool stderr_is_journal(void)
{
	static int answer = -1;
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

struct fields {
	struct iovec parts[FIELDS_MAX];
	int count;
	char text[FIELDS_MAX][FIELD_SIZE];
};

__attribute__((format(printf, 2, 3))) static void field_add(struct fields *fields,
							    const char *format, ...)
{
	char *text = fields->text[fields->count];
	va_list args;
	va_start(args, format);
	int length = vsnprintf(text, FIELD_SIZE, format, args);
	va_end(args);
	fields->parts[fields->count++] = (struct iovec){
		.iov_base = text,
		.iov_len = length < FIELD_SIZE ? (size_t)length : FIELD_SIZE - 1,
	};
}

static int log_to_journal(int priority, const struct log_subject *subject, char *message,
			  size_t length)
{
	struct fields fields = { 0 };
	fields.parts[fields.count++] = (struct iovec){ .iov_base = message, .iov_len = length };
	field_add(&fields, "PRIORITY=%d", priority);
	if (!sd_id128_is_null(subject->message_id)) {
		field_add(&fields, "MESSAGE_ID=" SD_ID128_FORMAT_STR,
			  SD_ID128_FORMAT_VAL(subject->message_id));
	}
	if (subject->has_client) {
		field_add(&fields, "FENCEBROKER_UID=%u", subject->uid);
		field_add(&fields, "FENCEBROKER_PID=%d", subject->pid);
	}
	if (subject->timeline) {
		field_add(&fields, "FENCEBROKER_TIMELINE=%s", subject->timeline);
	}
	if (subject->device) {
		field_add(&fields, "FENCEBROKER_DEVICE=%s", subject->device);
	}
	return sd_journal_sendv(fields.parts, fields.count);
}

__attribute__((format(printf, 3, 0))) static void
log_line(int priority, const struct log_subject *subject, const char *format, va_list args)
{
	static const char key[] = "MESSAGE=";
	char line[sizeof(key) + LINE_MAX_SIZE] = "MESSAGE=";
	char *message = line + sizeof(key) - 1;
	int length = vsnprintf(message, LINE_MAX_SIZE, format, args);
	if (length < 0) {
		return;
	}
	size_t kept = length < LINE_MAX_SIZE ? (size_t)length : LINE_MAX_SIZE - 1;
	if (stderr_is_journal() &&
	    log_to_journal(priority, subject, line, sizeof(key) - 1 + kept) == 0) {
		return;
	}
	/* One write a line. The journal parses the priority prefix; a terminal gets none. */
	if (getenv("JOURNAL_STREAM")) {
		fprintf(stderr, "<%d>%s\n", priority, message);
	} else {
		fprintf(stderr, "fencebrokerd: %s\n", message);
	}
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

void log_warning_about(const struct log_subject *subject, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	log_line(LOG_WARNING, subject, format, args);
	va_end(args);
}

void log_starved(const char *consequence)
{
	static uint64_t quiet_until_ns;
	uint64_t now = clock_now_ns();
	if (now >= quiet_until_ns) {
		quiet_until_ns = now + STARVED_QUIET_NS;
		log_warning_about(
			&(struct log_subject){ .message_id = LOG_MESSAGE_STARVED },
			"file descriptors are used up, %s: raise LimitNOFILE=", consequence);
	}
}
