// SPDX-License-Identifier: MIT
/* Rounds that leave everything as it was: here and at the daemon, in fds and in memory. */
#pragma once

#include "lib-daemon.h"

/* Fails the running test unless it does. `settle` waits until the daemon has all that was sent. ./test --soak: 10,000 rounds. */
void expect_constant(const struct daemon *daemon, void (*round)(void), void (*settle)(void));
