// SPDX-License-Identifier: MIT
/* The whole on one screen: of what there may be many, the first, and how many more `--all` shows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/request.h"
#include "fencectl.h"
#include "inspect.h"
#include "json.h"
#include "table.h"

#define COUNTER_WIDTH 24 /* a name; the number follows */
#define COUNTER_ROWS  7
#define USERS_SHOWN   4

static void more(size_t count, const char *what)
{
	if (count > 0) {
		printf("and %zu more %s: --all\n", count, what);
	}
}

static size_t counters_per_row(void)
{
	size_t count = table_width() / (COUNTER_WIDTH + 2);
	return count > 0 ? count : 1;
}

static void print_counters(const Fbk__Wire__Status *status, bool all)
{
	size_t per_row = all ? 1 : counters_per_row();
	size_t shown = 0, left = 0;
	for (size_t i = 0; i < status->n_counters; i++) {
		const Fbk__Wire__Counter *counter = status->counters[i];
		if (!all && counter->value == 0) {
			continue;
		}
		if (!all && shown == COUNTER_ROWS * per_row) {
			left++;
			continue;
		}
		int room = COUNTER_WIDTH - 1 - (int)strlen(counter->name);
		printf("%s%s %*llu", shown % per_row == 0 ? "" : "  ", counter->name,
		       room > 0 ? room : 1, (unsigned long long)counter->value);
		shown++;
		if (shown % per_row == 0) {
			putchar('\n');
		}
	}
	if (shown % per_row != 0) {
		putchar('\n');
	}
	more(left, "counters");
}

static void print_kernel_all(const Fbk__Wire__Status *status)
{
	static const struct table_column columns[] = {
		{ .name = "KERNEL" },
		{ .name = "RESULT" },
		{ .name = "SEEN" },
	};
	struct table *table = table_create(columns, 3);
	for (size_t i = 0; i < status->n_kernel; i++) {
		const Fbk__Wire__KernelFeature *feature = status->kernel[i];
		const char *cells[] = { feature->name, feature->works ? "works" : "missing",
					feature->note };
		table_row(table, cells, 3);
	}
	table_print(table);
}

/* "kernel lacks: vgem, ..." */
static void print_kernel(const Fbk__Wire__Status *status)
{
	char text[512] = "";
	size_t used = 0;
	for (size_t i = 0; i < status->n_kernel && used < sizeof(text); i++) {
		if (!status->kernel[i]->works) {
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
						 used > 0 ? ", " : "", status->kernel[i]->name);
		}
	}
	printf("kernel lacks: ");
	text_wrap(used > 0 ? text : "nothing", strlen("kernel lacks: "));
}

static void add_usage(struct table *table, const Fbk__Wire__User *user,
		      const Fbk__Wire__Usage *usage)
{
	const char *cells[] = { table_number(user->uid), usage->resource, table_number(usage->used),
				table_number(usage->limit) };
	table_row(table, cells, 4);
}

static void print_users_all(const Fbk__Wire__Status *status)
{
	static const struct table_column columns[] = {
		{ .name = "UID", .right = 1 },
		{ .name = "RESOURCE" },
		{ .name = "USED", .right = 1 },
		{ .name = "LIMIT", .right = 1 },
	};
	struct table *table = table_create(columns, 4);
	for (size_t i = 0; i < status->n_users; i++) {
		for (size_t j = 0; j < status->users[i]->n_usage; j++) {
			add_usage(table, status->users[i], status->users[i]->usage[j]);
		}
	}
	table_print(table);
}

static double usage_part(const Fbk__Wire__Usage *usage)
{
	return usage->used == 0 ? 0
				: (double)usage->used / (double)(usage->limit ? usage->limit : 1);
}

static const Fbk__Wire__Usage *user_nearest(const Fbk__Wire__User *user)
{
	const Fbk__Wire__Usage *nearest = NULL;
	for (size_t i = 0; i < user->n_usage; i++) {
		if (!nearest || usage_part(user->usage[i]) > usage_part(nearest)) {
			nearest = user->usage[i];
		}
	}
	return nearest;
}

static int users_compare(const void *a, const void *b)
{
	const Fbk__Wire__Usage *left = user_nearest(*(Fbk__Wire__User *const *)a);
	const Fbk__Wire__Usage *right = user_nearest(*(Fbk__Wire__User *const *)b);
	double l = left ? usage_part(left) : 0, r = right ? usage_part(right) : 0;
	return l < r ? 1 : l > r ? -1 : 0;
}

/* The users that are nearest to a limit, each with that one. */
static void print_users(const Fbk__Wire__Status *status)
{
	static const struct table_column columns[] = {
		{ .name = "UID", .right = 1 },
		{ .name = "NEAREST LIMIT" },
		{ .name = "USED", .right = 1 },
		{ .name = "LIMIT", .right = 1 },
	};
	struct table *table = table_create(columns, 4);
	qsort(status->users, status->n_users, sizeof(Fbk__Wire__User *), users_compare);
	for (size_t i = 0; i < status->n_users && i < USERS_SHOWN; i++) {
		const Fbk__Wire__Usage *nearest = user_nearest(status->users[i]);
		if (nearest) {
			add_usage(table, status->users[i], nearest);
		}
	}
	table_print(table);
	more(status->n_users > USERS_SHOWN ? status->n_users - USERS_SHOWN : 0, "users");
}

static int print_status(const Fbk__Wire__Status *status, bool all)
{
	printf("fencebrokerd %s (pid %d%s), protocol %u, up %s\npolicy: ", status->daemon_version,
	       status->pid, status->user_mode ? ", for this user" : "", status->protocol_version,
	       table_age(status->uptime_ms));
	text_wrap(status->policy, strlen("policy: "));
	if (status->policy_problem[0]) {
		static const char title[] = "the policy's files are not in force: ";
		fputs(title, stdout);
		text_wrap(status->policy_problem, strlen(title));
	}
	printf("%u clients, %u devices, %u timelines, %u file descriptors\n\n", status->sessions,
	       status->devices, status->timelines, status->open_fds);
	print_counters(status, all);
	putchar('\n');
	if (all) {
		print_kernel_all(status);
		putchar('\n');
		print_users_all(status);
	} else {
		print_kernel(status);
		putchar('\n');
		print_users(status);
	}
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
				       : print_status(status, options->all);
		reply_finish(&reply);
	}
	fbk_disconnect(context);
	return result;
}
