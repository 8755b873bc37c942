// SPDX-License-Identifier: MIT
/*
 * What fencectl prints, of each verb that asks a daemon: as text no wider than 80 columns, as JSON what docs/schema says; lists
 * narrowed and in pages; words that it does not know. Long names and large numbers are among all of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib-exchange.h"
#include "lib-fencectl.h"
#include "lib-view.h"

#define STUCK      3
#define USAGE      2
#define WIDTH      80
#define SCREEN     24
#define MANY       4000 /* timelines: more than the daemon looks at for one request */
#define MAKERS     10   /* clients that make so many, in a long run */
#define PER_SET    500
#define LARGE      (UINT64_C(1) << 60)
#define PYTHON     "/usr/bin/python3" /* the distribution's, which has its packages */
#define LONG_NAME  "a-name-of-thirty-one-characters"
#define NOT_A_NAME "nothing-is-called-that"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static struct daemon server;
static struct producer producer;
static struct fbk_context *context; /* the consumer's, and more */
static struct fbk_device *device;
static struct fbk_link *link_end;
static struct fbk_watch *watched;
static int offer;

static void decided(void *arg, struct fbk_point point, int result)
{
	(void)arg;
	(void)point;
	(void)result;
}

static void setup(void)
{
	daemon_serve(&server, NULL);
	setenv("COLUMNS", "80", 1);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	EXPECT(fbk_link_publish(producer.link, LONG_NAME) == 0);
	context = peer_connect(&server);
	device = exchange_device(context, LONG_NAME, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	EXPECT(fbk_link_accept(device, offer, NULL, &link_end) == 0);
	EXPECT(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)) == 0);
	producer_frame(&producer);
	producer_frame(&producer);
	/* somebody waits for what does not come */
	struct fbk_timeline *line = peer_timeline(device, LONG_NAME, FBK_TIMELINE_BROKERED);
	EXPECT(fbk_timeline_signal(line, LARGE) == 0);
	EXPECT(fbk_point_watch((struct fbk_point){ line, LARGE + 1 }, deadline_ms(3600000), decided,
			       NULL, &watched) == 0);
}

static void teardown(void)
{
	fbk_disconnect(context);
	producer_close(&producer);
	close(offer);
	daemon_stop(&server);
}

/* Its exit status. */
static int run(const char *arguments)
{
	char all[512];
	snprintf(all, sizeof(all), "--socket %s %s", server.socket, arguments);
	return fencectl_say(all);
}

static void expect_unsaid(const char *what)
{
	ck_assert_msg(!strstr(said, what), "\"%s\" is in: %s", what, said);
}

/* Lines of what it said, none of them too wide. */
static size_t lines(void)
{
	size_t count = 0, length;
	for (const char *at = said; *at; at += length + (at[length] == '\n'), count++) {
		length = strcspn(at, "\n");
		ck_assert_msg(length <= WIDTH, "wider than %d: %.*s", WIDTH, (int)length, at);
	}
	return count;
}

/* Through `schema.py`, whose faults it prints. */
static void expect_valid(const char *arguments, int status, const char *schema, int entries)
{
	char all[1024];
	ck_assert_int_eq(run(arguments), status);
	snprintf(all, sizeof(all),
		 "--socket %s %s | " PYTHON " -B '%.512s/tests/scripts/lib/schema.py' %s %d",
		 server.socket, arguments, getenv("FBK_SOURCE_DIR"), schema, entries);
	ck_assert_msg(fencectl_say(all) == 0, "%s: %s", arguments, said);
}

/* ------------------------------------------------------------------------------------ each verb -- */

static const struct {
	const char *arguments;
	int status;
	size_t lines; /* the most */
	const char *says[6];
} texts[] = {
	{ "status", 0, SCREEN, { "policy: built-in", "kernel lacks: ", "NEAREST LIMIT" } },
	{ "status --all", 0, 1000, { "watches_expired", "KERNEL", "registered_pages" } },
	{ "clients", 0, 4, { "CLIENT ID", "NEAREST LIMIT", "fds ", "fencectl" } },
	{ "devices", 0, 4, { "WAITS ON", "memory64", "producer", "a-name-of-" } },
	{ "timelines", 0, 20, { "VALUE", "1152921504606846976", "STATUS" } },
	{ "links", 0, 8, { "PRODUCER", "CLIENT", "UID", "FRAME", "AGE", "FPS" } },
	{ "explain producer " LONG_NAME, 0, 40, { "acquire native", "release native" } },
	{ "stuck --older 0", STUCK, 20, { "POINT", "CAUSE", "has not" } },
	{ "doctor", 0, 200, { "CHECK", "ROUTE" } },
	{ "policy show", 0, 60, { "connect", "built-in" } },
	{ "policy show --as 0", 0, 60, { "inspect" } },
	{ "policy test 0 inspect", 0, 1, { "all" } },
	{ "config", 0, 60, { "max_wait_ms", "default" } },
};

START_TEST(text_fits)
{
	ck_assert_msg(run(texts[_i].arguments) == texts[_i].status, "%s", said);
	for (size_t i = 0; i < 6 && texts[_i].says[i]; i++) {
		expect_said(texts[_i].says[i]);
	}
	ck_assert_msg(lines() <= texts[_i].lines, "more than %zu lines: %s", texts[_i].lines, said);
}
END_TEST

static const struct {
	const char *arguments;
	int status;
	const char *schema;
	int entries; /* the least of an array, or of the members of an object */
} jsons[] = {
	{ "--json status", 0, "status", 10 },
	{ "--json clients", 0, "clients", 3 },
	{ "--json devices", 0, "devices", 2 },
	{ "--json timelines", 0, "timelines", 4 },
	{ "--json links", 0, "links", 1 },
	{ "--json links --name " NOT_A_NAME, 0, "links", 0 },
	{ "--json explain producer " LONG_NAME, 0, "explain", 5 },
	{ "--json stuck --older 0", STUCK, "stuck", 1 },
	{ "--json doctor", 0, "doctor", 3 },
	{ "--json policy show", 0, "policy-show", 3 },
	{ "--json policy show --as 0", 0, "policy-show", 10 },
	{ "--json policy test 0 inspect", 0, "policy-test", 7 },
	{ "--json policy test 0 register gpu", 0, "policy-test", 7 },
	{ "--json policy check /dev/null", 1, "policy-check", 3 },
	{ "--json config", 0, "config", 20 },
};

START_TEST(json_is_valid)
{
	expect_valid(jsons[_i].arguments, jsons[_i].status, jsons[_i].schema, jsons[_i].entries);
}
END_TEST

/* The id at the beginning of the line that has this word. */
static unsigned long long id_in_line_of(const char *word)
{
	char *line = said, *next;
	for (; (next = strchr(line, '\n')); line = next + 1) {
		*next = '\0';
		if (strstr(line, word)) {
			return strtoull(line, NULL, 10);
		}
	}
	ck_abort_msg("no line with %s", word);
}

START_TEST(fail_and_evict)
{
	char arguments[128];
	ck_assert_int_eq(run("timelines --name '" LONG_NAME "'"), 0);
	unsigned long long line = id_in_line_of("brokered");
	ck_assert_int_eq(run("devices"), 0);
	ck_assert_int_eq(run("clients --device producer"), 0);
	unsigned long long client = id_in_line_of("test-int");

	/* changes nothing, and says what would end */
	snprintf(arguments, sizeof(arguments), "--json --dry-run fail %llu", line);
	expect_valid(arguments, 0, "fail", 2);
	snprintf(arguments, sizeof(arguments), "--dry-run fail %llu", line);
	ck_assert_int_eq(run(arguments), 0);
	expect_said("fails from point 1152921504606846977");
	expect_said(" waits for point 1152921504606846977");
	snprintf(arguments, sizeof(arguments), "--json --dry-run evict %llu", client);
	expect_valid(arguments, 0, "evict", 2);
	ck_assert_int_eq(run("timelines --name '" LONG_NAME "'"), 0);
	expect_said(" ok");

	snprintf(arguments, sizeof(arguments), "fail %llu 'the test fails it'", line);
	ck_assert_int_eq(run(arguments), 0);
	ck_assert_int_eq(run("timelines --name '" LONG_NAME "'"), 0);
	expect_said("the test");
	lines();
	ck_assert_int_eq(run(arguments), 1); /* it has failed */
	snprintf(arguments, sizeof(arguments), "evict %llu", client);
	ck_assert_int_eq(run(arguments), 0);
	expect_said("is disconnected");
	ck_assert_int_eq(run(arguments), 1);
	expect_said("fencectl clients");
	ck_assert_int_eq(run("evict producer"), USAGE);
	expect_said("is not an id");
}
END_TEST

/* ----------------------------------------------------------------------------- which of a list -- */

START_TEST(narrowed)
{
	char arguments[128];
	ck_assert_int_eq(run("devices --device producer"), 0);
	expect_said("producer");
	expect_unsaid("a-name-of");
	unsigned long long id = id_in_line_of("producer");
	snprintf(arguments, sizeof(arguments), "timelines --device '#%llu'", id);
	ck_assert_int_eq(run(arguments), 0);
	expect_said("producer");
	expect_unsaid("a-name-of");
	ck_assert_int_eq(run("links --device " LONG_NAME), 0); /* at either end */
	expect_said("producer");
	ck_assert_int_eq(run("links --device producer --name 'a-*-characters'"), 0);
	expect_said("producer");
	ck_assert_int_eq(run("links --name 'a-?'"), 0);
	ck_assert_str_eq(said, "no links that match\n");

	ck_assert_int_eq(run("clients --device producer"), 0);
	id = id_in_line_of("test-int");
	snprintf(arguments, sizeof(arguments), "timelines --client %llu", id);
	ck_assert_int_eq(run(arguments), 0);
	expect_said("producer");
	expect_unsaid("a-name-of");
	snprintf(arguments, sizeof(arguments), "devices --user %u", getuid());
	ck_assert_int_eq(run(arguments), 0);
	expect_said("producer");
	ck_assert_int_eq(run("devices --user 4294967294"), 0);
	ck_assert_str_eq(said, "no devices that match\n");
	if (getuid() == 0) {
		ck_assert_int_eq(run("clients --user root --limit 1"), 0);
		expect_said("fencectl"); /* the newest */
		ck_assert_uint_eq(lines(), 2);
	}
	ck_assert_int_eq(run("links"), 0);
	expect_unsaid("ENDED LAST"); /* empty in each row */
	ck_assert_int_eq(run("timelines"), 0);
	expect_unsaid("IMPORTS"); /* 0 in each row */
}
END_TEST

START_TEST(refused_words)
{
	static const struct {
		const char *arguments, *says;
	} cases[] = {
		{ "--user " NOT_A_NAME " links", "there is no user " NOT_A_NAME },
		{ "--client producer links", "is not a client's id: see fencectl clients" },
		{ "--client 0 links", "is not a client's id" },
		{ "--limit 0 links", "is not a number of entries" },
		{ "--limit -1 links", "is not a number of entries" },
		{ "stauts", "unknown verb stauts: did you mean status?" },
		{ "devcies", "did you mean devices?" },
		{ "tim", "did you mean timelines?" },
		{ "lnks", "did you mean links?" },
		{ "xyzzy", "unknown verb xyzzy: see fencectl --help" },
		{ "a-word-that-is-longer-than-all-verbs", "see fencectl --help" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(run(cases[i].arguments), USAGE);
		expect_said(cases[i].says);
	}
	ck_assert_int_eq(run("links --name "
			     "0123456789012345678901234567890123456789012345678901234567890123"),
			 1);
	expect_said("at most 63 characters");
}
END_TEST

/* The most memory that a fencectl had, in KiB. */
static long memory_used(void)
{
	struct rusage usage;
	EXPECT(getrusage(RUSAGE_CHILDREN, &usage) == 0);
	return usage.ru_maxrss;
}

static void set_make(struct client *maker, uint32_t number)
{
	REQUEST(request, SET_CREATE, set_create);
	request.set_create->set = number;
	EXPECT(client_call(maker, &request, NULL, 0, NULL) == 0);
}

static void timeline_make(struct client *maker, uint32_t cpu, uint32_t set, char *name)
{
	struct reply reply;
	REQUEST(request, TIMELINE_CREATE, timeline_create);
	request.timeline_create->device = cpu;
	request.timeline_create->name = name;
	request.timeline_create->set = set;
	request.timeline_create->flags = FBK_TIMELINE_BROKERED;
	EXPECT(client_call(maker, &request, NULL, 0, &reply) == 0);
	reply_free(&reply);
}

/* MANY of a client of its own, whose names go on from there. */
static void maker_open(struct client *maker, int from)
{
	client_open(maker, &server);
	uint32_t cpu = client_device(maker, "cpu0");
	for (int i = 0; i < MANY; i++) {
		char name[32];
		snprintf(name, sizeof(name), "line-%d", from + i);
		uint32_t set = 1000 + (uint32_t)i / PER_SET;
		if (i % PER_SET == 0) {
			set_make(maker, set);
		}
		timeline_make(maker, cpu, set, name);
	}
}

START_TEST(many)
{
	static struct client makers[MAKERS];
	int count = getenv("FBK_SOAK") ? MAKERS : 1, total = count * MANY;
	char newest[32];
	for (int i = 0; i < count; i++) {
		maker_open(&makers[i], i * MANY);
	}
	ck_assert_int_eq(run("--json status"), 0);
	long before = memory_used();
	char command[256];
	snprintf(command, sizeof(command), "--socket %s --json timelines | grep -c '\"id\":'",
		 server.socket);
	ck_assert_int_eq(fencectl_say(command), 0);
	ck_assert_int_ge(atoi(said), total);
	if (!SANITIZED) { /* which keeps what is freed */
		ck_assert_msg(memory_used() - before < 2048, "%ld KiB more",
			      memory_used() - before);
	}

	/* the oldest is found behind more than are looked at at once; few come first, the newest */
	ck_assert_int_eq(run("timelines --name line-7"), 0);
	expect_said(" line-7 ");
	ck_assert_uint_eq(lines(), 2);
	ck_assert_int_eq(run("timelines --limit 3"), 0);
	snprintf(newest, sizeof(newest), " line-%d ", total - 1);
	expect_said(newest);
	snprintf(newest, sizeof(newest), " line-%d ", total - 3);
	expect_said(newest);
	ck_assert_uint_eq(lines(), 4);
	ck_assert_int_eq(run("timelines --device cpu0 --limit 100"), 0);
	ck_assert_uint_eq(lines(), 101);
	ck_assert_int_eq(run("timelines --device cpu0"), 0);
	ck_assert_uint_eq(lines(), (size_t)(total + total / 1000)); /* a header for each */

	expect_valid("--json timelines --device cpu0", 0, "timelines", total);
	for (int i = 0; i < count; i++) {
		client_close(&makers[i]);
	}
}
END_TEST

/* ------------------------------------------------------------------------------- without a daemon -- */

START_TEST(does_not_start)
{
	char arguments[256];
	ck_assert_int_eq(run("--no-start --json clients"), 0);
	expect_said("\"pid\"");
	snprintf(arguments, sizeof(arguments), "--no-start --socket %s-none clients",
		 server.socket);
	ck_assert_int_eq(run(arguments), 1);
	expect_said("no daemon runs");
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, text_fits, texts);
	ADD_LOOP(tcase, json_is_valid, jsons);
	tcase_add_test(tcase, fail_and_evict);
	tcase_add_test(tcase, narrowed);
	tcase_add_test(tcase, refused_words);
	tcase_add_test(tcase, many);
	tcase_add_test(tcase, does_not_start);
}

int main(void)
{
	return suite_main("fencectl", add);
}
