// SPDX-License-Identifier: MIT
/* The consumer's end of a link. */
#pragma once

#include "fencebroker.h"

int role_consumer_create(struct fbk_link *link); /* makes link->consumer; -ENOMEM */

/* On its lane, for the producer. Once, before there is one. */
void role_consumer_want(struct fbk_link *link, const struct fbk_consumer_desc *desc);
