// SPDX-License-Identifier: MIT
#pragma once

#include <check.h>

/* ck_assert() reports each success too, which makes long loops slow. */
#define EXPECT(condition)                                                          \
	do {                                                                       \
		if (!(condition)) {                                                \
			ck_abort_msg("%s:%d: %s", __FILE__, __LINE__, #condition); \
		}                                                                  \
	} while (0)
