// SPDX-License-Identifier: MIT
/* The version of the project, as text: the numbers are those of the public header. */
#pragma once

#include "client/include/fencebroker.h"

#define VERSION_TEXT_(a, b, c) #a "." #b "." #c
#define VERSION_TEXT(a, b, c)  VERSION_TEXT_(a, b, c)
#define FBK_VERSION_STRING     VERSION_TEXT(FBK_VERSION_MAJOR, FBK_VERSION_MINOR, FBK_VERSION_PATCH)
