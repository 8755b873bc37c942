// SPDX-License-Identifier: MIT
/* Comparison of open file descriptions, which does not touch their files. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Do both descriptors refer to the same description? False too where neither the kernel (before Linux 6.10) nor the
 * sandbox lets that be asked. */
bool description_same(int a, int b);

/* The number of an eventfd, which no other has while it is open. 0: it has none that can be read. */
uint64_t description_eventfd_id(int fd);
