// SPDX-License-Identifier: MIT
/* Reading the policy in a thread of its own, with a source that takes as long as the test says. */
#include "daemon/front/reload.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/rules/policy.h"
#include "proto/container.h"
#include "tests/suite.h"

extern const char policy_default_user[];

static sem_t begun, go_on;
static _Atomic unsigned int runs;
static _Atomic bool faulty;

/* In place of the one that reads files. */
int policy_source_load(const struct policy_source *source, struct policy **ret_policy,
		       char *ret_error, size_t error_size)
{
	runs++;
	sem_post(&begun);
	sem_wait(&go_on);
	if (faulty) {
		snprintf(ret_error, error_size, "%s:7: wrong", source->path);
		return -EINVAL;
	}
	return policy_load_string("test", policy_default_user, ret_policy, ret_error, error_size);
}

struct asker {
	struct reload_waiter waiter;
	unsigned int told;
	int error;
	char detail[64];
	bool again; /* asks once more when it is told */
};

static struct loop loop;
static struct reload reload;
static struct asker askers[4];
static unsigned int applied, refused;

static void told(struct reload_waiter *waiter, int error, const char *detail)
{
	struct asker *asker = container_of(waiter, struct asker, waiter);
	asker->told++;
	asker->error = error;
	snprintf(asker->detail, sizeof(asker->detail), "%s", detail);
	if (asker->again) {
		asker->again = false;
		ck_assert_int_eq(reload_start(&reload, waiter), 0);
	}
}

static void refuse(struct reload *of, const char *detail)
{
	ck_assert_ptr_eq(of, &reload);
	ck_assert_str_eq(detail, "a-file:7: wrong");
	refused++;
}

static void apply(struct reload *of, struct policy *policy)
{
	ck_assert_ptr_eq(of, &reload);
	policy_destroy(policy);
	applied++;
}

static void setup(void)
{
	ck_assert_int_eq(loop_init(&loop), 0);
	sem_init(&begun, 0, 0);
	sem_init(&go_on, 0, 0);
	reload = (struct reload){
		.loop = &loop,
		.source = { .path = "a-file", .alone = true },
		.apply = apply,
		.refuse = refuse,
	};
	for (size_t i = 0; i < 4; i++) {
		askers[i].waiter.done = told;
	}
}

static void teardown(void)
{
	reload_finish(&reload);
	loop_finish(&loop);
}

static void ask(unsigned int i)
{
	ck_assert_int_eq(reload_start(&reload, &askers[i].waiter), 0);
	ck_assert_uint_eq(askers[i].told, 0);
}

/* Lets the run end, and serves that. */
static void run_to_end(void)
{
	sem_wait(&begun);
	sem_post(&go_on);
	ck_assert_int_eq(event_base_loop(loop.base, EVLOOP_ONCE), 0);
}

START_TEST(one_asks)
{
	ask(0);
	run_to_end();
	ck_assert_uint_eq(askers[0].told, 1);
	ck_assert_int_eq(askers[0].error, 0);
	ck_assert_uint_eq(applied, 1);
	ck_assert_ptr_null(reload.run);
}
END_TEST

/* Who asks while a run reads may know of a newer file: one more run serves all of these. */
START_TEST(many_ask)
{
	ask(0);
	sem_wait(&begun);
	sem_post(&begun);
	ask(1);
	ask(2);
	ask(3);
	run_to_end();
	ck_assert_uint_eq(askers[0].told, 1);
	ck_assert_uint_eq(askers[1].told + askers[2].told + askers[3].told, 0);
	run_to_end();
	for (size_t i = 0; i < 4; i++) {
		ck_assert_uint_eq(askers[i].told, 1);
		ck_assert_int_eq(askers[i].error, 0);
	}
	ck_assert_uint_eq(runs, 2);
	ck_assert_uint_eq(applied, 2);
	ck_assert_ptr_null(reload.run);
}
END_TEST

START_TEST(a_fault)
{
	faulty = true;
	ask(0);
	run_to_end();
	ck_assert_int_eq(askers[0].error, -EINVAL);
	ck_assert_str_eq(askers[0].detail, "a-file:7: wrong");
	ck_assert_uint_eq(refused, 1);
	ck_assert_uint_eq(applied, 0);
}
END_TEST

START_TEST(forgotten)
{
	ask(0);
	sem_wait(&begun);
	sem_post(&begun);
	ask(1);
	reload_forget(&askers[0].waiter);
	reload_forget(&askers[1].waiter);
	reload_forget(&askers[2].waiter); /* never waited */
	run_to_end();
	ck_assert_uint_eq(askers[0].told + askers[1].told, 0);
	ck_assert_uint_eq(runs, 1);
	ck_assert_uint_eq(applied, 1);
	ck_assert_ptr_null(reload.run);
}
END_TEST

START_TEST(asks_again_when_told)
{
	askers[0].again = true;
	ask(0);
	run_to_end();
	ck_assert_uint_eq(askers[0].told, 1);
	run_to_end();
	ck_assert_uint_eq(askers[0].told, 2);
	ck_assert_uint_eq(applied, 2);
}
END_TEST

/* The daemon ends while a thread reads. _i: 1: and hangs. */
START_TEST(ends_while_it_reads)
{
	ask(0);
	sem_wait(&begun);
	ask(1);
	if (_i == 0) {
		sem_post(&go_on);
	}
	reload_finish(&reload);
	ck_assert_uint_eq(askers[0].told, 1);
	ck_assert_uint_eq(askers[1].told, 1);
	ck_assert_int_eq(askers[0].error, -ESHUTDOWN);
	ck_assert_uint_eq(applied, 0);
	ck_assert_int_eq(reload_start(&reload, &askers[2].waiter), -EOPNOTSUPP);
	sem_post(&go_on); /* the thread that was given up frees what it has */
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, one_asks);
	tcase_add_test(tcase, many_ask);
	tcase_add_test(tcase, a_fault);
	tcase_add_test(tcase, forgotten);
	tcase_add_test(tcase, asks_again_when_told);
	tcase_add_loop_test(tcase, ends_while_it_reads, 0, 2);
}

int main(void)
{
	return suite_main("reload", add);
}
