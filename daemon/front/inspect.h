// SPDX-License-Identifier: MIT
/* What the handlers of inspection requests share. Loop's thread only. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct client;

/* May this client be shown what belongs to that user? */
bool inspect_may_see(const struct client *client, uid_t uid);
