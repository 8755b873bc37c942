// SPDX-License-Identifier: MIT
#include "proto/heap.h"

#include <stdlib.h>

#include "tests/expect.h"
#include "tests/suite.h"

#define MANY 100000

START_TEST(empty)
{
	struct heap heap = { 0 };
	struct heap_node node = { 0 };

	ck_assert_ptr_null(heap_min(&heap));
	ck_assert(!heap_node_linked(&heap, &node));
}
END_TEST

START_TEST(single)
{
	struct heap heap = { 0 };
	struct heap_node node = { 0 };

	for (int i = 0; i < 2; i++) {
		heap_insert(&heap, &node, UINT64_MAX);
		ck_assert_ptr_eq(heap_min(&heap), &node);
		ck_assert(heap_node_linked(&heap, &node));
		ck_assert_uint_eq(node.key, UINT64_MAX);
		heap_remove(&heap, &node);
		ck_assert_ptr_null(heap_min(&heap));
		ck_assert(!heap_node_linked(&heap, &node));
	}
}
END_TEST

START_TEST(extreme_keys)
{
	static const uint64_t keys[] = { UINT64_MAX, 0, UINT64_C(1) << 63, 1, UINT64_MAX - 1 };
	static const uint64_t sorted[] = { 0, 1, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX };
	struct heap heap = { 0 };
	struct heap_node nodes[5] = { 0 };

	for (size_t i = 0; i < 5; i++) {
		heap_insert(&heap, &nodes[i], keys[i]);
	}
	for (size_t i = 0; i < 5; i++) {
		ck_assert_uint_eq(heap_min(&heap)->key, sorted[i]);
		heap_remove(&heap, heap_min(&heap));
	}
}
END_TEST

/* Removing any one of a few leaves exactly the others, in order. */
START_TEST(remove_each)
{
	const size_t removed = (size_t)_i;
	struct heap heap = { 0 };
	struct heap_node nodes[8] = { 0 };

	for (size_t i = 0; i < 8; i++) {
		heap_insert(&heap, &nodes[i], (i * 5) % 8);
	}
	/* Makes the tree deep. */
	struct heap_node *least = heap_min(&heap);
	heap_remove(&heap, least);
	heap_insert(&heap, least, 0);

	heap_remove(&heap, &nodes[removed]);
	ck_assert(!heap_node_linked(&heap, &nodes[removed]));
	for (uint64_t key = 0; key < 8; key++) {
		if (key == (removed * 5) % 8) {
			continue;
		}
		ck_assert_ptr_nonnull(heap_min(&heap));
		ck_assert_uint_eq(heap_min(&heap)->key, key);
		heap_remove(&heap, heap_min(&heap));
	}
	ck_assert_ptr_null(heap_min(&heap));
}
END_TEST

struct model {
	struct heap_node *sorted[512]; /* by key */
	size_t count;
};

static void model_insert(struct model *model, struct heap_node *node)
{
	size_t at = model->count++;

	while (at > 0 && model->sorted[at - 1]->key > node->key) {
		model->sorted[at] = model->sorted[at - 1];
		at--;
	}
	model->sorted[at] = node;
}

static void model_remove(struct model *model, const struct heap_node *node)
{
	size_t at = 0;

	while (model->sorted[at] != node) {
		at++;
	}
	for (model->count--; at < model->count; at++) {
		model->sorted[at] = model->sorted[at + 1];
	}
}

START_TEST(random_against_sorted)
{
	static struct heap_node nodes[512];
	static struct model model;
	struct heap heap = { 0 };
	const uint64_t range = _i ? UINT64_MAX : 16; /* many equal keys, then none */

	for (int turn = 0; turn < 50000; turn++) {
		struct heap_node *node = &nodes[random_next() % 512];

		if (random_next() % 8 == 0 && heap_min(&heap)) {
			node = heap_min(&heap);
		}
		if (heap_node_linked(&heap, node)) {
			model_remove(&model, node);
			heap_remove(&heap, node);
			EXPECT(!heap_node_linked(&heap, node));
		} else {
			heap_insert(&heap, node, random_next() % range);
			model_insert(&model, node);
		}
		if (model.count == 0) {
			EXPECT(!heap_min(&heap));
		} else {
			EXPECT(heap_min(&heap)->key == model.sorted[0]->key);
		}
	}
}
END_TEST

enum { EQUAL, ASCENDING, DESCENDING, SCATTERED, ORDER_COUNT };

static uint64_t order_key(int order, uint64_t i)
{
	switch (order) {
	case EQUAL:
		return 7;
	case ASCENDING:
		return i;
	case DESCENDING:
		return MANY - i;
	default:
		return random_next();
	}
}

START_TEST(many)
{
	struct heap_node *nodes = calloc(MANY, sizeof(*nodes));
	struct heap heap = { 0 };
	uint64_t last = 0;
	size_t taken = 0;

	ck_assert_ptr_nonnull(nodes);
	for (size_t i = 0; i < MANY; i++) {
		heap_insert(&heap, &nodes[i], order_key(_i, i));
	}
	for (size_t i = 0; i < MANY; i += 3) {
		heap_remove(&heap, &nodes[i]);
		taken++;
	}
	while (heap_min(&heap)) {
		struct heap_node *node = heap_min(&heap);

		EXPECT(node->key >= last);
		EXPECT((node - nodes) % 3 != 0);
		last = node->key;
		heap_remove(&heap, node);
		taken++;
	}
	ck_assert_uint_eq(taken, MANY);
	free(nodes);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_test(tcase, empty);
	tcase_add_test(tcase, single);
	tcase_add_test(tcase, extreme_keys);
	tcase_add_loop_test(tcase, remove_each, 0, 8);
	tcase_add_loop_test(tcase, random_against_sorted, 0, 2);
	tcase_add_loop_test(tcase, many, 0, ORDER_COUNT);
}

int main(void)
{
	return suite_main("heap", add);
}
