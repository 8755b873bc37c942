// SPDX-License-Identifier: MIT
#include "daemon/rules/pattern.h"

#include <string.h>

#include "tests/suite.h"

static const struct {
	const char *pattern, *name;
	bool matches;
} cases[] = {
	{ "", "", true },           { "", "a", false },
	{ "*", "", true },          { "*", "abc", true },
	{ "?", "", false },         { "?", "a", true },
	{ "??", "a", false },       { "abc", "abc", true },
	{ "abc", "abcd", false },   { "abc", "ab", false },
	{ "a*", "abc", true },      { "*c", "abc", true },
	{ "*b", "abc", false },     { "a*c", "ac", true },
	{ "a*c*c", "abcbc", true }, { "a*c*d", "abcbc", false },
	{ "*ab*ab", "abab", true }, { "**", "x", true },
	{ "a?c", "abc", true },     { "[ab]", "a", false },
	{ "[ab]", "[ab]", true },   { "*.out", "gpu.out.out", true },
};

START_TEST(pattern_case)
{
	ck_assert_msg(pattern_matches(cases[_i].pattern, cases[_i].name) == cases[_i].matches,
		      "%s and %s", cases[_i].pattern, cases[_i].name);
}
END_TEST

/* What takes fnmatch(3) longer than the world exists. */
START_TEST(pattern_of_stars)
{
	char pattern[64] = "", name[64];
	for (int i = 0; i < 31; i++) {
		strcat(pattern, "*a");
	}
	strcat(pattern, "b");
	memset(name, 'a', 63);
	name[63] = '\0';
	for (int i = 0; i < 1000; i++) {
		ck_assert(!pattern_matches(pattern, name));
	}
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_loop_test(tcase, pattern_case, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tcase, pattern_of_stars);
}

int main(void)
{
	return suite_main("pattern", add);
}
