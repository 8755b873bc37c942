# SPDX-License-Identifier: MIT
"""The protocol of docs/protocol.md over a device's socket, as far as the tests speak it."""
import socket

HELLO, TIMELINE_CREATE, TIMELINE_INFO, GOODBYE = 2, 7, 13, 23  # fields of Request
SERIAL, ERROR, DETAIL, WELCOME, TIMELINE = 1, 2, 3, 4, 6  # fields of Message


def varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def pack(fields):
    """(number, value) pairs; a value is an int, text, or bytes."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def unpack(data):
    """The fields of a message: {number: value}, the last one where a field repeats."""
    fields, at = {}, 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 0:
            fields[key >> 3], at = read_varint(data, at)
        else:
            size, at = read_varint(data, at)
            fields[key >> 3] = data[at : at + size]
            at += size
    return fields


class Packets:
    """Takes the fd of a device's socket."""

    def __init__(self, fd, patience=30):
        self.sock = socket.socket(fileno=fd)
        self.sock.settimeout(patience)
        self.serial = 0
        self.handle = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def request(self, field, body):
        """Returns the fields of the reply, and its fds; () as reply at the end of the connection."""
        self.serial += 1
        self.sock.send(pack([(1, self.serial), (field, pack(body))]))
        data, fds, _, _ = socket.recv_fds(self.sock, 16384, 16)
        return (unpack(data) if data else ()), fds

    def hello(self, name):
        return self.request(HELLO, [(1, 1), (2, 1), (3, name)])

    def create(self, device, name):
        self.handle += 1
        return self.request(TIMELINE_CREATE, [(1, device), (3, name), (4, 1), (5, self.handle)])

    def ended(self):
        """True once the daemon has closed the connection."""
        return self.sock.recv(16384) == b""
