// SPDX-License-Identifier: MIT
/* How much a stress run does: less with a sanitizer, which also limits the number of threads. */
#pragma once

#define SIGNALS_SHORT UINT64_C(100000)

#ifdef CHAOS_SANITIZED
#define FRAMES_SHORT UINT64_C(10000)
#define KILLS_SHORT  UINT64_C(60)
#define STOPS_SHORT  UINT64_C(15)
#define SIGNALS_SOAK UINT64_C(1000000)
#define FRAMES_SOAK  UINT64_C(500000)
#define KILLS_SOAK   UINT64_C(1500)
#define STOPS_SOAK   UINT64_C(300)
#define CROWD_MAX    200
#else
#define FRAMES_SHORT UINT64_C(50000)
#define KILLS_SHORT  UINT64_C(200)
#define STOPS_SHORT  UINT64_C(50)
#define SIGNALS_SOAK UINT64_C(10000000)
#define FRAMES_SOAK  UINT64_C(1000000)
#define KILLS_SOAK   UINT64_C(2000)
#define STOPS_SOAK   UINT64_C(400)
#define CROWD_MAX    8000
#endif
