// SPDX-License-Identifier: MIT
/* Who the daemon speaks to besides its clients may never read: clients do not notice. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "lib-view.h"

#define LINES 400 /* more than any of the sinks and the daemon's queue take together */

static struct daemon fencebrokerd;

static void setup(void)
{
	unsetenv("JOURNAL_STREAM");
	daemon_prepare(&fencebrokerd);
}

static void teardown(void)
{
	daemon_end(&fencebrokerd);
}

/* ---------------------------------------------------------------------------------- the log --- */

/* Two ends: the daemon's stderr, and the reader's. As small as the kernel makes them. */
struct sink {
	int write, read;
};

static void sink_pipe(struct sink *sink)
{
	int fds[2];
	EXPECT(pipe2(fds, O_CLOEXEC) == 0 && fcntl(fds[1], F_SETPIPE_SZ, 4096) > 0);
	*sink = (struct sink){ .write = fds[1], .read = fds[0] };
}

static void sink_fifo(struct sink *sink)
{
	char path[96];
	snprintf(path, sizeof(path), "%.80s/fifo", fencebrokerd.directory);
	EXPECT(mkfifo(path, 0600) == 0);
	sink->read = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	sink->write = open(path, O_WRONLY | O_CLOEXEC);
	EXPECT(sink->read >= 0 && sink->write >= 0 && fcntl(sink->write, F_SETPIPE_SZ, 4096) > 0);
}

static void sink_socket(struct sink *sink)
{
	const int size = 1;
	int fds[2];
	EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	EXPECT(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
	*sink = (struct sink){ .write = fds[1], .read = fds[0] };
}

/* A terminal that was stopped with Ctrl-S. */
static void sink_terminal(struct sink *sink)
{
	struct termios settings;
	sink->read = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	EXPECT(sink->read >= 0 && grantpt(sink->read) == 0 && unlockpt(sink->read) == 0);
	sink->write = open(ptsname(sink->read), O_RDWR | O_NOCTTY | O_CLOEXEC);
	EXPECT(sink->write >= 0 && tcgetattr(sink->write, &settings) == 0);
	cfmakeraw(&settings); /* a newline stays one */
	EXPECT(tcsetattr(sink->write, TCSANOW, &settings) == 0);
	EXPECT(tcflow(sink->write, TCOOFF) == 0);
}

static void (*const sinks[])(struct sink *sink) = { sink_pipe, sink_fifo, sink_socket,
						    sink_terminal };

static void sink_flow(const struct sink *sink)
{
	if (isatty(sink->write)) {
		EXPECT(tcflow(sink->write, TCOON) == 0);
	}
}

static size_t count_of(const char *text, const char *word)
{
	size_t count = 0;
	while ((text = strstr(text, word))) {
		text += strlen(word);
		count++;
	}
	return count;
}

/* As the gaps of the text say. */
static uint64_t count_missing(const char *text)
{
	static const char says[] = " log lines are missing here";
	uint64_t count = 0;
	for (const char *at = strstr(text, says); at; at = strstr(at + 1, says)) {
		const char *number = at;
		while (number > text && number[-1] != ' ') {
			number--;
		}
		count += strtoull(number, NULL, 10);
	}
	return count;
}

static bool all_hung_up(const char *text)
{
	return count_of(text, "hung up\n") + count_missing(text) == LINES;
}

static bool log_goes_on(const char *text)
{
	return strstr(text, "not a request; disconnected\n");
}

/* Reads on until the text `has` it. */
static void sink_read_until(const struct sink *sink, char *text, size_t size,
			    bool (*has)(const char *text))
{
	size_t used = strlen(text);
	uint64_t deadline = now_ms() + PATIENCE_MS;
	fcntl(sink->read, F_SETFL, O_NONBLOCK);
	while (!has(text)) {
		ssize_t got = read(sink->read, text + used, size - 1 - used);
		ck_assert_msg(now_ms() < deadline, "more was to come: %s", text);
		used += got > 0 ? (size_t)got : 0;
		text[used] = '\0';
		if (got <= 0) {
			yield_briefly();
		}
	}
}

/* Each makes one line: --verbose says who hangs up. */
static void hang_up(size_t times)
{
	struct client client;
	for (size_t i = 0; i < times; i++) {
		client_open(&client, &fencebrokerd);
		client_close(&client);
	}
}

/* Serving goes on. What was lost is counted, said in its place, and all the rest is there. */
START_TEST(nobody_reads_the_log)
{
	static char text[1 << 17];
	struct sink sink;
	struct bystander bystander;
	sinks[_i](&sink);
	struct daemon_options options = { .stderr_fd = sink.write };
	daemon_start(&fencebrokerd, &options);
	bystander_open(&bystander, &fencebrokerd);
	hang_up(LINES);
	bystander_round(&bystander);
	daemon_await_fds(&fencebrokerd, bystander.fds); /* it has seen them all hang up */
	uint64_t unread = client_counter(&bystander.waiter, "log_lines_unread");
	ck_assert_uint_gt(unread, 0);

	text[0] = '\0';
	sink_flow(&sink);
	sink_read_until(&sink, text, sizeof(text), all_hung_up);
	ck_assert_uint_eq(count_missing(text), unread);
	EXPECT(client_send_raw(&bystander.signaler, "x", 1, NULL, 0) ==
	       0); /* and the log goes on */
	client_expect_end(&bystander.signaler);
	sink_read_until(&sink, text, sizeof(text), log_goes_on);
	ck_assert_uint_eq(client_counter(&bystander.waiter, "log_lines_unread"), unread);
	client_close(&bystander.signaler);
	client_close(&bystander.waiter);
}
END_TEST

/* It ends all the same. */
START_TEST(nobody_reads_at_the_end)
{
	struct sink sink;
	sinks[_i](&sink);
	struct daemon_options options = { .stderr_fd = sink.write };
	daemon_start(&fencebrokerd, &options);
	hang_up(LINES);
	daemon_terminate(&fencebrokerd);
}
END_TEST

START_TEST(reader_is_gone)
{
	struct sink sink;
	struct bystander bystander;
	sinks[_i](&sink);
	struct daemon_options options = { .stderr_fd = sink.write };
	daemon_start(&fencebrokerd, &options);
	bystander_open(&bystander, &fencebrokerd);
	close(sink.read);
	hang_up(LINES);
	bystander_close(&bystander);
}
END_TEST

/* Its first file would be stderr then, and get the log. */
START_TEST(no_stderr)
{
	struct bystander bystander;
	char lock[112], text[64] = "", pid[16];
	struct daemon_options options = { .stderr_fd = -1 };
	daemon_start(&fencebrokerd, &options);
	bystander_open(&bystander, &fencebrokerd);
	hang_up(1);
	bystander_close(&bystander);
	daemon_terminate(&fencebrokerd);
	snprintf(lock, sizeof(lock), "%s.lock", fencebrokerd.socket);
	int fd = open(lock, O_RDONLY | O_CLOEXEC);
	ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	snprintf(pid, sizeof(pid), "%ld", strtol(text, NULL, 10));
	ck_assert_str_eq(text, pid); /* and nothing else */
}
END_TEST

/* ----------------------------------------------------------------------- the service manager --- */

static bool serves(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	memcpy(address.sun_path, fencebrokerd.socket, sizeof(fencebrokerd.socket));
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool there = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return there;
}

/* Its socket for notifications is full before the daemon starts. */
START_TEST(service_manager_hangs)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct bystander bystander;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/hangs", fencebrokerd.directory);
	EXPECT(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	EXPECT(connect(sender, (const struct sockaddr *)&address, sizeof(address)) == 0);
	while (send(sender, "x", 1, 0) == 1) {
	}
	struct daemon_options options = { .notify = address.sun_path };
	daemon_launch(&fencebrokerd, &options);
	uint64_t deadline = now_ms() + PATIENCE_MS;
	while (!serves()) {
		ck_assert_uint_lt(now_ms(), deadline);
		yield_briefly();
	}
	bystander_open(&bystander, &fencebrokerd);
	bystander_close(&bystander);
	daemon_terminate(&fencebrokerd);
	close(sender);
	close(fd);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, nobody_reads_the_log, sinks);
	ADD_LOOP(tcase, nobody_reads_at_the_end, sinks);
	ADD_LOOP(tcase, reader_is_gone, sinks);
	tcase_add_test(tcase, no_stderr);
	tcase_add_test(tcase, service_manager_hangs);
}

int main(void)
{
	return suite_main("blocked", add);
}
