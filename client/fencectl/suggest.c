// SPDX-License-Identifier: MIT
/* Which verb a mistyped word may mean. */
#include <stdio.h>
#include <string.h>

#include "fencectl.h"

#define WORD_MAX 16 /* longer than any verb */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters have to be typed, left out or exchanged with their neighbour to come from one to the other. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[WORD_MAX + 1][WORD_MAX + 1];
	size_t length_a = strlen(a), length_b = strlen(b);
	if (length_a > WORD_MAX || length_b > WORD_MAX) {
		return WORD_MAX;
	}
	for (size_t i = 0; i <= length_a; i++) {
		for (size_t j = 0; j <= length_b; j++) {
			if (i == 0 || j == 0) {
				rows[i][j] = i + j;
				continue;
			}
			size_t same = a[i - 1] == b[j - 1] ? 0 : 1;
			rows[i][j] = least(rows[i - 1][j - 1] + same,
					   least(rows[i - 1][j], rows[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
				rows[i][j] = least(rows[i][j], rows[i - 2][j - 2] + 1);
			}
		}
	}
	return rows[length_a][length_b];
}

/* One wrong letter in three, or the beginning of a verb. */
static const struct verb *verb_near(const char *word, const struct verb *verbs, size_t count)
{
	const struct verb *near = NULL;
	size_t best = least(2, (strlen(word) + 2) / 3) + 1;
	for (size_t i = 0; i < count && verbs[i].summary; i++) {
		bool begins = strlen(word) >= 2 && strncmp(word, verbs[i].name, strlen(word)) == 0;
		size_t far = begins ? 1 : distance(word, verbs[i].name);
		if (far < best) {
			best = far;
			near = &verbs[i];
		}
	}
	return near;
}

void verb_suggest(const char *word, const struct verb *verbs, size_t count)
{
	const struct verb *near = verb_near(word, verbs, count);
	if (near) {
		fprintf(stderr, "fencectl: unknown verb %s: did you mean %s?\n", word, near->name);
	} else {
		fprintf(stderr, "fencectl: unknown verb %s: see fencectl --help\n", word);
	}
}
