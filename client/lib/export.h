// SPDX-License-Identifier: MIT
/* The exports of a context that the daemon has not raised yet; its child, for the daemon's loss. */
#pragma once

struct fbk_context;

int exports_create(struct fbk_context *context); /* with the context, before anything is exported */
