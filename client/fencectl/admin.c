// SPDX-License-Identifier: MIT
#include "admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/lib/error.h"
#include "client/lib/request.h"
#include "json.h"
#include "proto/wire.h"

#define ADMIN_TIMEOUT_NS (ADMIN_TIMEOUT_S * UINT64_C(1000000000))

void sentences_free(char **sentences)
{
	for (char **at = sentences; at && *at; at++) {
		free(*at);
	}
	free(sentences);
}

/* ------------------------------------------------------------------------------ over the socket -- */

static int sentences_copy(const Fbk__Wire__Affected *affected, char ***ret_sentences)
{
	char **sentences = calloc(affected->n_text + 1, sizeof(*sentences));
	for (size_t i = 0; sentences && i < affected->n_text; i++) {
		sentences[i] = strdup(affected->text[i]);
		if (!sentences[i]) {
			sentences_free(sentences);
			sentences = NULL;
		}
	}
	if (!sentences) {
		return error_set(-ENOMEM, "out of memory");
	}
	*ret_sentences = sentences;
	return 0;
}

static int ask(struct fbk_context *context, Fbk__Wire__Request *request, char ***ret_sentences)
{
	struct reply reply;
	int r = request_call_within(context, request, ADMIN_TIMEOUT_NS, &reply);
	if (r < 0) {
		return r;
	}
	if (!ret_sentences) {
		r = 0;
	} else if (reply.message->body_case == FBK__WIRE__MESSAGE__BODY_AFFECTED) {
		r = sentences_copy(reply.message->affected, ret_sentences);
	} else {
		r = error_set(-EPROTO, "the daemon answered something else");
	}
	reply_finish(&reply);
	return r;
}

static int ask_fail(struct fbk_context *context, const struct admin_request *request,
		    char ***ret_sentences)
{
	REQUEST(wire, ADMIN_FAIL, admin_fail, .id = request->id,
		.reason = request_text(request->reason), .dry_run = request->dry_run);
	return ask(context, &wire, ret_sentences);
}

static int ask_evict(struct fbk_context *context, const struct admin_request *request,
		     char ***ret_sentences)
{
	REQUEST(wire, ADMIN_EVICT, admin_evict, .client = request->id,
		.reason = request_text(request->reason), .dry_run = request->dry_run);
	return ask(context, &wire, ret_sentences);
}

static int ask_reload(struct fbk_context *context)
{
	REQUEST(wire, ADMIN_RELOAD, admin_reload);
	return ask(context, &wire, NULL);
}

static int admin_over_socket(const struct admin_request *request, const char *name,
			     const struct options *options, char ***ret_sentences)
{
	struct fbk_context *context;
	int r = connect_or_explain(options, &context);
	if (r < 0) {
		return r;
	}
	switch (request->what) {
	case ADMIN_FAIL:
		r = ask_fail(context, request, ret_sentences);
		break;
	case ADMIN_EVICT:
		r = ask_evict(context, request, ret_sentences);
		break;
	case ADMIN_RELOAD:
		r = ask_reload(context);
		break;
	}
	if (r < 0) {
		explain_failure(name);
	}
	fbk_disconnect(context);
	return r;
}

/* ------------------------------------------------------------------------------- one of the two -- */

/* Whoever names a socket means the daemon behind that one, which may be on no bus. */
static bool socket_is_given(const struct options *options)
{
	const char *environment = secure_getenv("FENCEBROKER_SOCKET");
	return options->socket || (environment && environment[0]);
}

/* The library connects to the user's own daemon where there is one: ask for the same on its bus. */
static enum admin_bus bus_of_daemon(void)
{
	char path[512];
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
	snprintf(path, sizeof(path), "%s/fencebroker/socket", runtime ? runtime : "");
	return runtime && runtime[0] && access(path, F_OK) == 0 ? ADMIN_BUS_SESSION
								: ADMIN_BUS_SYSTEM;
}

static int print_json(char **sentences)
{
	struct json_object *array = json_object_new_array();
	for (char **at = sentences; at && *at; at++) {
		json_object_array_add(array, json_object_new_string(*at));
	}
	return json_print(array);
}

static int print(char **sentences, bool json)
{
	if (json) {
		return print_json(sentences);
	}
	for (char **at = sentences; at && *at; at++) {
		puts(*at);
	}
	return EXIT_SUCCESS;
}

int admin_run(const struct admin_request *request, const char *name, const struct options *options)
{
	char **sentences = NULL;
	char ***wanted = request->what == ADMIN_RELOAD ? NULL : &sentences;
	int r = -ENOTCONN;
	if (!socket_is_given(options)) {
		r = admin_over_bus(request, name, bus_of_daemon(), wanted);
	}
	if (r == -ENOTCONN) {
		r = admin_over_socket(request, name, options, wanted);
	}
	if (r < 0) {
		return EXIT_FAILURE;
	}
	int result = wanted ? print(sentences, options->json) : EXIT_SUCCESS;
	sentences_free(sentences);
	return result;
}

int admin_run_about(enum admin_what what, const char *name, const struct options *options)
{
	char reason[FBK_REASON_SIZE]; /* what the daemon keeps of it */
	struct admin_request request = { .what = what,
					 .reason = reason,
					 .dry_run = options->dry_run };
	if (!number_read(options->operands[0], &request.id)) {
		fprintf(stderr, "fencectl: %s: %s is not an id\n", name, options->operands[0]);
		return EXIT_USAGE;
	}
	wire_text_copy(reason, sizeof(reason), options->operands[1]);
	return admin_run(&request, name, options);
}
