// SPDX-License-Identifier: MIT
/* What the daemon has counted since it started. Loop's thread only. */
#pragma once

#include <stdint.h>

/* `fencectl status` shows the counters by these names. */
#define COUNTERS(X)                                                      \
	X(connections, "clients accepted")                               \
	X(refused, "clients refused")                                    \
	X(requests, "requests served")                                   \
	X(errors, "requests answered with an error")                     \
	X(malformed, "connections ended for a malformed packet")         \
	X(bells, "doorbell wake-ups")                                    \
	X(looks, "timelines looked at")                                  \
	X(watcher_polls, "payloads polled for silent devices")           \
	X(watcher_hits, "points of silent devices found by polling")     \
	X(waits, "waits armed through shared memory")                    \
	X(wakes, "cells woken")                                          \
	X(watches, "watches armed")                                      \
	X(watches_fired, "watches delivered")                            \
	X(watches_expired, "watches ended by their deadline")            \
	X(exports, "exports made")                                       \
	X(exports_fired, "exports fired because the point was decided")  \
	X(exports_expired, "exports fired by their deadline")            \
	X(imports, "kernel fences imported")                             \
	X(imports_done, "imported fences that signalled")                \
	X(imports_failed, "imported fences that failed")                 \
	X(imports_late, "imported fences that took long")                \
	X(promises, "promises made to the kernel")                       \
	X(promises_kept, "promises kept")                                \
	X(promises_broken, "promises ended without their point")         \
	X(mirrors, "mirrors made")                                       \
	X(mirror_signals, "syncobjs signalled by mirrors")               \
	X(cycles_refused, "waits refused for they close a cycle")        \
	X(fds_refused, "file descriptors refused")                       \
	X(timelines_failed, "timelines failed")                          \
	X(bus_calls, "calls over the bus")                               \
	X(bus_turn_max_us, "the most CPU time of a turn at the bus, us") \
	X(bus_signals_dropped, "signals above a subscriber's allowance") \
	X(log_lines_unread, "log lines not written: nobody read them")   \
	X(log_lines_dropped, "log lines not written: their user had too many")

struct counters {
#define X(name, what) uint64_t name;
	COUNTERS(X)
#undef X
};
