// SPDX-License-Identifier: MIT
#include "bus-address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYSTEM_BUS "unix:path=/run/dbus/system_bus_socket"

static int hex_digit(char digit)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *found = digit ? strchr(digits, digit) : NULL;
	if (!found) {
		return -EINVAL;
	}
	return (int)(found - digits) < 16 ? (int)(found - digits) : (int)(found - digits) - 6;
}

/* A value up to `,`, `;` or the end, with its %XX replaced. Returns its length. */
static int value_copy(const char *value, char *ret_text, size_t size)
{
	size_t length = 0;
	for (; *value && *value != ',' && *value != ';'; value++) {
		int byte = (unsigned char)*value;
		if (*value == '%') {
			int high = hex_digit(value[1]);
			int low = high < 0 ? high : hex_digit(value[2]);
			if (low < 0) {
				return -EINVAL;
			}
			byte = high * 16 + low;
			value += 2;
		}
		if (byte == 0 || length + 1 >= size) {
			return -EINVAL;
		}
		ret_text[length++] = (char)byte;
	}
	ret_text[length] = '\0';
	return (int)length;
}

/* One address, up to `;`. */
static int address_parse(const char *text, struct bus_address *ret_address)
{
	struct bus_address address = { .socket.sun_family = AF_UNIX };
	char *path = address.socket.sun_path;
	size_t room = sizeof(address.socket.sun_path);
	int length = -EINVAL;
	if (strncmp(text, "unix:", 5) != 0) {
		return -EINVAL;
	}
	for (const char *key = text + 5; key;) {
		if (strncmp(key, "path=", 5) == 0) {
			length = value_copy(key + 5, path, room);
			address.in_files = true;
			address.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
						   (size_t)length + 1);
		} else if (strncmp(key, "abstract=", 9) == 0) {
			length = value_copy(key + 9, path + 1, room - 1);
			address.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
						   (size_t)length);
		}
		key += strcspn(key, ",;");
		key = *key == ',' ? key + 1 : NULL;
	}
	if (length <= 0) {
		return -EINVAL;
	}
	*ret_address = address;
	return 0;
}

int bus_address_parse(const char *text, struct bus_address *ret_address)
{
	int r = -EINVAL;
	while (text && r < 0) {
		r = address_parse(text, ret_address);
		text = strchr(text, ';');
		text = text ? text + 1 : NULL;
	}
	return r;
}

const char *bus_address_of(bool session, char *text, size_t size)
{
	const char *given =
		secure_getenv(session ? "DBUS_SESSION_BUS_ADDRESS" : "DBUS_SYSTEM_BUS_ADDRESS");
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
	if (given && given[0]) {
		return given;
	}
	if (!session) {
		return SYSTEM_BUS;
	}
	if (!runtime || !runtime[0]) {
		return NULL;
	}
	snprintf(text, size, "unix:path=%s/bus", runtime);
	return text;
}
