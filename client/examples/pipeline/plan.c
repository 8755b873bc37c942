// SPDX-License-Identifier: MIT
/*
 * Reads a topology and prints it as JSON, for the script that starts the stages. Exits with 2 and the line of
 * the error if the file is invalid.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology.h"

static void add_string(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, json_object_new_string(value));
}

static struct json_object *stage_json(const struct topology *topology,
				      const struct topology_stage *stage)
{
	struct json_object *object = json_object_new_object();
	struct json_object *to = json_object_new_array();
	add_string(object, "name", stage->name);
	add_string(object, "kind", topology_kind_name(stage->kind));
	add_string(object, "program", topology_program(stage));
	if (stage->from_line > 0) {
		add_string(object, "from", topology->stages[stage->from].name);
	}
	for (size_t i = 0; i < stage->to_count; i++) {
		json_object_array_add(to,
				      json_object_new_string(topology->stages[stage->to[i]].name));
	}
	json_object_object_add(object, "to", to);
	return object;
}

int main(int argc, char **argv)
{
	struct topology topology;
	char error[512];
	if (argc != 2 || argv[1][0] == '-') {
		printf("Usage: %s FILE\n", argv[0]);
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : 2;
	}
	if (topology_load(argv[1], &topology, error, sizeof(error)) < 0) {
		fprintf(stderr, "%s\n", error);
		return 2;
	}
	struct json_object *stages = json_object_new_array();
	for (size_t i = 0; i < topology.count; i++) {
		json_object_array_add(stages, stage_json(&topology, &topology.stages[i]));
	}
	printf("%s\n", json_object_to_json_string(stages));
	json_object_put(stages);
	return EXIT_SUCCESS;
}
