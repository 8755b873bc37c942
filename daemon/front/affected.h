// SPDX-License-Identifier: MIT
/*
 * What an administrator's request ends and who waits for that, as sentences of an Affected reply. Looks at no payload and
 * changes nothing. Loop's thread only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/fencebroker.pb-c.h"
#include "proto/wire.h"

struct client;
struct timeline;
struct translator;

#define AFFECTED_SENTENCE 256 /* bytes of a sentence, with the NUL */
#define AFFECTED_MAX      192 /* sentences in a reply, beside the last */
/* Each sentence has a tag and a length of two bytes in the packet; the message around them takes a few more. */
#define AFFECTED_BYTES (WIRE_PACKET_MAX - 64 - AFFECTED_SENTENCE - 2 * AFFECTED_MAX)
/* Waits are looked for among this many handles, watches and exports at most. */
#define AFFECTED_WORK_MAX 65536

struct affected {
	Fbk__Wire__Affected message;
	char *list[AFFECTED_MAX + 1];
	char bytes[AFFECTED_BYTES];
	char last[AFFECTED_SENTENCE];
	size_t used;
	uint64_t more; /* sentences that did not fit */
	unsigned int work;
};

/* The timeline, and all clients that wait for a point of it. */
void affected_by_timeline(struct affected *ret, const struct translator *translator,
			  const struct timeline *timeline);

/* The client, the timelines that it signals, and all other clients that wait for these. */
void affected_by_client(struct affected *ret, const struct translator *translator,
			const struct client *client);
