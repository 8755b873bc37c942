// SPDX-License-Identifier: MIT
/*
 * Words for the completion of shells, one a line: what may be typed, a tab, and what it is. Only words that a shell can show: the
 * daemon has made all else of them `?`. A shell has to quote them itself: a name may be `$(touch x)`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fencectl.h"
#include "inspect.h"

#define NAMES_MAX 500 /* more than anybody reads */

struct names {
	const char *what;
	inspect_list *ask;
	size_t (*print)(const Fbk__Wire__Message *message, uint64_t *ret_next);
};

static size_t print_devices(const Fbk__Wire__Message *message, uint64_t *ret_next)
{
	const Fbk__Wire__DeviceList *list = message->devices;
	for (size_t i = 0; i < list->n_devices; i++) {
		const Fbk__Wire__Device *device = list->devices[i];
		printf("%s\t%s of %s (pid %d)\n", device->name, device->class_, device->client,
		       device->pid);
	}
	*ret_next = list->next;
	return list->n_devices;
}

static size_t print_timelines(const Fbk__Wire__Message *message, uint64_t *ret_next)
{
	const Fbk__Wire__TimelineList *list = message->timelines;
	for (size_t i = 0; i < list->n_timelines; i++) {
		const Fbk__Wire__TimelineState *timeline = list->timelines[i];
		printf("%llu\t%s of %s (pid %d)\n", (unsigned long long)timeline->id,
		       timeline->name, timeline->device, timeline->pid);
	}
	*ret_next = list->next;
	return list->n_timelines;
}

static size_t print_timeline_names(const Fbk__Wire__Message *message, uint64_t *ret_next)
{
	const Fbk__Wire__TimelineList *list = message->timelines;
	for (size_t i = 0; i < list->n_timelines; i++) {
		printf("%s\ttimeline %llu of %s\n", list->timelines[i]->name,
		       (unsigned long long)list->timelines[i]->id, list->timelines[i]->device);
	}
	*ret_next = list->next;
	return list->n_timelines;
}

static size_t print_clients(const Fbk__Wire__Message *message, uint64_t *ret_next)
{
	const Fbk__Wire__ClientList *list = message->clients;
	for (size_t i = 0; i < list->n_clients; i++) {
		const Fbk__Wire__Client *client = list->clients[i];
		printf("%llu\t%s (pid %d, uid %u)\n", (unsigned long long)client->id, client->name,
		       client->pid, client->uid);
	}
	*ret_next = list->next;
	return list->n_clients;
}

static const struct names all_names[] = {
	{ "devices", inspect_devices, print_devices },
	{ "timelines", inspect_timelines, print_timelines },
	{ "timeline-names", inspect_timelines, print_timeline_names },
	{ "clients", inspect_clients, print_clients },
};

#define NAMES_COUNT (sizeof(all_names) / sizeof(all_names[0]))

static int names_show(const struct names *names, const struct options *options)
{
	struct fbk_context *context;
	uint64_t after = 0;
	size_t count = 0;
	int result = EXIT_SUCCESS;
	if (connect_or_explain(options, &context) < 0) {
		return EXIT_FAILURE;
	}
	do {
		struct reply reply;
		if (names->ask(context, after, options, 0, &reply) < 0) {
			result = explain_failure(names->what);
			break;
		}
		count += names->print(reply.message, &after);
		reply_finish(&reply);
	} while (after > 0 && count < NAMES_MAX);
	fbk_disconnect(context);
	return result;
}

int verb_names(const struct options *options)
{
	const char *what = options->operands[0];
	if (strcmp(what, "verbs") == 0) {
		verbs_print();
		return EXIT_SUCCESS;
	}
	if (strcmp(what, "options") == 0) {
		options_print();
		return EXIT_SUCCESS;
	}
	for (size_t i = 0; i < NAMES_COUNT; i++) {
		if (strcmp(what, all_names[i].what) == 0) {
			return names_show(&all_names[i], options);
		}
	}
	fprintf(stderr,
		"fencectl: names: %s is none of verbs, options, devices, timelines, "
		"timeline-names and clients\n",
		what);
	return EXIT_USAGE;
}
