# SPDX-License-Identifier: MIT
"""
A D-Bus connection that blocks, and that can do what no library would: keep replies unread, send 64
descriptors, answer calls that nobody made. Marshalling is dbus_fast's. One thread.
"""
import array
import collections
import io
import os
import select
import socket
import time

from dbus_fast import Message, MessageFlag, MessageType
from dbus_fast._private.unmarshaller import Unmarshaller

PATIENCE_S = 30
FIXED_HEADER = 16
FDS_MAX = 253

NAME = "org.fencebroker1"
ROOT = "/org/fencebroker1"
MANAGER = "org.fencebroker1.Manager"
DEVICE = "org.fencebroker1.Device"
PROPERTIES = "org.freedesktop.DBus.Properties"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
BUS = "org.freedesktop.DBus"


class BusError(Exception):
    """The error reply to a call."""

    def __init__(self, name, text):
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text

    @property
    def short(self):
        return self.name.rpartition(".")[2]


class Gone(Exception):
    """The bus closed the connection."""


class Reply:
    def __init__(self, message):
        self.body = message.body
        self.fds = message.unix_fds
        self.signature = message.signature

    def close(self):
        for fd in self.fds:
            os.close(fd)
        self.fds = []


def socket_open(path, uid):
    """Connected as `uid`: the bus takes the effective user at that time."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    if uid is not None:
        os.setegid(uid)
        os.seteuid(uid)
    try:
        sock.connect(path)
    finally:
        if uid is not None:
            os.seteuid(0)
            os.setegid(0)
    return sock


class Connection:
    def __init__(self, bus, uid=None):
        self.serial = 0
        self.signals = collections.deque()
        self.replies = {}
        self.calls = collections.deque()
        self.received = 0
        self.sock = socket_open(bus.path, uid)
        self.sock.settimeout(PATIENCE_S)
        try:
            self._authenticate(os.geteuid() if uid is None else uid)
            self.unique = self.call(BUS, "/org/freedesktop/DBus", BUS, "Hello").body[0]
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()
        for reply in self.replies.values():
            for fd in reply.unix_fds:
                os.close(fd)
        self.replies = {}

    def _authenticate(self, uid):
        identity = str(uid).encode().hex()
        self.sock.sendall(b"\0AUTH EXTERNAL " + identity.encode() + b"\r\nNEGOTIATE_UNIX_FD\r\n")
        answer = b""
        while answer.count(b"\r\n") < 2:
            part = self.sock.recv(4096)
            if not part:
                raise Gone("refused by the bus: " + answer.decode(errors="replace"))
            answer += part
        first, second = answer.split(b"\r\n")[:2]
        if not first.startswith(b"OK") or second != b"AGREE_UNIX_FD":
            raise Gone(f"the bus does not agree: {answer!r}")
        self.sock.sendall(b"BEGIN\r\n")

    # -------------------------------------------------------------------------------- sending ---

    def send(self, message):
        """Returns its serial. The descriptors stay the caller's."""
        self.serial += 1
        message.serial = self.serial
        data = bytes(message._marshall(True))
        fds = message.unix_fds
        try:
            if fds:
                control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
                sent = self.sock.sendmsg([data], control)
                data = data[sent:]
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Gone(str(error)) from error
        return self.serial

    def send_call(self, dest, path, interface, member, signature="", body=(), fds=(), quiet=False):
        return self.send(
            Message(
                destination=dest,
                path=path,
                interface=interface,
                member=member,
                signature=signature,
                body=list(body),
                unix_fds=list(fds),
                flags=MessageFlag.NO_REPLY_EXPECTED if quiet else MessageFlag.NONE,
            )
        )

    # ------------------------------------------------------------------------------ receiving ---

    def _read(self, size, deadline, fds):
        data = b""
        while len(data) < size:
            left = deadline - time.monotonic()
            if not data and left <= 0:
                return None
            if not select.select([self.sock], [], [], max(left, PATIENCE_S if data else 0))[0]:
                return None
            try:
                part, control, _, _ = self.sock.recvmsg(
                    size - len(data), socket.CMSG_SPACE(FDS_MAX * 4), socket.MSG_CMSG_CLOEXEC
                )
            except ConnectionResetError as error:
                raise Gone("reset") from error
            if not part:
                raise Gone("the bus closed the connection")
            for _, kind, payload in control:
                if kind == socket.SCM_RIGHTS:
                    fds.extend(array.array("i", payload[: len(payload) // 4 * 4]))
            data += part
        return data

    def receive(self, timeout=PATIENCE_S):
        """The next message of any kind; None when none comes in that time."""
        deadline = time.monotonic() + timeout
        fds = []
        head = self._read(FIXED_HEADER, deadline, fds)
        if head is None:
            return None
        order = "little" if head[0:1] == b"l" else "big"
        fields = (int.from_bytes(head[12:16], order) + 7) // 8 * 8
        rest = self._read(fields + int.from_bytes(head[4:8], order), deadline + PATIENCE_S, fds)
        message = Unmarshaller(io.BytesIO(head + rest)).unmarshall()
        message.unix_fds = fds
        self.received += 1
        return message

    def pump(self, timeout):
        """Receives one message and puts it where it belongs. False: none came."""
        message = self.receive(timeout)
        if message is None:
            return False
        if message.message_type == MessageType.SIGNAL:
            self.signals.append(message)
        elif message.message_type == MessageType.METHOD_CALL:
            self.calls.append(message)
        else:
            self.replies[message.reply_serial] = message
        return True

    def drain(self):
        while self.pump(0):
            pass

    def take(self, serial, timeout=PATIENCE_S):
        """The reply to that call; BusError when it is an error."""
        deadline = time.monotonic() + timeout
        while serial not in self.replies:
            if not self.pump(max(0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                raise TimeoutError(f"no reply in {timeout} s")
        message = self.replies.pop(serial)
        if message.message_type == MessageType.ERROR:
            raise BusError(message.error_name, message.body[0] if message.body else "")
        return Reply(message)

    def call(self, dest, path, interface, member, signature="", body=(), fds=(), timeout=PATIENCE_S):
        return self.take(
            self.send_call(dest, path, interface, member, signature, body, fds), timeout
        )

    # -------------------------------------------------------------------------------- the bus ---

    def ask_bus(self, member, signature="", *body):
        return self.call(BUS, "/org/freedesktop/DBus", BUS, member, signature, body).body

    def match(self, rule):
        self.ask_bus("AddMatch", "s", rule)

    def owner(self, name=NAME):
        """The unique name of the owner, or None."""
        try:
            return self.ask_bus("GetNameOwner", "s", name)[0]
        except BusError as error:
            if error.short == "NameHasNoOwner":
                return None
            raise

    def next_signal(self, member, timeout=PATIENCE_S):
        """The next signal of ours with that name; others before it are dropped. None: none came."""
        deadline = time.monotonic() + timeout
        while True:
            while self.signals:
                signal = self.signals.popleft()
                if signal.member == member:
                    return signal
            left = deadline - time.monotonic()
            if not self.pump(max(0, left)) and left <= 0:
                return None

    # ------------------------------------------------------------------------------ fencebroker ---

    def manager(self, member, signature="", *body, fds=(), timeout=PATIENCE_S):
        return self.call(NAME, ROOT, MANAGER, member, signature, body, fds, timeout)

    def device(self, path, member, signature="", *body, fds=(), timeout=PATIENCE_S):
        return self.call(NAME, path, DEVICE, member, signature, body, fds, timeout)

    def get(self, path, interface, name):
        reply = self.call(NAME, path, PROPERTIES, "Get", "ss", [interface, name])
        return reply.body[0].value

    def ping(self):
        """The daemon has done all that this connection sent before."""
        self.call(NAME, ROOT, "org.freedesktop.DBus.Peer", "Ping")

    def register(self, name="dev", kind="encoder", options=None):
        """Returns the path of the device and the fd of its socket."""
        reply = self.manager("RegisterDevice", "ssa{sv}", name, kind, options or {})
        return reply.body[0], reply.fds[reply.body[1]]

    def timeline(self, path, name="line"):
        """Returns the id of the timeline and its token."""
        reply = self.device(path, "CreateTimeline", "s", name)
        return reply.body[0], reply.fds[reply.body[1]]
