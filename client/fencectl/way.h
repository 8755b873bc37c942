// SPDX-License-Identifier: MIT
/* Ways out as commands of this machine: of its distribution, its kernel and its groups. All return a text that stays. */
#pragma once

/* What is called differently: "polkit" on Fedora is "polkitd" on Debian. */
enum way_package {
	WAY_POLKIT,
	WAY_DBUS,
	WAY_DBUS_USER,
	WAY_PACKAGES,
};

/* "`apt-get install polkitd`"; of an unknown distribution "install polkit". */
const char *way_install(enum way_package package);

/* "`modprobe udmabuf`", or how to get a kernel that has it. */
const char *way_module(const char *module);

/* To open that file, which belongs to a group: "`usermod -aG render alice`, then log in again". */
const char *way_open(const char *path);

/* Any other text with these in it. */
__attribute__((format(printf, 1, 2))) const char *way_say(const char *format, ...);

/* "`sysctl -w NAME=VALUE`" */
const char *way_sysctl(const char *name, const char *value);
