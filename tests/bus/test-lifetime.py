# SPDX-License-Identifier: MIT
"""When a device begins and ends, whom it belongs to, and who hears of it."""
import os
import time

from harness import NOBODY, USER, BusError, await_, check, readable, refused, sanitized, test
from packet import ERROR, TIMELINE, WELCOME, Packets
from wire import DEVICE, MANAGER, NAME, ROOT, Connection

OWN_POLICY = """
version = 1;
rules: (
  { user = 0; connect = true; register = true; class = "*"; inspect = "all"; },
  { user = "*"; connect = true; register = true; class = "*"; inspect = "own"; }
);
"""
SILENCE_S = 6.5  # more than the 5 seconds that a connection has for its Hello


def listed(who, path):
    return path in who.manager("ListDevices").body[0]


def await_gone(who, path):
    await_(lambda: not listed(who, path), f"{path} is still there")


@test
def ends_with_the_socket(world):
    world.start()
    client = world.connect()
    before = world.daemon.fds()
    path, fd = client.register()
    check(listed(client, path), "the new device is not listed")
    check(client.get(path, DEVICE, "Name") == "dev", "it has another name")
    _, token = client.timeline(path)
    os.close(fd)
    await_gone(client, path)
    try:
        client.get(path, DEVICE, "Name")
    except BusError as error:
        check(error.text, f"{error}")
    else:
        check(False, "the object outlives the device")
    try:
        client.device(path, "LookAt", "h", 0, fds=[token])
    except BusError as error:
        check(error.text, f"{error}")
    else:
        check(False, "methods outlive the device")
    os.close(token)
    world.daemon.await_fds(before)


@test
def outlives_the_bus_connection(world):
    """The socket alone keeps it: nobody else gets the rights of who registered it."""
    world.start()
    observer = world.connect()
    with Connection(world.bus) as client:
        path, fd = client.register()
        _, token = client.timeline(path)
    check(listed(observer, path), "the device ended with the bus connection")
    with Connection(world.bus) as later:
        refused("NotPermitted", lambda: later.device(path, "LookAt", "h", 0, fds=[token]))
    with Packets(fd) as packets:
        reply, fds = packets.create(1, "line")
        check(TIMELINE in reply, f"the socket does not serve: {reply}")
        for each in fds:
            os.close(each)
    await_gone(observer, path)
    os.close(token)


@test
def signaler_goes(world):
    """Who had the timeline open learns the cause by the token, which is dead for all others."""
    world.start()
    consumer, late = world.connect(), world.connect()
    path, fd = consumer.register("consumer")
    late_path, late_fd = late.register("late")
    with Connection(world.bus) as producer:
        made, made_fd = producer.register("producer")
        _, token = producer.timeline(made)
        reply = consumer.device(path, "Export", "htt", 0, 1, 60_000_000, fds=[token])
        ready = reply.fds[reply.body[0]]
        os.close(made_fd)
        check(readable(ready), "the export does not fire")
    state = consumer.device(path, "LookAt", "h", 0, fds=[token]).body[0]
    check(state["failed_from"].value == 1 and state["error"].value < 0, f"it is alive: {state}")
    check("producer" in state["reason"].value, f"nobody is named: {state}")
    refused("InvalidArgument", lambda: late.device(late_path, "LookAt", "h", 0, fds=[token]))
    consumer.device(path, "CloseTimeline", "h", 0, fds=[token])
    refused("InvalidArgument", lambda: consumer.device(path, "LookAt", "h", 0, fds=[token]))
    for each in (fd, late_fd, ready, token):
        os.close(each)


@test
def no_reply_gives_no_rights(world):
    """A call that wants no reply is refused as any other."""
    world.start()
    owner, stranger = world.connect(), world.connect(NOBODY)
    path, fd = owner.register()
    number, token = owner.timeline(path)
    client = owner.get(path, DEVICE, "ClientId")
    stranger.send_call(NAME, path, DEVICE, "Signal", "ht", [0, 5], [token], quiet=True)
    stranger.send_call(NAME, path, DEVICE, "Fail", "his", [0, -5, "no"], [token], quiet=True)
    stranger.send_call(NAME, path, DEVICE, "CloseTimeline", "h", [0], [token], quiet=True)
    stranger.send_call(NAME, ROOT, MANAGER, "FailTimeline", "tst", [number, "no", 0], quiet=True)
    stranger.send_call(NAME, ROOT, MANAGER, "EvictClient", "tst", [client, "no", 0], quiet=True)
    stranger.ping()
    state = owner.device(path, "LookAt", "h", 0, fds=[token]).body[0]
    check(state["value"].value == 0 and state["cause"].value == 0, f"a stranger changed it: {state}")
    os.close(fd)
    os.close(token)


@test
def another_user_at_the_socket(world):
    """A socket that was passed on to another user serves nobody."""
    world.start()
    observer, client = world.connect(), world.connect(USER)
    path, fd = client.register()
    with Packets(fd) as packets:  # as root
        reply, _ = packets.create(1, "line")
        check(reply == () or ERROR in reply, f"another user is served: {reply}")
    await_gone(observer, path)


@test
def hello_is_optional(world):
    world.start()
    client = world.connect()
    _, silent = client.register("silent")
    _, polite = client.register("polite")
    with Packets(silent) as packets:
        reply, fds = packets.create(1, "line")
        check(TIMELINE in reply and ERROR not in reply, f"without Hello: {reply}")
        check(len(fds) == 2, f"{len(fds)} fds")
        for each in fds:
            os.close(each)
        reply, _ = packets.create(2, "line")
        check(ERROR in reply, "device 2 is there")
    with Packets(polite) as packets:
        reply, fds = packets.hello("polite")
        check(WELCOME in reply, f"{reply}")
        for each in fds:
            os.close(each)
        reply, fds = packets.create(1, "line")
        check(TIMELINE in reply, f"after Hello: {reply}")
        for each in fds:
            os.close(each)
        reply, _ = packets.hello("again")
        check(reply == () or ERROR in reply, "a second Hello")


@test(kinds=("dbus-daemon",))
def silent_client_stays(world):
    """No Hello has to come on a socket that the bus handed out."""
    world.start()
    client = world.connect()
    path, fd = client.register()
    began = time.monotonic()
    while time.monotonic() < began + SILENCE_S:
        check(listed(client, path), f"gone after {time.monotonic() - began:.1f} s")
        time.sleep(0.25)
    with Packets(fd) as packets:
        reply, fds = packets.create(1, "line")
        check(TIMELINE in reply, f"{reply}")
        for each in fds:
            os.close(each)


@test
def who_speaks_is_who_it_is(world):
    """The process that says Hello on the socket is shown, not the one that asked for it."""
    world.start()
    client = world.connect()
    path, fd = client.register()
    check(client.get(path, DEVICE, "Pid") == os.getpid(), "not this process at first")
    check(client.get(path, DEVICE, "Uid") == 0, "another user")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(write)
            reply, _ = Packets(fd).hello("child")
            status = 0 if WELCOME in reply else 2
            os.read(read, 1)
        finally:
            os._exit(status)
    os.close(read)
    try:
        await_(lambda: client.get(path, DEVICE, "Pid") == child, "the child's pid")
        check(client.get(path, DEVICE, "Client") != "", "no name")
    finally:
        os.close(write)
        _, status = os.waitpid(child, 0)
    check(status == 0, f"the child ended with {status}")
    os.close(fd)
    await_gone(client, path)


@test
def subscribers(world):
    """DeviceAdded and DeviceRemoved go to subscribers, each about what it may inspect."""
    world.start(OWN_POLICY)
    root, own, other, deaf = world.connect(), world.connect(USER), world.connect(NOBODY), world.connect()
    for who in (root, own, other, deaf):
        who.match(f"type='signal',sender='{NAME}'")
    for who in (root, own, other):
        who.manager("Subscribe")
    path, fd = own.register()
    for who in (root, own):
        signal = who.next_signal("DeviceAdded")
        check(signal and signal.body == [path], f"DeviceAdded: {signal and signal.body}")
    os.close(fd)
    for who in (root, own):
        signal = who.next_signal("DeviceRemoved")
        check(signal and signal.body == [path], f"DeviceRemoved: {signal and signal.body}")
    theirs, fd = other.register()
    check(root.next_signal("DeviceAdded").body == [theirs], "root does not see another's")
    check(other.next_signal("DeviceAdded").body == [theirs], "it does not see its own")
    own.manager("Unsubscribe")
    root.manager("Unsubscribe")
    os.close(fd)
    check(other.next_signal("DeviceRemoved").body == [theirs], "it does not see its own end")
    for who in (root, own, deaf):
        who.ping()
        seen = [s.member for s in who.signals if s.path and s.path.startswith("/org/fencebroker1")]
        check(not seen, f"signals that nobody asked for: {seen}")


@test
def stuck_waits_in_pages(world):
    """Each wait once, over as many calls as it takes; another caller's place is not this one's."""
    world.start()
    client, other = world.connect(), world.connect()
    path, fd = client.register()
    _, token = client.timeline(path)
    exported = []
    for point in range(1, 46):
        reply = client.device(path, "Export", "htt", 0, point, 600_000_000, fds=[token])
        exported.append(reply.fds[reply.body[0]])
    seen, after, pages = [], 0, 0
    while pages == 0 or after:
        waits, after = client.manager("ListStuck", "tt", 0, after).body
        seen += [wait["point"].value for wait in waits]
        pages += 1
        if pages == 1:
            refused("InvalidArgument", lambda: other.manager("ListStuck", "tt", 0, after))
    check(sorted(seen) == list(range(1, 46)) and pages > 1, f"{pages} pages: {sorted(seen)}")
    refused("InvalidArgument", lambda: client.manager("ListStuck", "tt", 0, 999))
    for each in (*exported, fd, token):
        os.close(each)


@test
def signals_above_the_allowance(world):
    """64 at once, 32 a second after that; what is above it is dropped and counted, and later ones come."""
    world.start()
    client, busy = world.connect(), world.connect()
    client.match(f"type='signal',sender='{NAME}'")
    client.manager("Subscribe")
    began = time.monotonic()
    for _ in range(150):
        _, fd = busy.register()
        os.close(fd)
    await_(lambda: not busy.manager("ListDevices").body[0], "devices that stay")
    client.ping()
    took = time.monotonic() - began
    count = sum(signal.member.startswith("Device") for signal in client.signals)
    check(64 <= count <= 64 + 32 * took + 2, f"{count} signals in {took:.2f} s")
    dropped = client.get(ROOT, MANAGER, "Counters")["bus_signals_dropped"]
    check(dropped + count == 300, f"{count} signals and {dropped} that were dropped are not 300")
    client.signals.clear()
    time.sleep(0.1)  # three signals' worth
    path, fd = busy.register()
    check(client.next_signal("DeviceAdded").body == [path], "nothing comes any more")
    os.close(fd)


@test
def subscriber_that_vanishes(world):
    world.start(OWN_POLICY)
    stays = world.connect()
    stays.match(f"type='signal',sender='{NAME}'")
    stays.manager("Subscribe")
    for _ in range(3):
        with Connection(world.bus) as goes:
            goes.manager("Subscribe")
    before, memory = world.daemon.fds(), world.daemon.memory()
    for _ in range(300):
        with Connection(world.bus) as goes:
            goes.manager("Subscribe")
            goes.manager("Subscribe")  # twice is once
    path, fd = stays.register()
    check(stays.next_signal("DeviceAdded").body == [path], "the one that stayed hears nothing")
    os.close(fd)
    check(stays.next_signal("DeviceRemoved").body == [path], "nor of the end")
    world.daemon.await_fds(before)
    grown = world.daemon.memory() - memory
    check(grown < 4 << 20 or sanitized(), f"the daemon has grown by {grown} bytes")


@test
def many_devices(world):
    """Registered and closed many times over: nothing stays."""
    world.start()
    client = world.connect()
    client.register("first")
    before = world.daemon.fds()
    for turn in range(20):
        sockets = [client.register(f"dev{i}")[1] for i in range(16)]
        check(len(client.manager("ListDevices").body[0]) == 17, f"turn {turn}: not 17 devices")
        for fd in sockets:
            os.close(fd)
        await_(lambda: len(client.manager("ListDevices").body[0]) == 1, "devices that stay")
    world.daemon.await_fds(before)
