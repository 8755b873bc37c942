// SPDX-License-Identifier: MIT
/* What a person who waits sees on standard error: where a row is, on a terminal; else one line for
 * each row that is done. */
#pragma once

void progress_init(void);
void progress_show(const char *row, const char *step, unsigned int done, unsigned int all);
void progress_done(const char *row, const char *verdict);
