// SPDX-License-Identifier: MIT
/* Notifications to the service manager that started the daemon, if one did: see sd_notify(3). Loop's thread only. A service
 * manager that hangs is waited for a second at most; an outlet sends what it takes later. */
#pragma once

__attribute__((format(printf, 1, 2))) void notify_manager(const char *format, ...);
