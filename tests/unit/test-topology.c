// SPDX-License-Identifier: MIT
/* Topologies of the example pipeline: the files that are accepted, and those that are refused, with
 * the line and the text of the error. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/examples/pipeline/topology.h"
#include "tests/suite.h"

#define RENDER "{ name = \"render\"; kind = \"render\"; }"
#define ENCODE "{ name = \"encode\"; kind = \"encode\"; }"
#define SEND   "{ name = \"send\"; kind = \"send\"; }"
#define PROBE  "{ name = \"probe\"; kind = \"probe\"; }"

#define EDGE(from_, to_)         "{ from = \"" from_ "\"; to = \"" to_ "\"; }"
#define FILE_OF(stages_, edges_) "stages: (" stages_ ");\nedges: (" edges_ ");\n"

#define STAGES RENDER ", " ENCODE ", " SEND
#define EDGES  EDGE("render", "encode") ", " EDGE("encode", "send")

/* --------------------------------------------------------------------------------- understood -- */

/* In whatever order the file has them, each stage comes after its source. */
START_TEST(order)
{
	static const char *const names[] = { "first", "second", "encode", "probe", "send" };
	static const char *const programs[] = { "capture", "compose", "encode", "probe", "send" };
	struct topology topology;
	char error[256] = "";
	int r = topology_parse(
		"file",
		FILE_OF(SEND ", " ENCODE ", { name = \"second\"; kind = \"render\"; }, " PROBE
			     ", { name = \"first\"; kind = \"capture\"; }",
			EDGE("second", "encode") ", " EDGE("encode", "send") ", " EDGE(
				"first", "second") ", " EDGE("first", "probe")),
		&topology, error, sizeof(error));
	ck_assert_msg(r == 0, "%s", error);
	ck_assert_uint_eq(topology.count, 5);
	bool seen[5] = { false };
	for (size_t i = 0; i < 5; i++) {
		const struct topology_stage *stage = &topology.stages[i];
		ck_assert(stage->from_line == 0 || stage->from < i);
		for (size_t k = 0; k < 5; k++) {
			if (strcmp(stage->name, names[k]) == 0) {
				ck_assert_str_eq(topology_program(stage), programs[k]);
				seen[k] = true;
			}
		}
		for (size_t k = 0; k < stage->to_count; k++) {
			ck_assert_uint_eq(topology.stages[stage->to[k]].from, i);
		}
	}
	for (size_t k = 0; k < 5; k++) {
		ck_assert_msg(seen[k], "%s is not there", names[k]);
	}
	ck_assert_uint_eq(topology.stages[0].to_count, 2);
}
END_TEST

/* ------------------------------------------------------------------------------------- refused -- */

static const struct {
	const char *text, *error;
} bad[] = {
	{ "", "file:1: stages: ( ... ); is missing" },
	{ "stages: (", "file:1: syntax error" },
	{ "stages: ();\nedges: 3;\n", "file:2: edges: ( ... ); is missing" },
	{ FILE_OF("", ""), "file:1: there is no stage of kind send" },
	{ FILE_OF(STAGES, EDGES) "colour = 3;\n",
	  "file:3: unknown setting: colour; there are stages and edges" },
	{ "\n  @include \"/etc/passwd\"\n",
	  "file:2: @include is not supported: a topology is one file" },
	{ FILE_OF("3", ""), "file:1: a stage is a group: { name = \"...\"; kind = \"...\"; }" },
	{ FILE_OF("{ name = \"a\"; }", ""), "file:1: a stage needs kind = \"...\"" },
	{ FILE_OF("{ name = \"a\"; kind = 3; }", ""), "file:1: a stage needs kind = \"...\"" },
	{ FILE_OF("{ name = \"a\"; kind = \"send\";\n speed = 3; }", ""),
	  "file:2: a stage has no speed: only name and kind" },
	{ FILE_OF("{ name = \"A\"; kind = \"send\"; }", ""),
	  "file:1: \"A\" is not a name of a stage: 1 to 20 characters of a-z, 0-9 and -, the first "
	  "a letter" },
	{ FILE_OF("{ name = \"\"; kind = \"send\"; }", ""),
	  "file:1: \"\" is not a name of a stage: 1 to 20 characters of a-z, 0-9 and -, the first "
	  "a letter" },
	{ FILE_OF("{ name = \"a12345678901234567890\"; kind = \"send\"; }", ""),
	  "file:1: \"a12345678901234567890\" is not a name of a stage: 1 to 20 characters of a-z, "
	  "0-9 and -, the first a letter" },
	{ FILE_OF("{ name = \"show\"; kind = \"send\"; }", ""),
	  "file:1: \"show\" is reserved: choose another name" },
	{ FILE_OF("{ name = \"a\"; kind = \"smoke\"; }", ""),
	  "file:1: unknown kind of stage: \"smoke\"; there are render, capture, encode, send and "
	  "probe" },
	{ FILE_OF(STAGES ",\n" SEND, EDGES),
	  "file:2: there already is a stage \"send\", in line 1" },
	{ FILE_OF(STAGES, EDGES ",\n" EDGE("render", "smoke")),
	  "file:3: an edge goes to \"smoke\", but there is no such stage" },
	{ FILE_OF(STAGES, EDGES ",\n" EDGE("smoke", "send")),
	  "file:3: an edge goes from \"smoke\", but there is no such stage" },
	{ FILE_OF(STAGES, EDGES ",\n" EDGE("send", "encode")),
	  "file:3: \"send\" has no output: it is a stage of kind send" },
	{ FILE_OF(STAGES ", { name = \"c\"; kind = \"capture\"; }",
		  EDGES ",\n" EDGE("render", "c")),
	  "file:3: \"c\" has no input: it is a stage of kind capture" },
	{ FILE_OF(STAGES, EDGE("render", "encode") ",\n" EDGE("render", "send")),
	  "file:3: \"render\" makes pictures, but \"send\" takes a bitstream" },
	{ FILE_OF(STAGES ", " PROBE, EDGES ",\n" EDGE("encode", "probe")),
	  "file:3: \"encode\" makes a bitstream, but \"probe\" takes pictures" },
	{ FILE_OF(STAGES ", { name = \"c\"; kind = \"capture\"; }",
		  EDGES ",\n" EDGE("c", "encode")),
	  "file:3: \"encode\" already has a producer, \"render\" in line 2: it can have only one" },
	{ FILE_OF(STAGES, EDGES ",\n" EDGE("render", "encode")),
	  "file:3: \"encode\" already has a producer, \"render\" in line 2: it can have only one" },
	{ FILE_OF(STAGES, EDGES ",\n" EDGE("render", "render")),
	  "file:3: the edges form a cycle through \"render\"" },
	{ FILE_OF(STAGES ", { name = \"a\"; kind = \"render\"; }, { name = \"b\"; kind = "
			 "\"render\"; }",
		  EDGES ",\n" EDGE("a", "b") ",\n" EDGE("b", "a")),
	  "file:4: the edges form a cycle through \"a\"" },
	{ FILE_OF(RENDER ", " ENCODE ",\n" SEND, EDGE("render", "encode")),
	  "file:1: \"encode\" has no consumer: an edge from it is missing" },
	{ FILE_OF(STAGES ",\n" PROBE, EDGES),
	  "file:2: \"probe\" has no producer: an edge to it is missing" },
	{ FILE_OF(STAGES ",\n{ name = \"idle\"; kind = \"render\"; }", EDGES),
	  "file:2: \"idle\" has no consumer: an edge from it is missing" },
	{ FILE_OF(STAGES
		  ", { name = \"e\"; kind = \"encode\"; },\n{ name = \"s\"; kind = \"send\"; "
		  "}",
		  EDGES ", " EDGE("render", "e") ", " EDGE("e", "s")),
	  "file:2: \"send\" already sends, in line 1: only one stage can send" },
	{ FILE_OF(STAGES ",\n{ name = \"s\"; kind = \"send\"; }", EDGES ", " EDGE("encode", "s")),
	  "file:3: \"encode\" already has the maximum of consumers, 1" },
};

START_TEST(refused)
{
	struct topology topology = { .count = 77 };
	char error[256] = "";
	int r = topology_parse("file", bad[_i].text, &topology, error, sizeof(error));
	ck_assert_str_eq(error, bad[_i].error);
	ck_assert_int_eq(r, -EINVAL);
	ck_assert_uint_eq(topology.count, 77);
}
END_TEST

/* As many stages as fit, and one more: a chain of renderers between the first one and the
 * encoder. */
START_TEST(many_stages)
{
	char text[4096], error[256] = "";
	struct topology topology;
	for (int count = TOPOLOGY_STAGES; count <= TOPOLOGY_STAGES + 1; count++) {
		size_t used = (size_t)snprintf(text, sizeof(text), "stages: (" ENCODE ", " SEND);
		for (int i = 2; i < count; i++) {
			used += (size_t)snprintf(text + used, sizeof(text) - used,
						 ",\n{ name = \"r%d\"; kind = \"render\"; }", i);
		}
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 ");\nedges: (" EDGE("encode", "send"));
		for (int i = 2; i < count; i++) {
			char to[16] = "encode";
			if (i > 2) {
				snprintf(to, sizeof(to), "r%d", i - 1);
			}
			used += (size_t)snprintf(text + used, sizeof(text) - used,
						 ",\n{ from = \"r%d\"; to = \"%s\"; }", i, to);
		}
		snprintf(text + used, sizeof(text) - used, ");\n");
		int r = topology_parse("file", text, &topology, error, sizeof(error));
		if (count == TOPOLOGY_STAGES) {
			ck_assert_msg(r == 0, "%s", error);
			ck_assert_uint_eq(topology.count, TOPOLOGY_STAGES);
			ck_assert_str_eq(topology.stages[0].name, "r15");
			ck_assert_str_eq(topology.stages[TOPOLOGY_STAGES - 1].name, "send");
		} else {
			ck_assert_int_eq(r, -EINVAL);
			ck_assert_str_eq(error, "file:16: more than 16 stages");
		}
	}
}
END_TEST

START_TEST(unreadable)
{
	struct topology topology;
	char error[256];
	ck_assert_int_eq(topology_load("/nonexistent", &topology, error, sizeof(error)), -ENOENT);
	ck_assert_str_eq(error, "/nonexistent: No such file or directory");
	ck_assert_int_eq(topology_load("/", &topology, error, sizeof(error)), -EIO);
	ck_assert_int_eq(topology_load("/dev/zero", &topology, error, sizeof(error)), -EFBIG);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_test(tcase, order);
	ADD_LOOP(tcase, refused, bad);
	tcase_add_test(tcase, many_stages);
	tcase_add_test(tcase, unreadable);
}

int main(void)
{
	return suite_main("topology", add);
}
