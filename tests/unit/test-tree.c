// SPDX-License-Identifier: MIT
/* The tree of embedded nodes: in order whatever is put in and taken out, and never deep. */
#include "daemon/tree.h"

#include <stdbool.h>
#include <stdlib.h>

#include "proto/container.h"
#include "tests/suite.h"

#define MANY   10000
#define KEYS   500  /* so that some are equal */
#define TURNS  2000 /* of the random test, at each of which all is looked at */
#define SEED   UINT64_C(88172645463325252)
#define DEEPER 60 /* than any tree of 10,000 has been: it is some 30 */

#define EXPECT(condition)                               \
	do {                                            \
		if (!(condition)) {                     \
			ck_abort_msg("%s", #condition); \
		}                                       \
	} while (0)

struct item {
	struct tree_node node;
	unsigned int number; /* in which order it came */
	bool in;
};

static struct item items[MANY];
static struct tree tree;
static uint64_t priorities, keys;
static unsigned int count, next_number;

static void setup(void)
{
	tree = (struct tree){ NULL };
	priorities = SEED;
	keys = SEED + 1;
	count = next_number = 0;
	for (unsigned int i = 0; i < MANY; i++) {
		items[i] = (struct item){ .in = false };
	}
}

static void insert(unsigned int i, uint64_t key)
{
	items[i].number = next_number++;
	items[i].in = true;
	tree_insert(&tree, &items[i].node, key, tree_priority(&priorities));
	count++;
}

static void take(unsigned int i)
{
	tree_remove(&tree, &items[i].node);
	EXPECT(!items[i].node.parent && !items[i].node.left && !items[i].node.right);
	items[i].in = false;
	count--;
}

static const struct item *item_at(const struct tree_node *node)
{
	return container_of((struct tree_node *)node, struct item, node);
}

/* All of them, rising, and equal ones as they came; parents are of higher priority. */
static void expect_order(void)
{
	unsigned int seen = 0;
	const struct tree_node *last = NULL;
	for (struct tree_node *node = tree_first(&tree); node; node = tree_next(node)) {
		EXPECT(item_at(node)->in);
		EXPECT(!node->parent || node->parent->priority >= node->priority);
		EXPECT(!last || last->key < node->key ||
		       (last->key == node->key && item_at(last)->number < item_at(node)->number));
		last = node;
		seen++;
	}
	EXPECT(seen == count);
	EXPECT(tree_last(&tree) == last);
}

static void expect_above(uint64_t key)
{
	const struct tree_node *above = tree_above(&tree, key);
	struct tree_node *node = tree_first(&tree);
	while (node && node->key <= key) {
		node = tree_next(node);
	}
	EXPECT(above == node);
}

START_TEST(empty)
{
	ck_assert_ptr_null(tree_first(&tree));
	ck_assert_ptr_null(tree_last(&tree));
	ck_assert_ptr_null(tree_above(&tree, 0));
	insert(0, UINT64_MAX);
	ck_assert_ptr_eq(tree_above(&tree, UINT64_MAX - 1), &items[0].node);
	ck_assert_ptr_null(tree_above(&tree, UINT64_MAX));
	take(0);
	ck_assert_ptr_null(tree.root);
}
END_TEST

START_TEST(random_turns)
{
	for (unsigned int turn = 0; turn < TURNS; turn++) {
		unsigned int i = tree_priority(&keys) % KEYS;
		if (items[i].in) {
			take(i);
		} else {
			insert(i, tree_priority(&keys) % (KEYS / 4));
		}
		expect_order();
		expect_above(tree_priority(&keys) % (KEYS / 4));
	}
	for (unsigned int i = 0; i < KEYS; i++) {
		if (items[i].in) {
			take(i);
			expect_order();
		}
	}
	ck_assert_ptr_null(tree.root);
}
END_TEST

static unsigned int depth(const struct tree_node *node)
{
	unsigned int levels = 0;
	for (; node; node = node->parent) {
		levels++;
	}
	return levels;
}

/* In whatever order keys are chosen. */
START_TEST(never_deep)
{
	unsigned int deepest = 0;
	for (unsigned int i = 0; i < MANY; i++) {
		insert(i, _i == 0 ? i : _i == 1 ? MANY - i : 7);
	}
	expect_order();
	for (unsigned int i = 0; i < MANY; i++) {
		unsigned int levels = depth(&items[i].node);
		deepest = levels > deepest ? levels : deepest;
	}
	ck_assert_uint_lt(deepest, DEEPER);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, empty);
	tcase_add_test(tcase, random_turns);
	tcase_add_loop_test(tcase, never_deep, 0, 3);
}

int main(void)
{
	return suite_main("tree", add);
}
