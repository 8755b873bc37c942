// SPDX-License-Identifier: MIT
/* The formats of a link: those that this end gives before there is a peer, and those that both allow. Under the link's
 * lock, but for the first. */
#pragma once

#include <stddef.h>

#include "fencebroker.h"

struct fbk_link;
struct link_formats;

/* Give the daemon the list of a link that is about to be offered or accepted; its state timeline is there. */
int link_formats_send(const struct fbk_link *link, const struct fbk_link_desc *desc);
void link_formats_free(struct link_formats *formats);
