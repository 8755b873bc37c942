// SPDX-License-Identifier: MIT
/* What a session numbers for its client besides timelines: its share sets. Loop's thread only. */
#pragma once

#include <stdint.h>

#include "session.h"
#include "set.h"

int session_set_create(struct session *session, uint32_t *ret_number);
int session_set_destroy(struct session *session, uint32_t number); /* -ENOENT */
struct set *session_set_find(const struct session *session, uint32_t number);

/* The last step of a session: its sets and devices. */
void session_objects_destroy(struct session *session);
