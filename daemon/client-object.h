// SPDX-License-Identifier: MIT
/* What a client numbers for its client besides timelines: its share sets. Loop's thread only. */
#pragma once

#include <stdint.h>

#include "client.h"
#include "set.h"

int client_set_create(struct client *client, uint32_t *ret_number);
int client_set_destroy(struct client *client, uint32_t number); /* -ENOENT */
struct set *client_set_find(const struct client *client, uint32_t number);

/* The last step of a client: its sets and devices. */
void client_objects_destroy(struct client *client);
