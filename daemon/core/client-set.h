// SPDX-License-Identifier: MIT
/* The share sets of a client, by the client's numbers for them. Loop's thread only. */
#pragma once

#include <stdint.h>

#include "client.h"
#include "set.h"

/* One of that number is found again. */
int client_set_create(struct client *client, uint32_t number);
int client_set_destroy(struct client *client, uint32_t number);            /* -ENOENT */
struct set *client_set_find(const struct client *client, uint32_t number); /* or NULL */

extern const struct observer client_set_observer;
