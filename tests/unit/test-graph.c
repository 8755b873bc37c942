// SPDX-License-Identifier: MIT
/* The wait-for graph: exact boundaries, edges that go by themselves, the bound of its search; and
 * random edges, checked against a plain search of all points. */
#include "daemon/rules/graph.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/expect.h"
#include "tests/suite.h"

#define MANY  10000
#define LARGE (2 * MANY)
#define LAST  ((UINT64_C(1) << 62) - 1) /* the largest point */

static struct graph graph;
static struct account *account;
static struct user *user;
static struct graph_edges owner;
static struct graph_cycle cycle;

/* Addresses that are never dereferenced. */
static char timelines[LARGE];

static struct timeline *named(unsigned int number)
{
	return (struct timeline *)(void *)&timelines[number];
}

enum { A, B, C, D, E };

static void setup(void)
{
	uint64_t limits[ACCOUNT_RESOURCE_COUNT] = { [ACCOUNT_EDGES] = LARGE };
	ck_assert_int_eq(account_create(&account), 0);
	ck_assert_int_eq(account_user_ref(account, 7, limits, &user), 0);
	graph_init(&graph);
	LIST_INIT(&owner);
}

static void teardown(void)
{
	graph_drop(&graph, &owner);
	ck_assert_uint_eq(user_usage(user, ACCOUNT_EDGES), 0);
	ck_assert_uint_eq(graph.edge_count, 0);
	ck_assert_uint_eq(graph.node_count, 0);
	graph_finish(&graph);
	user_unref(user);
	account_destroy(account);
}

static int add(unsigned int a, uint64_t p, unsigned int b, uint64_t q)
{
	return graph_add(&graph, (struct graph_point){ named(a), p },
			 (struct graph_point){ named(b), q }, user, &owner, &cycle);
}

static void expect_point(unsigned int i, unsigned int timeline, uint64_t value)
{
	EXPECT(i < cycle.count);
	EXPECT(cycle.points[i].timeline == named(timeline));
	EXPECT(cycle.points[i].value == value);
}

static void expect_edges(uint64_t count)
{
	ck_assert_uint_eq(graph.edge_count, count);
	ck_assert_uint_eq(user_usage(user, ACCOUNT_EDGES), count);
}

/* -------------------------------------------------------------------------------------- cycles -- */

START_TEST(two)
{
	ck_assert_int_eq(add(A, 3, B, 2), 0);
	ck_assert_int_eq(add(B, 2, A, 3), -EDEADLK);
	ck_assert_uint_eq(cycle.count, 3);
	ck_assert(!cycle.more);
	expect_point(0, B, 2);
	expect_point(1, A, 3);
	expect_point(2, B, 2);
	expect_edges(1);
}
END_TEST

/* A.3 waits for B.2. A.3 and all above need it; B.2 needs B.2 and all below. */
static const struct {
	uint64_t on, point;
	int result;
} boundaries[] = {
	{ 3, 2, -EDEADLK },    /* the same */
	{ 2, 2, 0 },           /* B.2 waits for one before A.3 */
	{ 4, 2, -EDEADLK },    /* ... for one after it */
	{ LAST, 2, -EDEADLK }, /**/
	{ 3, 3, 0 },           /* B.3 comes after B.2 */
	{ 3, 1, -EDEADLK },    /* B.1 comes before it */
	{ 1, 1, 0 },           /**/
	{ LAST, LAST, 0 },     /**/
	{ LAST, 1, -EDEADLK }, /**/
};

START_TEST(boundary)
{
	ck_assert_int_eq(add(A, 3, B, 2), 0);
	ck_assert_int_eq(add(B, boundaries[_i].point, A, boundaries[_i].on), boundaries[_i].result);
	expect_edges(boundaries[_i].result == 0 ? 2 : 1);
}
END_TEST

/* p == s' is a cycle, p == s' + 1 is none: in the middle, and at either end of the range. */
START_TEST(exact_in_the_middle)
{
	ck_assert_int_eq(add(A, LAST, B, 5), 0);
	ck_assert_int_eq(add(B, 5, C, 7), 0);
	ck_assert_int_eq(add(B, 6, D, 1), 0);
	ck_assert_int_eq(add(C, 7, A, LAST), -EDEADLK);
	ck_assert_uint_eq(cycle.count, 4);
	expect_point(0, C, 7);
	expect_point(1, A, LAST);
	expect_point(2, B, 5);
	expect_point(3, C, 7);
	ck_assert_int_eq(add(C, 8, A, LAST), 0);
	ck_assert_int_eq(add(D, 1, A, LAST), 0); /* B.6 is not needed by A */
	ck_assert_int_eq(add(D, 1, B, 6), -EDEADLK);
}
END_TEST

START_TEST(itself)
{
	ck_assert_int_eq(add(A, 3, A, 3), -EDEADLK);
	ck_assert_uint_eq(cycle.count, 2);
	expect_point(0, A, 3);
	expect_point(1, A, 3);
	ck_assert_int_eq(add(A, 3, A, 4), -EDEADLK);
	ck_assert_int_eq(add(A, 3, A, 2), 0); /* it does so anyhow */
	expect_edges(0);
}
END_TEST

/* Many paths between the same two points: each is searched once, none is missed. */
START_TEST(diamonds)
{
	unsigned int layers = 300;
	for (unsigned int i = 0; i < layers; i++) {
		ck_assert_int_eq(add(3 * i, 1, 3 * i + 1, 1), 0);
		ck_assert_int_eq(add(3 * i, 1, 3 * i + 2, 1), 0);
		ck_assert_int_eq(add(3 * i + 1, 1, 3 * i + 3, 1), 0);
		ck_assert_int_eq(add(3 * i + 2, 1, 3 * i + 3, 1), 0);
	}
	graph.search_max = 4 * layers;
	ck_assert_int_eq(add(3 * layers, 1, 0, 1), -EDEADLK);
	ck_assert_uint_eq(cycle.count, GRAPH_CYCLE_MAX);
	ck_assert(cycle.more);
	ck_assert_int_eq(add(3 * layers, 2, 0, 1), 0);
}
END_TEST

/* The search reaches C by a smaller value first, and by the larger one later. */
START_TEST(reached_again_higher)
{
	ck_assert_int_eq(add(A, 1, C, 2), 0);
	ck_assert_int_eq(add(A, 1, B, 1), 0);
	ck_assert_int_eq(add(B, 1, C, 5), 0);
	ck_assert_int_eq(add(C, 1, E, 9), 0);
	ck_assert_int_eq(add(C, 5, D, 1), 0);
	graph.search_max = 100;
	for (unsigned int i = 0; i < 50; i++) { /* so that the backward search does not end first */
		ck_assert_int_eq(add(100 + i, 1, D, 1 + i), 0);
		ck_assert_int_eq(add(200 + i, 1, 100 + i, 1), 0);
	}
	ck_assert_int_eq(add(D, 1, A, 1), -EDEADLK);
	ck_assert_uint_eq(cycle.count, 5);
	expect_point(0, D, 1);
	expect_point(1, A, 1);
	expect_point(2, B, 1);
	expect_point(3, C, 5);
	expect_point(4, D, 1);
}
END_TEST

/* The text names 16 points, and not the 17th. */
START_TEST(long_cycle)
{
	unsigned int length = GRAPH_CYCLE_MAX - 1 + (unsigned int)_i;
	for (unsigned int i = 1; i < length; i++) {
		ck_assert_int_eq(add(i - 1, 1, i, 1), 0);
	}
	ck_assert_int_eq(add(length - 1, 1, 0, 1), -EDEADLK);
	ck_assert_uint_eq(cycle.count, GRAPH_CYCLE_MAX);
	ck_assert_int_eq(cycle.more, _i == 1);
	expect_point(0, length - 1, 1);
	for (unsigned int i = 1; i < GRAPH_CYCLE_MAX; i++) {
		expect_point(i, i - 1, 1);
	}
}
END_TEST

/* ------------------------------------------------------------------------------- long and bounded -- */

static void chain(unsigned int count, bool forward)
{
	for (unsigned int i = 1; i < count; i++) {
		unsigned int at = forward ? i : count - i;
		EXPECT(add(at - 1, 1, at, 1) == 0);
	}
}

/* Built in either direction it needs no search: one side of the new edge is empty. */
START_TEST(long_chain)
{
	chain(MANY, _i);
	expect_edges(MANY - 1);
	ck_assert_int_eq(add(MANY - 1, 1, 0, 1), -ELOOP);
	graph.search_max = MANY;
	ck_assert_int_eq(add(MANY - 1, 1, 0, 1), -EDEADLK);
	ck_assert(cycle.more);
	ck_assert_int_eq(add(0, 1, MANY - 1, 1), 0);
	graph_decided(&graph, named(MANY / 2), 1); /* reached: the chain is cut in two */
	expect_edges(MANY - 2);
	ck_assert_int_eq(add(MANY - 1, 1, MANY / 2 + 1, 1), -EDEADLK);
	ck_assert_int_eq(add(MANY / 2 - 1, 1, 0, 1), -EDEADLK);
}
END_TEST

/* The search looks at edges from either end: search_max of them pass, one more does not. */
START_TEST(longest_search)
{
	unsigned int most = 100;
	graph.search_max = most;
	for (unsigned int i = 0; i <= most + 1; i++) {
		ck_assert_int_eq(add(1000 + i, 1, A, 1), 0);
		if (i < most) {
			ck_assert_int_eq(add(B, 1, 2000 + i, 1), 0);
		}
	}
	ck_assert_int_eq(add(A, 1, B, 1), 0); /* the search from B ends */
	ck_assert_int_eq(add(B, 1, 2000 + most, 1), 0);
	ck_assert_int_eq(add(A, 1, B, 1), -ELOOP);
	ck_assert_int_eq(add(A, 2, B, 1), 0); /* nothing waits for it */
	graph_decided(&graph, named(1000), 1);
	ck_assert_int_eq(add(A, 1, B, 1), -ELOOP);
	graph_decided(&graph, named(1001), 1);
	ck_assert_int_eq(add(A, 1, B, 1), 0);
}
END_TEST

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* For information: the cost of one edge among 10,000, and of the longest search. */
START_TEST(timing)
{
	for (unsigned int i = 0; i < MANY; i++) {
		EXPECT(add(i % 100, 1 + i / 100, 100 + i % 64, 1 + i / 100) == 0);
	}
	uint64_t start = now_ns();
	for (unsigned int i = 0; i < 1000; i++) {
		EXPECT(add(500 + i, 1, i % 100, 50) == 0);
	}
	uint64_t end = now_ns();
	printf("an edge more, of 10,000: %llu ns\n", (unsigned long long)(end - start) / 1000);
	graph_drop(&graph, &owner);
	chain(MANY, true);
	start = now_ns();
	for (unsigned int i = 0; i < 100; i++) {
		EXPECT(add(MANY - 1, 1, 0, 1) == -ELOOP);
	}
	end = now_ns();
	printf("the longest search: %llu ns\n", (unsigned long long)(end - start) / 100);
}
END_TEST

/* ------------------------------------------------------------------------------ what goes, and when -- */

START_TEST(target_reached)
{
	ck_assert_int_eq(add(A, 3, B, 5), 0);
	ck_assert_int_eq(add(A, 3, B, 6), 0);
	graph_decided(&graph, named(B), 4);
	expect_edges(2);
	graph_decided(&graph, named(B), 5);
	expect_edges(1);
	graph_decided(&graph, named(C), UINT64_MAX); /* of no edge */
	ck_assert_int_eq(add(B, 6, A, 3), -EDEADLK);
	graph_decided(&graph, named(B), 6);
	expect_edges(0);
	ck_assert_int_eq(add(B, 7, A, 3), 0);
}
END_TEST

START_TEST(source_reached)
{
	ck_assert_int_eq(add(A, 3, B, 5), 0);
	ck_assert_int_eq(add(A, 4, B, 5), 0);
	graph_decided(&graph, named(A), 2);
	expect_edges(2);
	graph_decided(&graph, named(A), 3);
	expect_edges(1);
	graph_decided(&graph, named(A), UINT64_MAX);
	expect_edges(0);
	ck_assert_ptr_null(LIST_FIRST(&owner));
}
END_TEST

START_TEST(owners)
{
	struct graph_edges other = LIST_HEAD_INITIALIZER(other);
	ck_assert_int_eq(add(A, 3, B, 5), 0);
	ck_assert_int_eq(graph_add(&graph, (struct graph_point){ named(B), 5 },
				   (struct graph_point){ named(C), 1 }, user, &other, &cycle),
			 0);
	ck_assert_int_eq(add(C, 1, A, 3), -EDEADLK);
	graph_drop(&graph, &other);
	graph_drop(&graph, &other);
	expect_edges(1);
	ck_assert_int_eq(add(C, 1, A, 3), 0);
}
END_TEST

START_TEST(limit)
{
	struct user *poor;
	uint64_t limits[ACCOUNT_RESOURCE_COUNT] = { [ACCOUNT_EDGES] = 2 };
	ck_assert_int_eq(account_user_ref(account, 8, limits, &poor), 0);
	for (unsigned int i = 0; i < 3; i++) {
		ck_assert_int_eq(graph_add(&graph, (struct graph_point){ named(A), 1 + i },
					   (struct graph_point){ named(B), 1 }, poor, &owner,
					   &cycle),
				 i < 2 ? 0 : -EDQUOT);
	}
	ck_assert_uint_eq(graph.edge_count, 2);
	graph_decided(&graph, named(A), 1);
	ck_assert_uint_eq(user_usage(poor, ACCOUNT_EDGES), 1);
	graph_drop(&graph, &owner);
	user_unref(poor);
}
END_TEST

/* ----------------------------------------------------------------------------- against an oracle -- */

#define SMALL      6 /* timelines */
#define VALUES     8 /* points of each */
#define ROUNDS     300
#define OPERATIONS 200

struct plain {
	unsigned int a, p, b, q;
};

static struct plain edges[OPERATIONS];
static unsigned int edge_count;
static uint64_t random_state = 88172645463325252;

static unsigned int random_below(unsigned int bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned int)(random_state >> 33) % bound;
}

/* Is (b, q) reached only after (a, p)? Follows everything it needs until nothing is added. */
static bool needs(unsigned int b, unsigned int q, unsigned int a, unsigned int p)
{
	unsigned int needed[SMALL] = { 0 };
	bool more = true;
	needed[b] = q;
	while (more) {
		more = false;
		for (unsigned int i = 0; i < edge_count; i++) {
			const struct plain *edge = &edges[i];
			if (edge->p <= needed[edge->a] && edge->q > needed[edge->b]) {
				needed[edge->b] = edge->q;
				more = true;
			}
		}
	}
	return needed[a] >= p;
}

/* Each point of the cycle waits for the next, by an edge at or below it. */
static void cycle_check(unsigned int a, unsigned int p, unsigned int b, unsigned int q)
{
	EXPECT(cycle.count >= 2 && !cycle.more);
	expect_point(0, a, p);
	expect_point(1, b, q);
	for (unsigned int i = 1; i + 1 < cycle.count; i++) {
		bool found = false;
		for (unsigned int j = 0; j < edge_count; j++) {
			found |= named(edges[j].a) == cycle.points[i].timeline &&
				 edges[j].p <= cycle.points[i].value &&
				 named(edges[j].b) == cycle.points[i + 1].timeline &&
				 edges[j].q == cycle.points[i + 1].value;
		}
		EXPECT(found);
	}
	EXPECT(cycle.points[cycle.count - 1].timeline == named(a));
	EXPECT(cycle.points[cycle.count - 1].value >= p);
}

static void plain_decide(unsigned int timeline, unsigned int value)
{
	unsigned int kept = 0;
	for (unsigned int i = 0; i < edge_count; i++) {
		const struct plain *edge = &edges[i];
		bool gone = (edge->a == timeline && edge->p <= value) ||
			    (edge->b == timeline && edge->q <= value);
		if (!gone) {
			edges[kept++] = *edge;
		}
	}
	edge_count = kept;
}

static void random_add(unsigned int *refused)
{
	unsigned int a = random_below(SMALL), p = 1 + random_below(VALUES);
	unsigned int b = random_below(SMALL), q = 1 + random_below(VALUES);
	bool closes = needs(b, q, a, p);
	int r = add(a, p, b, q);
	EXPECT(r == (closes ? -EDEADLK : 0));
	*refused += closes;
	if (closes) {
		cycle_check(a, p, b, q);
	} else if (a != b) {
		edges[edge_count++] = (struct plain){ a, p, b, q };
	}
}

START_TEST(oracle)
{
	unsigned int refused = 0;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		edge_count = 0;
		for (unsigned int i = 0; i < OPERATIONS; i++) {
			if (random_below(12) > 0) {
				random_add(&refused);
			} else {
				unsigned int timeline = random_below(SMALL);
				unsigned int value = random_below(VALUES + 1);
				plain_decide(timeline, value);
				graph_decided(&graph, named(timeline), value);
			}
			EXPECT(graph.edge_count == edge_count);
		}
		graph_drop(&graph, &owner);
	}
	ck_assert_uint_gt(refused, ROUNDS * OPERATIONS / 10);
	ck_assert_uint_lt(refused, ROUNDS * OPERATIONS / 10 * 9);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, two);
	ADD_LOOP(tcase, boundary, boundaries);
	tcase_add_test(tcase, exact_in_the_middle);
	tcase_add_test(tcase, itself);
	tcase_add_test(tcase, diamonds);
	tcase_add_test(tcase, reached_again_higher);
	tcase_add_loop_test(tcase, long_cycle, 0, 2);
	tcase_add_loop_test(tcase, long_chain, 0, 2);
	tcase_add_test(tcase, longest_search);
	tcase_add_test(tcase, timing);
	tcase_add_test(tcase, target_reached);
	tcase_add_test(tcase, source_reached);
	tcase_add_test(tcase, owners);
	tcase_add_test(tcase, limit);
	tcase_add_test(tcase, oracle);
}

int main(void)
{
	return suite_main("graph", add_tests);
}
