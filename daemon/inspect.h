// SPDX-License-Identifier: MIT
/* What the handlers of inspection share. Loop's thread only. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct session;

/* What belongs to this user. */
bool inspect_may_see(const struct session *session, uid_t uid);
