// SPDX-License-Identifier: MIT
/* The sentence of this thread's last failure, for fbk_error_detail(). Any thread, any lock. */
#pragma once

#include "proto/error.h"

/* Both return `error`; the second has the errno's own sentence. */
__attribute__((format(printf, 2, 3))) int error_set(int error, const char *format, ...);
int error_plain(int error);
