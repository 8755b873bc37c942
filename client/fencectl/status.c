// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>

#include "fencectl.h"
#include "inspect.h"
#include "json.h"
#include "table.h"

static void print_usage(const Fbk__Wire__Status *status)
{
	static const struct table_column columns[] = {
		{ "UID", 1 },
		{ "RESOURCE", 0 },
		{ "USED", 1 },
		{ "LIMIT", 1 },
	};
	struct libscols_table *table = table_create(columns, 4);
	for (size_t i = 0; i < status->n_users; i++) {
		const Fbk__Wire__User *user = status->users[i];
		for (size_t j = 0; j < user->n_usage; j++) {
			const Fbk__Wire__Usage *usage = user->usage[j];
			const char *cells[] = { table_number(user->uid), usage->resource,
						table_number(usage->used),
						table_number(usage->limit) };
			table_row(table, cells, 4);
		}
	}
	table_print(table);
}

static int print_status(const Fbk__Wire__Status *status)
{
	printf("fencebrokerd %s (pid %d%s), protocol %u, up %llu s, policy %s\n",
	       status->daemon_version, status->pid, status->user_mode ? ", for this user" : "",
	       status->protocol_version, (unsigned long long)(status->uptime_ms / 1000),
	       status->policy);
	if (status->policy_problem[0]) {
		printf("the policy's files are not in force: %s\n", status->policy_problem);
	}
	printf("%u clients, %u devices, %u timelines, %u file descriptors\n\n", status->sessions,
	       status->devices, status->timelines, status->open_fds);
	for (size_t i = 0; i < status->n_counters; i++) {
		printf("  %-18s %llu\n", status->counters[i]->name,
		       (unsigned long long)status->counters[i]->value);
	}
	putchar('\n');
	for (size_t i = 0; i < status->n_kernel; i++) {
		const Fbk__Wire__KernelFeature *feature = status->kernel[i];
		printf("  %-18s %-8s %s\n", feature->name, feature->works ? "works" : "missing",
		       feature->note);
	}
	putchar('\n');
	print_usage(status);
	return EXIT_SUCCESS;
}

int verb_status(const struct options *options)
{
	struct fbk_context *context;
	struct reply reply;
	if (connect_or_explain(options, &context) < 0) {
		return EXIT_FAILURE;
	}
	int result;
	if (inspect_status(context, &reply) < 0) {
		result = explain_failure("status");
	} else {
		const Fbk__Wire__Status *status = reply.message->status;
		result = options->json ? json_print(json_from_message(&status->base))
				       : print_status(status);
		reply_finish(&reply);
	}
	fbk_disconnect(context);
	return result;
}
