// SPDX-License-Identifier: MIT
#include "topology.h"

#include <errno.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX (64 * 1024)
#define LETTERS  "abcdefghijklmnopqrstuvwxyz"

/* Input and output kinds. */
enum stuff { NOTHING, PICTURES, BITSTREAM };

static const struct {
	const char *name;
	enum stuff in, out;
	bool source; /* needs no producer */
	size_t outputs;
} kinds[TOPOLOGY_KINDS] = {
	[TOPOLOGY_RENDER] = { "render", PICTURES, PICTURES, true, TOPOLOGY_OUTPUTS },
	[TOPOLOGY_CAPTURE] = { "capture", NOTHING, PICTURES, true, TOPOLOGY_OUTPUTS },
	[TOPOLOGY_ENCODE] = { "encode", PICTURES, BITSTREAM, false, 1 },
	[TOPOLOGY_SEND] = { "send", BITSTREAM, NOTHING, false, 0 },
	[TOPOLOGY_PROBE] = { "probe", PICTURES, NOTHING, false, 0 },
};

static const char *const stuffs[] = { "nothing", "pictures", "a bitstream" };

struct reader {
	const char *name;
	char *error;
	size_t error_size;
	struct topology topology;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct reader *reader, unsigned int line,
							const char *format, ...)
{
	va_list arguments;
	int used = snprintf(reader->error, reader->error_size, "%s:%u: ", reader->name, line);
	if (used > 0 && (size_t)used < reader->error_size) {
		va_start(arguments, format);
		vsnprintf(reader->error + used, reader->error_size - (size_t)used, format,
			  arguments);
		va_end(arguments);
	}
	return -EINVAL;
}

static unsigned int line_of(const config_setting_t *setting)
{
	return config_setting_source_line(setting);
}

static struct topology_stage *stage_find(struct topology *topology, const char *name)
{
	for (size_t i = 0; i < topology->count; i++) {
		if (strcmp(topology->stages[i].name, name) == 0) {
			return &topology->stages[i];
		}
	}
	return NULL;
}

/* -------------------------------------------------------------------------------- what is there -- */

/* A group of these two strings only. */
static int pair_read(struct reader *reader, const config_setting_t *group, const char *what,
		     const char *const keys[2], const char *ret_values[2])
{
	unsigned int line = line_of(group);
	if (!config_setting_is_group(group)) {
		return refuse(reader, line, "%s is a group: { %s = \"...\"; %s = \"...\"; }", what,
			      keys[0], keys[1]);
	}
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *setting = config_setting_get_elem(group, (unsigned int)i);
		const char *key = config_setting_name(setting);
		if (strcmp(key, keys[0]) != 0 && strcmp(key, keys[1]) != 0) {
			return refuse(reader, line_of(setting), "%s has no %s: only %s and %s",
				      what, key, keys[0], keys[1]);
		}
	}
	for (size_t i = 0; i < 2; i++) {
		if (!config_setting_lookup_string(group, keys[i], &ret_values[i])) {
			return refuse(reader, line, "%s needs %s = \"...\"", what, keys[i]);
		}
	}
	return 0;
}

static int kind_read(struct reader *reader, unsigned int line, const char *name,
		     enum topology_kind *ret_kind)
{
	for (unsigned int i = 0; i < TOPOLOGY_KINDS; i++) {
		if (strcmp(kinds[i].name, name) == 0) {
			*ret_kind = i;
			return 0;
		}
	}
	return refuse(
		reader, line,
		"unknown kind of stage: \"%s\"; there are render, capture, encode, send and probe",
		name);
}

/* Names that the run uses for its own files. */
static bool is_reserved(const char *name)
{
	static const char *const reserved[] = { "show", "receive", "verify", "daemon", "ffprobe" };
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		if (strcmp(name, reserved[i]) == 0) {
			return true;
		}
	}
	return false;
}

static int stage_read(struct reader *reader, const config_setting_t *group)
{
	static const char *const keys[2] = { "name", "kind" };
	struct topology *topology = &reader->topology;
	const char *values[2];
	unsigned int line = line_of(group);
	struct topology_stage stage = { .line = line };
	int r = pair_read(reader, group, "a stage", keys, values);
	if (r < 0) {
		return r;
	}
	size_t length = strlen(values[0]);
	if (length == 0 || length >= sizeof(stage.name) || !strchr(LETTERS, values[0][0]) ||
	    strspn(values[0], LETTERS "0123456789-") != length) {
		return refuse(
			reader, line,
			"\"%s\" is not a name of a stage: 1 to %d characters of a-z, 0-9 and -, "
			"the first a letter",
			values[0], TOPOLOGY_NAME - 1);
	}
	if (is_reserved(values[0])) {
		return refuse(reader, line, "\"%s\" is reserved: choose another name", values[0]);
	}
	const struct topology_stage *other = stage_find(topology, values[0]);
	if (other) {
		return refuse(reader, line, "there already is a stage \"%s\", in line %u",
			      values[0], other->line);
	}
	if (topology->count == TOPOLOGY_STAGES) {
		return refuse(reader, line, "more than %d stages", TOPOLOGY_STAGES);
	}
	r = kind_read(reader, line, values[1], &stage.kind);
	if (r == 0) {
		memcpy(stage.name, values[0], length + 1);
		topology->stages[topology->count++] = stage;
	}
	return r;
}

/* ------------------------------------------------------------------------------- hand-overs -- */

static int edge_check(struct reader *reader, unsigned int line, const struct topology_stage *from,
		      const struct topology_stage *to)
{
	enum stuff out = kinds[from->kind].out, in = kinds[to->kind].in;
	if (out == NOTHING || in == NOTHING) {
		const struct topology_stage *end = out == NOTHING ? from : to;
		return refuse(reader, line, "\"%s\" has no %s: it is a stage of kind %s", end->name,
			      out == NOTHING ? "output" : "input", kinds[end->kind].name);
	}
	if (out != in) {
		return refuse(reader, line, "\"%s\" makes %s, but \"%s\" takes %s", from->name,
			      stuffs[out], to->name, stuffs[in]);
	}
	if (to->from_line > 0) {
		return refuse(
			reader, line,
			"\"%s\" already has a producer, \"%s\" in line %u: it can have only one",
			to->name, reader->topology.stages[to->from].name, to->from_line);
	}
	if (from->to_count == kinds[from->kind].outputs) {
		return refuse(reader, line, "\"%s\" already has the maximum of consumers, %zu",
			      from->name, from->to_count);
	}
	return 0;
}

static int edge_read(struct reader *reader, const config_setting_t *group)
{
	static const char *const keys[2] = { "from", "to" };
	struct topology *topology = &reader->topology;
	struct topology_stage *ends[2];
	const char *values[2];
	unsigned int line = line_of(group);
	int r = pair_read(reader, group, "an edge", keys, values);
	for (size_t i = 0; r == 0 && i < 2; i++) {
		ends[i] = stage_find(topology, values[i]);
		if (!ends[i]) {
			r = refuse(reader, line,
				   "an edge goes %s \"%s\", but there is no such stage", keys[i],
				   values[i]);
		}
	}
	if (r == 0) {
		r = edge_check(reader, line, ends[0], ends[1]);
	}
	if (r == 0) {
		ends[0]->to[ends[0]->to_count++] = (size_t)(ends[1] - topology->stages);
		ends[1]->from = (size_t)(ends[0] - topology->stages);
		ends[1]->from_line = line;
	}
	return r;
}

/* Following the producers from each stage must reach a source. */
static int circles_check(struct reader *reader)
{
	struct topology_stage *stages = reader->topology.stages;
	for (size_t i = 0; i < reader->topology.count; i++) {
		const struct topology_stage *at = &stages[i];
		for (size_t steps = 0; at->from_line > 0; steps++) {
			at = &stages[at->from];
			if (at == &stages[i]) {
				return refuse(reader, at->from_line,
					      "the edges form a cycle through \"%s\"", at->name);
			}
			if (steps > reader->topology.count) {
				break; /* a circle without this stage: found from its members */
			}
		}
	}
	return 0;
}

static int ends_check(struct reader *reader)
{
	const struct topology_stage *sender = NULL;
	for (size_t i = 0; i < reader->topology.count; i++) {
		const struct topology_stage *stage = &reader->topology.stages[i];
		if (stage->from_line == 0 && !kinds[stage->kind].source) {
			return refuse(reader, stage->line,
				      "\"%s\" has no producer: an edge to it is missing",
				      stage->name);
		}
		if (stage->to_count == 0 && kinds[stage->kind].out != NOTHING) {
			return refuse(reader, stage->line,
				      "\"%s\" has no consumer: an edge from it is missing",
				      stage->name);
		}
		if (stage->kind == TOPOLOGY_SEND && sender) {
			return refuse(reader, stage->line,
				      "\"%s\" already sends, in line %u: only one stage can send",
				      sender->name, sender->line);
		}
		sender = stage->kind == TOPOLOGY_SEND ? stage : sender;
	}
	return sender ? 0 : refuse(reader, 1, "there is no stage of kind send");
}

/* -------------------------------------------------------------------------------------- a file -- */

static int list_read(struct reader *reader, const config_t *config, const char *key,
		     int (*read)(struct reader *reader, const config_setting_t *group))
{
	const config_setting_t *list = config_lookup(config, key);
	int r = 0;
	if (!list || !config_setting_is_list(list)) {
		return refuse(reader, list ? line_of(list) : 1, "%s: ( ... ); is missing", key);
	}
	for (int i = 0; r == 0 && i < config_setting_length(list); i++) {
		r = read(reader, config_setting_get_elem(list, (unsigned int)i));
	}
	return r;
}

static int tree_read(struct reader *reader, const config_t *config)
{
	const config_setting_t *root = config_root_setting(config);
	for (int i = 0; i < config_setting_length(root); i++) {
		const config_setting_t *setting = config_setting_get_elem(root, (unsigned int)i);
		const char *key = config_setting_name(setting);
		if (strcmp(key, "stages") != 0 && strcmp(key, "edges") != 0) {
			return refuse(reader, line_of(setting),
				      "unknown setting: %s; there are stages and edges", key);
		}
	}
	int r = list_read(reader, config, "stages", stage_read);
	if (r == 0) {
		r = list_read(reader, config, "edges", edge_read);
	}
	if (r == 0) {
		r = circles_check(reader);
	}
	return r < 0 ? r : ends_check(reader);
}

/* Producers before consumers, otherwise in the order of the file. */
static void order(const struct topology *topology, struct topology *ret_topology)
{
	size_t places[TOPOLOGY_STAGES] = { 0 }; /* from 1; 0: not yet */
	*ret_topology = (struct topology){ 0 };
	while (ret_topology->count < topology->count) {
		for (size_t i = 0; i < topology->count; i++) {
			const struct topology_stage *stage = &topology->stages[i];
			if (!places[i] && (stage->from_line == 0 || places[stage->from])) {
				ret_topology->stages[ret_topology->count++] = *stage;
				places[i] = ret_topology->count;
			}
		}
	}
	for (size_t i = 0; i < ret_topology->count; i++) {
		struct topology_stage *stage = &ret_topology->stages[i];
		stage->from = stage->from_line > 0 ? places[stage->from] - 1 : 0;
		for (size_t k = 0; k < stage->to_count; k++) {
			stage->to[k] = places[stage->to[k]] - 1;
		}
	}
}

/* @include would open other paths. */
static bool includes(const char *text, unsigned int *ret_line)
{
	*ret_line = 1;
	for (const char *at = text; *at; at += *at == '\n') {
		at += strspn(at, " \t");
		if (*at == '@') {
			return true;
		}
		at += strcspn(at, "\n");
		++*ret_line;
	}
	return false;
}

int topology_parse(const char *name, const char *text, struct topology *ret_topology, char *error,
		   size_t error_size)
{
	struct reader reader = { .name = name, .error = error, .error_size = error_size };
	unsigned int line;
	config_t config;
	if (includes(text, &line)) {
		return refuse(&reader, line, "@include is not supported: a topology is one file");
	}
	config_init(&config);
	int r = config_read_string(&config, text)
			? tree_read(&reader, &config)
			: refuse(&reader, (unsigned int)config_error_line(&config), "%s",
				 config_error_text(&config));
	config_destroy(&config);
	if (r == 0) {
		order(&reader.topology, ret_topology);
	}
	return r;
}

int topology_load(const char *path, struct topology *ret_topology, char *error, size_t error_size)
{
	static char text[FILE_MAX];
	FILE *file = fopen(path, "re");
	int r = file ? 0 : -errno;
	size_t size = file ? fread(text, 1, sizeof(text), file) : 0;
	if (file) {
		r = ferror(file) ? -EIO : size == sizeof(text) ? -EFBIG : 0;
		fclose(file);
	}
	if (r < 0) {
		snprintf(error, error_size, "%s: %s", path, strerror(-r));
		return r;
	}
	text[size] = '\0';
	return topology_parse(path, text, ret_topology, error, error_size);
}

const char *topology_program(const struct topology_stage *stage)
{
	bool composes = stage->kind == TOPOLOGY_RENDER && stage->from_line > 0;
	return composes ? "compose" : kinds[stage->kind].name;
}

const char *topology_kind_name(enum topology_kind kind)
{
	return kinds[kind].name;
}
