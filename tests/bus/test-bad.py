# SPDX-License-Identifier: MIT
"""
What no honest program sends. Each time the daemon answers with an error and a sentence where D-Bus has
room for one, has the fds and the memory that it had before, and serves another client all the while.
"""
import contextlib
import os
import socket
import struct
import threading
import time

from dbus_fast import Message, MessageFlag, MessageType, Variant

from harness import (
    NOBODY,
    USER,
    World,
    BusError,
    Failed,
    Gone,
    await_,
    check,
    eventfd,
    readable,
    refused,
    sanitized,
    test,
)
from wire import DEVICE, INTROSPECTABLE, MANAGER, NAME, PROPERTIES, ROOT, Connection

LATE_S = 5  # for a call of a bystander, on a busy machine
GROWTH = 4 << 20
FLOOD = 10000


class Bystander(threading.Thread):
    """Another user, who asks all the time."""

    def __init__(self, bus):
        super().__init__(daemon=True)
        self.bus = bus
        self.stop = threading.Event()
        self.served = 0
        self.longest = 0
        self.problem = None

    def run(self):
        try:
            while not self.stop.wait(0.01):
                began = time.monotonic()
                self.connection.get(ROOT, MANAGER, "Version")
                self.longest = max(self.longest, time.monotonic() - began)
                self.served += 1
        except Exception as error:  # told by __exit__
            self.problem = error

    def __enter__(self):
        self.connection = Connection(self.bus, NOBODY)
        self.start()
        return self

    def __exit__(self, kind, *_):
        served = self.served
        if kind is None:
            await_(lambda: self.served > served or self.problem, "the bystander is served")
        self.stop.set()
        self.join()
        self.connection.close()
        if kind is None:
            check(self.problem is None, f"the bystander: {self.problem!r}")
            check(self.longest < LATE_S, f"the bystander waited for {self.longest:.1f} s")


@contextlib.contextmanager
def unharmed(world):
    """The daemon has afterwards what it has now."""
    with Connection(world.bus) as judge:
        path, fd = judge.register("warm")
        _, token = judge.timeline(path)
        os.close(token)
        os.close(fd)
        await_(lambda: not judge.manager("ListDevices").body[0], "no devices")
        before, memory = world.daemon.fds(), world.daemon.memory()
        with Bystander(world.bus):
            yield
        check(world.daemon.process.child.poll() is None, "the daemon ended")
        await_(lambda: not judge.manager("ListDevices").body[0], "devices that stay")
        world.daemon.await_fds(before)
        grown = world.daemon.memory() - memory
        check(grown < GROWTH or sanitized(), f"the daemon has grown by {grown} bytes")


@contextlib.contextmanager
def device(world, uid=USER):
    """A connection of that user, its device, and a token."""
    with Connection(world.bus, uid) as client:
        path, fd = client.register()
        _, token = client.timeline(path)
        try:
            yield client, path, token
        finally:
            os.close(fd)
            os.close(token)


def error_of(call):
    """Any error, ours or D-Bus's own, with a sentence."""
    try:
        call()
    except BusError as error:
        check(len(error.text) > 8 and " " in error.text, f"not a sentence: {error}")
        return error
    raise Failed("answered, and not refused")


@test
def arguments(world):
    world.start()
    with unharmed(world), device(world) as (client, path, token):
        for name in ("", "x" * 32, "x" * 300, "with space", "tab\t", "\x01"):
            refused("InvalidArgument", lambda: client.register(name))
        refused("InvalidArgument", lambda: client.register("d", "toaster"))
        refused("InvalidArgument", lambda: client.register("d", ""))
        for key, value in {
            "waits": Variant("u", 1),
            "signals": Variant("s", "memory64"),
            "silent": Variant("s", "yes"),
            "visibility": Variant("u", 1),
            "page-align": Variant("s", "4096"),
            "backings": Variant("as", ["paper"]),
            "routes": Variant("as", ["native", "detour"]),
            "colour": Variant("s", "blue"),
            "": Variant("b", True),
        }.items():
            text = refused("InvalidArgument", lambda: client.register("d", "gpu", {key: value}))
            check(not key or key in text, f"it does not name {key}: {text}")
        refused("InvalidArgument", lambda: client.register("d", "gpu", {"page-align": Variant("u", 3)}))
        refused("InvalidArgument", lambda: client.register("d", "gpu", {"waits": Variant("as", ["memory"])}))
        refused("InvalidArgument", lambda: client.timeline(path, "x" * 300))
        refused(
            ("InvalidArgument", "Failed"),
            lambda: client.device(path, "Fail", "his", 0, 5, "positive", fds=[token]),
        )
        for value in (1 << 62, (1 << 64) - 1):
            refused(
                "InvalidArgument",
                lambda: client.device(path, "Signal", "ht", 0, value, fds=[token]),
            )
            refused(
                "InvalidArgument",
                lambda: client.device(path, "Export", "htt", 0, value, 1000, fds=[token]),
            )
        check(client.get(path, DEVICE, "Name") == "dev", "the device is another")


@test
def time_without_end(world):
    """The longest time that fits is bounded, not wrapped around."""
    world.start()
    with unharmed(world), device(world) as (client, path, token):
        reply = client.device(path, "Export", "htt", 0, 5, (1 << 64) - 1, fds=[token])
        exported = reply.fds[reply.body[0]]
        check(not readable(exported, 0.3), "its time is over at once")
        client.device(path, "Signal", "ht", 0, 5, fds=[token])
        check(readable(exported), "the eventfd is silent")
        reply.close()


@test
def paths(world):
    world.start()
    with unharmed(world), device(world) as (client, path, token):
        for wrong in (
            "/org/fencebroker1/device/99999999",
            "/org/fencebroker1/device/18446744073709551617",
            "/org/fencebroker1/device/x",
            "/org/fencebroker1/device/01",
            "/org/fencebroker1/device/_31",
            path + "/x",
            "/org/fencebroker1/device",
            "/",
            "/org/freedesktop/DBus",
        ):
            error_of(lambda: client.device(wrong, "CreateTimeline", "s", "line"))
            error_of(lambda: client.get(wrong, DEVICE, "Name"))
            error_of(lambda: client.manager("Explain", "oo", path, wrong))
        with Connection(world.bus, NOBODY) as other:
            for member, signature, body in (
                ("CreateTimeline", "s", ["line"]),
                ("LookAt", "h", [0]),
                ("Signal", "ht", [0, 1]),
            ):
                fds = [token] if "h" in signature else []
                refused("NotPermitted", lambda: other.device(path, member, signature, *body, fds=fds))
        for wrong in (path, "/org/fencebroker1/device", "/", "/org", ROOT):
            error_of(lambda: client.call(NAME, wrong, DEVICE, "NoSuchMethod"))
            error_of(lambda: client.call(NAME, wrong, "no.such.Interface", "Method"))
            error_of(lambda: client.call(NAME, wrong, PROPERTIES, "Get", "ss", [DEVICE, "Nothing"]))
        error_of(lambda: client.call(NAME, ROOT, MANAGER, "ListDevices", "s", ["too much"]))
        error_of(lambda: client.call(NAME, ROOT, MANAGER, "RegisterDevice", "s", ["too little"]))


def not_fences(stack):
    """(what, fd) of things that signal nothing."""
    regular = os.open("/proc/self/exe", os.O_RDONLY | os.O_CLOEXEC)
    directory = os.open("/", os.O_RDONLY | os.O_CLOEXEC)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    path_only = os.open("/", os.O_PATH | os.O_CLOEXEC)
    read, write = os.pipe()
    memory = os.memfd_create("x")
    semaphore = os.eventfd(3, os.EFD_SEMAPHORE | os.EFD_CLOEXEC)
    pair = socket.socketpair()
    for fd in (regular, directory, null, path_only, read, write, memory, semaphore):
        stack.callback(os.close, fd)
    stack.callback(pair[0].close)
    stack.callback(pair[1].close)
    return [
        ("a file", regular),
        ("a directory", directory),
        ("/dev/null", null),
        ("O_PATH", path_only),
        ("a pipe's end", read),
        ("a pipe's other end", write),
        ("a memfd", memory),
        ("a socket", pair[0].fileno()),
    ]


def lingering():
    """A TCP socket whose close takes half a minute: it has sent what its peer does not read."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 30))
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(b"x" * 65536)
    return sock, peer


@test
def wrong_fds(world):
    world.start()
    with unharmed(world), device(world) as (client, path, token), contextlib.ExitStack() as stack:
        for what, fd in not_fences(stack):
            error = error_of(lambda: client.device(path, "Import", "hh", 0, 1, fds=[token, fd]))
            check(error.name.startswith(NAME), f"{what} as a fence: {error}")
            error = error_of(lambda: client.device(path, "LookAt", "h", 0, fds=[fd]))
            check(error.name.startswith(NAME), f"{what} as a token: {error}")
            error_of(lambda: client.device(path, "CloseTimeline", "h", 0, fds=[fd]))
            error_of(lambda: client.device(path, "Signal", "ht", 0, 3, fds=[fd]))
        fence = eventfd()
        error_of(lambda: client.device(path, "Import", "hh", 0, 1, fds=[fence, token]))
        error_of(lambda: client.device(path, "LookAt", "h", 0, fds=[fence]))
        os.close(fence)
        for body, fds in (([0], []), ([5], [token]), ([0xFFFFFFFF], [token])):
            with contextlib.suppress(Gone):
                error_of(lambda: client.device(path, "LookAt", "h", *body, fds=fds))


@test
def fd_that_hangs_when_closed(world):
    """Its close takes half a minute; the daemon must not take part in it. The peer reads nothing."""
    world.start()
    with unharmed(world), device(world) as (client, path, token):
        sock, peer = lingering()
        for member, signature, body in (
            ("Import", "hh", [0, 1]),
            ("LookAt", "h", [1]),
            ("CloseTimeline", "h", [1]),
            ("NoSuchMethod", "hh", [0, 1]),
        ):
            error_of(
                lambda: client.device(path, member, signature, *body, fds=[token, sock.fileno()])
            )
        if world.kind == "dbus-broker":
            # It keeps its reference until the daemon has read the message, and would hang in its close.
            peer.close()
            sock.close()
            return
        # The last reference is in the message that the daemon has not read.
        inode = os.fstat(sock.fileno()).st_ino
        world.daemon.process.pause()
        serial = client.send_call(NAME, path, DEVICE, "Import", "hh", [0, 1], [token, sock.fileno()])
        client.ask_bus("ListNames")
        await_(lambda: not world.bus.holds(inode), "the bus has passed it on")
        sock.close()
        world.daemon.process.resume()
        began = time.monotonic()
        error_of(lambda: client.take(serial))
        client.get(path, DEVICE, "Name")
        check(time.monotonic() - began < LATE_S, "the daemon took part in the close")
        peer.close()


@test
def many_fds(world):
    """More fds than any call needs. dbus-daemon (16 a message) disconnects the sender; dbus-broker passes
    them on, and the daemon refuses more than 16."""
    world.start()
    for count in (16, 17, 64, 253):
        with unharmed(world), device(world) as (client, path, token):
            fds = [token] + [os.dup(token) for _ in range(count - 1)]
            disconnected = False
            try:
                if count > 16:
                    refused("Limit", lambda: client.device(path, "LookAt", "h", 0, fds=fds))
                else:
                    client.device(path, "LookAt", "h", 0, fds=fds)
                    client.device(path, "LookAt", "h", count - 1, fds=fds)
                error_of(lambda: client.device(path, "LookAt", "h" * count, *range(count), fds=fds))
                error_of(lambda: client.call(NAME, "/none", DEVICE, "LookAt", "h", [0], fds))
            except Gone:
                disconnected = True
            expected = world.kind == "dbus-daemon" and count > 16
            check(disconnected == expected, f"{count} fds: disconnected: {disconnected}")
            for fd in fds[1:]:
                os.close(fd)


@test
def dead_tokens(world):
    world.start()
    with unharmed(world), device(world) as (client, path, _):
        _, closed = client.timeline(path, "closed")
        client.device(path, "CloseTimeline", "h", 0, fds=[closed])
        orphan_path, fd = client.register("orphan")
        _, orphan = client.timeline(orphan_path)
        os.close(fd)
        await_(lambda: orphan_path not in client.manager("ListDevices").body[0], "gone")
        for what, dead in (("closed", closed), ("of a device that ended", orphan)):
            for member, signature, body in (
                ("Export", "htt", [0, 1, 1000]),
                ("Signal", "ht", [0, 1]),
                ("CloseTimeline", "h", [0]),
            ):
                try:
                    client.device(path, member, signature, *body, fds=[dead])
                except BusError as error:
                    check(error.name.startswith(NAME) and error.text, f"{member}, {what}: {error}")
                else:
                    # A failed timeline may be waited for: the wait ends at once.
                    check(member != "Signal", f"{member} of a token {what}")
            os.close(dead)


@test
def token_of_another_daemon(world):
    world.start()
    abroad = World(world.kind)  # a daemon on a bus of its own
    try:
        abroad.start()
        with device(abroad) as (_, _, foreign):
            with unharmed(world), device(world) as (client, path, _):
                for member, signature, body in (
                    ("LookAt", "h", [0]),
                    ("Export", "htt", [0, 1, 1000]),
                    ("Signal", "ht", [0, 1]),
                    ("CloseTimeline", "h", [0]),
                ):
                    error = error_of(
                        lambda: client.device(path, member, signature, *body, fds=[foreign])
                    )
                    check(error.name.startswith(NAME), f"{error}")
    finally:
        abroad.close(False)


@test
def long_messages(world):
    world.start()
    long = "x" * (200 << 10)
    with unharmed(world), device(world) as (client, path, token):
        for _ in range(20):
            error_of(lambda: client.register(long))
            error_of(lambda: client.register("d", long))
            error_of(lambda: client.register("d", "gpu", {long: Variant("b", True)}))
            error_of(lambda: client.register("d", "gpu", {"waits": Variant("as", ["x"] * 30000)}))
            error_of(lambda: client.timeline(path, long))
            error_of(lambda: client.call(NAME, path, DEVICE, "X" * 200, "s", [long]))
            with contextlib.suppress(BusError):  # a reason may be cut
                client.device(path, "Fail", "his", 0, -5, long, fds=[token])
        many = {f"k{i}": Variant("s", "x" * 16) for i in range(4000)}
        error_of(lambda: client.register("d", "gpu", many))


@test(seconds=300)
def replies_unread(world):
    """Calls without end, and no reply read until all are sent. Each has its answer in the end: the bus itself
    refuses what is too much for it, or disconnects the sender."""
    world.start()
    observer = world.connect()
    with unharmed(world), device(world) as (client, path, _):
        serials = []
        try:
            for i in range(FLOOD):
                if i % 2:
                    serials.append(client.send_call(NAME, ROOT, MANAGER, "ListDevices"))
                else:
                    serials.append(
                        client.send_call(NAME, path, PROPERTIES, "Get", "ss", [DEVICE, "Name"])
                    )
            answered = refused_by = 0
            for serial in serials:
                try:
                    client.take(serial)
                    answered += 1
                except BusError as error:
                    check("LimitsExceeded" in error.name or error.name.startswith(NAME), f"{error}")
                    refused_by += 1
            print(f"  {world.kind}: {answered} answered, {refused_by} refused by the bus")
            check(answered > 0, "nothing was answered")
        except Gone as gone:
            print(f"  {world.kind}: disconnected after {len(serials)} calls: {gone}")
    turn = observer.get(ROOT, MANAGER, "Counters")["bus_turn_max_us"]
    print(f"  {world.kind}: the loop spent {turn} us at the bus at most")


@test
def no_reply_wanted(world):
    """Calls that want no reply get none, and what they made does not stay."""
    world.start()
    with unharmed(world), device(world) as (client, path, token):
        seen = client.received
        for i in range(200):
            client.send_call(NAME, ROOT, MANAGER, "RegisterDevice", "ssa{sv}", [f"q{i}", "gpu", {}], quiet=True)
            client.send_call(NAME, ROOT, MANAGER, "ListDevices", quiet=True)
            client.send_call(NAME, path, DEVICE, "LookAt", "h", [0], [token], quiet=True)
            client.send_call(NAME, path, DEVICE, "Export", "htt", [0, 9, 1000], [token], quiet=True)
            client.send_call(NAME, path, DEVICE, "NoSuchMethod", quiet=True)
            client.send_call(NAME, ROOT, MANAGER, "Reload", quiet=True)
        client.ping()
        check(client.received == seen + 1, f"{client.received - seen - 1} replies that nobody wanted")
        client.device(path, "Signal", "ht", 0, 4, fds=[token])
        serial = client.send_call(NAME, path, DEVICE, "Signal", "ht", [0, 8], [token], quiet=True)
        check(serial, "sent")
        client.ping()
        reply = client.device(path, "LookAt", "h", 0, fds=[token])
        check(reply.body[0]["value"].value == 8, "a call without reply was not done")


@test
def nonsense(world):
    """Signals, replies to nothing, and calls to no object, with fds too."""
    world.start()
    bus_signal = {"path": "/org/freedesktop/DBus", "interface": "org.freedesktop.DBus"}
    with unharmed(world), device(world) as (client, path, token):
        for kind, fields in (
            (MessageType.SIGNAL, {"path": ROOT, "interface": MANAGER, "member": "DeviceAdded"}),
            (MessageType.SIGNAL, {**bus_signal, "member": "NameOwnerChanged"}),
            (MessageType.SIGNAL, {**bus_signal, "member": "NameLost"}),
            (MessageType.METHOD_RETURN, {"reply_serial": 7}),
            (MessageType.ERROR, {"reply_serial": 3, "error_name": "a.b.C"}),
            (MessageType.METHOD_RETURN, {"reply_serial": 0xFFFFFFFF}),
        ):
            for i in range(100):
                client.send(
                    Message(
                        destination=NAME,
                        message_type=kind,
                        flags=MessageFlag.NONE,
                        signature="h" if i % 2 else "s",
                        body=[0] if i % 2 else ["x"],
                        unix_fds=[token] if i % 2 else [],
                        **fields,
                    )
                )
        client.drain()
        check(client.get(path, DEVICE, "Name") == "dev", "the device is another")
        check("org.fencebroker1.Manager" in client.call(NAME, ROOT, INTROSPECTABLE, "Introspect").body[0], "")
