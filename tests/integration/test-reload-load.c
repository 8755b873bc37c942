// SPDX-License-Identifier: MIT
/*
 * Reloads by fencectl, every third of them of a broken file, while two processes signal each other without a pause: by points
 * in memory, and by eventfds that the daemon makes and follows. Nothing is lost, and no wait fails or expires.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib-fencectl.h"
#include "lib-peer.h"

#define RELOADS (getenv("FBK_SOAK") ? 1000U : 100U)

static const char good[] =
	"version = 1;\n"
	"rules: ( { user = \"*\"; connect = true; register = true; inspect = \"all\"; } );\n";
static const char other[] =
	"version = 1;\nsettings: { max_wait_ms = 600000; };\nlimits: { exports = 100; };\n"
	"rules: ( { user = \"*\"; connect = true; inspect = \"all\"; } );\n";
static const char broken[] = "version = 1;\nrules: ( { usr = \"*\"; } );\n";

static struct daemon fencebrokerd;

/* Shared by all processes. */
static struct load {
	_Atomic bool over;
	_Atomic uint64_t rounds; /* that came to their end */
	_Atomic uint64_t last;   /* the point after which there is none; 0: not known yet */
} * load;

/* Either side makes a timeline, and opens the other's. */
static struct fbk_timeline *timeline_exchange(struct fbk_context *context, const char *name,
					      uint32_t flags, int socket,
					      struct fbk_timeline **ret_own)
{
	struct fbk_timeline *opened;
	int token;
	*ret_own = peer_timeline(peer_device(context, name), name, flags);
	EXPECT(fbk_timeline_share(*ret_own, FBK_RIGHT_WAIT, &token) == 0);
	send_word(socket, 0, token);
	close(token);
	receive_word(socket, &token);
	EXPECT(fbk_timeline_open(context, token, &opened) == 0);
	close(token);
	return opened;
}

/* Signals by memory; waits for points that eventfds signal. */
static int producer_run(int socket, void *arg)
{
	(void)arg;
	struct fbk_context *context = peer_connect(&fencebrokerd);
	struct fbk_timeline *ready;
	struct fbk_timeline *released = timeline_exchange(context, "ready", 0, socket, &ready);
	uint64_t n = 0;
	while (!load->over) {
		n++;
		EXPECT(fbk_timeline_signal(ready, n) == 0);
		int r = fbk_point_wait((struct fbk_point){ released, n }, deadline_ms(PATIENCE_MS));
		ck_assert_msg(r == 0, "round %llu: %s", (unsigned long long)n, fbk_error_detail());
		load->rounds = n;
	}
	load->last = n + 1;
	EXPECT(fbk_timeline_signal(ready, n + 1) == 0);
	receive_word(socket, NULL);
	fbk_disconnect(context);
	return 0;
}

/* Waits by eventfds that the daemon fires; signals by eventfds that it follows. */
static int consumer_run(int socket, void *arg)
{
	(void)arg;
	struct fbk_context *context = peer_connect(&fencebrokerd);
	struct fbk_timeline *released;
	struct fbk_timeline *ready =
		timeline_exchange(context, "released", FBK_TIMELINE_BROKERED, socket, &released);
	for (uint64_t n = 1;; n++) {
		struct fbk_point acquire = { ready, n };
		int fence = -1;
		int r = fbk_point_export(acquire, FBK_FENCE_EVENTFD, deadline_ms(PATIENCE_MS),
					 &fence);
		ck_assert_msg(r == 0, "export %llu: %s", (unsigned long long)n, fbk_error_detail());
		EXPECT(readable_within(fence, PATIENCE_MS));
		close(fence);
		EXPECT(fbk_point_check(acquire) == 0);
		if (n == load->last) {
			break;
		}
		fence = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		EXPECT(fence >= 0);
		int device = dup(fence);
		EXPECT(device >= 0);
		EXPECT(fbk_point_signal_on((struct fbk_point){ released, n }, fence) == 0);
		EXPECT(eventfd_write(device, 1) == 0);
		close(device);
	}
	send_word(socket, 0, -1);
	fbk_disconnect(context);
	return 0;
}

static void put(const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "%s.new", fencebrokerd.policy);
	FILE *file = fopen(path, "we");
	EXPECT(file && fputs(text, file) >= 0 && fclose(file) == 0);
	EXPECT(rename(path, fencebrokerd.policy) == 0);
}

static void reload(unsigned int i)
{
	char *sentence, *status;
	put(i % 3 == 2 ? broken : i % 3 == 1 ? other : good);
	int r = fencectl_run("reload", &sentence);
	EXPECT(fencectl_run("status --json", &status) == 0);
	if (i % 3 == 2) {
		EXPECT(r == 1 && strstr(sentence, "policy.conf:2: unknown key \"usr\""));
		EXPECT(strstr(status, "policy.conf:2: unknown key"));
	} else {
		ck_assert_msg(r == 0, "%s", sentence);
		EXPECT(strstr(status, "\"policy_problem\": \"\""));
	}
	free(sentence);
	free(status);
}

static void await_rounds(uint64_t count)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	while (load->rounds < count) {
		ck_assert_msg(now_ms() < deadline, "%llu rounds, %llu awaited",
			      (unsigned long long)load->rounds, (unsigned long long)count);
		yield_briefly();
	}
}

static void expect_no_trouble(void)
{
	static char text[1 << 18];
	static const char *const troubles[] = { "expired", "failed", "malformed", "disconnected" };
	daemon_log_text(&fencebrokerd, text, sizeof(text));
	for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
		ck_assert_msg(!strstr(text, troubles[i]), "the log says %s", troubles[i]);
	}
}

START_TEST(reloads_under_load)
{
	struct peer consumer;
	pid_t producer;
	peer_start(&consumer, consumer_run, NULL);
	producer = fork();
	EXPECT(producer >= 0);
	if (producer == 0) {
		_exit(producer_run(consumer.socket, NULL));
	}
	await_rounds(10);
	for (unsigned int i = 0; i < RELOADS; i++) {
		uint64_t before = load->rounds;
		reload(i);
		await_rounds(before + 1);
	}
	expect_no_trouble(); /* their ends are logged too */
	load->over = true;
	ck_assert_int_eq(child_wait(producer), 0);
	ck_assert_int_eq(peer_wait(&consumer), 0);
}
END_TEST

static void setup(void)
{
	load = shared_memory(sizeof(*load));
	daemon_serve(&fencebrokerd, good);
	setenv("FENCEBROKER_SOCKET", fencebrokerd.socket, 1);
}

static void teardown(void)
{
	daemon_end(&fencebrokerd);
}

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, getenv("FBK_SOAK") ? 1200 : 200);
	tcase_add_test(tcase, reloads_under_load);
}

int main(void)
{
	return suite_main("reload-load", add);
}
