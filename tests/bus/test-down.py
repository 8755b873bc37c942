# SPDX-License-Identifier: MIT
"""
The bus hangs, dies, comes late, or gives the daemon's name to another. Programs on the daemon's socket
notice nothing, and the bus works again afterwards.
"""
import contextlib
import os
import signal
import socket
import time

from harness import (
    BIN,
    SOAK,
    Process,
    await_,
    check,
    test,
)
from packet import TIMELINE, Packets
from wire import MANAGER, NAME, ROOT, Connection

HANDOVER = f"{BIN}/../tests/hand-over"
PAUSE_S = 30 if SOAK else 3
LONGEST_MS = 2000  # a hand-over on a busy machine
REPLACE, ALLOW, QUEUE_NOT = 2, 1, 4  # flags of RequestName


class Traffic:
    """Two socket clients that hand points over meanwhile."""

    def __init__(self, world):
        self.world = world

    def __enter__(self):
        self.process = Process([HANDOVER, self.world.daemon.socket], f"{self.world.directory}/traffic.log")
        self.await_more()
        return self

    def figures(self):
        """Hand-overs, errors, milliseconds of the longest."""
        check(self.process.child.poll() is None, f"the traffic ended: {self.process.text()[-2000:]}")
        lines = [line for line in self.process.text().split("\n")[:-1] if line[:1].isdigit()]
        return tuple(map(int, lines[-1].split())) if lines else (0, 0, 0)

    def await_more(self, count=100):
        """That many hand-overs from now on."""
        now = self.figures()[0]
        await_(lambda: self.figures()[0] >= now + count, f"{count} hand-overs more")

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.await_more()
                count, errors, longest = self.figures()
                print(f"  {self.world.kind}: {count} hand-overs, the longest took {longest} ms")
                check(errors == 0, f"{errors} errors")
                check(longest < LONGEST_MS, f"a hand-over took {longest} ms")
                self.process.child.send_signal(signal.SIGTERM)
                status = self.process.child.wait(30)
                check(status == 0, f"the traffic ended with {status}: {self.process.text()[-2000:]}")
        finally:
            self.process.kill()


def works(world):
    """Everything on the bus, anew."""
    world.await_name()
    with Connection(world.bus) as client:
        path, fd = client.register()
        check(path in client.manager("ListDevices").body[0], "the new device is not listed")
        _, token = client.timeline(path)
        client.device(path, "Signal", "ht", 0, 1, fds=[token])
        os.close(token)
        os.close(fd)
        await_(lambda: path not in client.manager("ListDevices").body[0], "the device is gone")


def stays_for(seconds, traffic):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        traffic.await_more(50)


@test(seconds=240)
def stopped(world):
    """The bus reads nothing for a while, with calls and replies under way."""
    world.start()
    client = world.connect()
    with Traffic(world) as traffic:
        path, fd = client.register("before")
        before = world.daemon.fds()
        serials = [client.send_call(NAME, ROOT, MANAGER, "ListDevices") for _ in range(100)]
        world.bus.process.pause()
        with Packets(fd) as packets:  # the device's own socket works meanwhile
            reply, fds = packets.create(1, "line")
            check(TIMELINE in reply, f"{reply}")
            for each in fds:
                os.close(each)
            stays_for(PAUSE_S, traffic)
            world.bus.process.resume()
            for serial in serials:
                client.take(serial)
            check(path in client.manager("ListDevices").body[0], "the device is gone")
        await_(lambda: path not in client.manager("ListDevices").body[0], "the device stays")
        works(world)
        world.daemon.await_fds(before)


@test(seconds=240)
def killed_and_restarted(world):
    """Devices that came by the bus live on without it, for they have a socket."""
    world.start()
    with Traffic(world) as traffic:
        with Connection(world.bus) as client:
            _, fd = client.register("kept")
            client.manager("Subscribe")
            for _ in range(50):
                client.send_call(NAME, ROOT, MANAGER, "ListDevices")
            world.bus.kill()
        traffic.await_more(500)
        check(any(d["name"] == "kept" for d in devices(world)), "the device died with the bus")
        for turn in range(3):
            world.bus.start()
            works(world)
            traffic.await_more()
            if turn < 2:
                world.bus.kill()
                traffic.await_more()
        with Packets(fd) as packets:
            reply, fds = packets.create(1, "line")
            check(TIMELINE in reply, f"{reply}")
            for each in fds:
                os.close(each)
        await_(lambda: not any(d["name"] == "kept" for d in devices(world)), "the device ends")


def devices(world):
    listed = world.daemon.ctl("devices")
    return listed if isinstance(listed, list) else listed["devices"]


@test(seconds=240)
def killed_again_and_again(world):
    """Calls are under way each time; the daemon's fds do not grow."""
    world.start()
    with Traffic(world):
        works(world)
        before = world.daemon.fds()
        for turn in range(8):
            with Connection(world.bus) as client:
                serials = [
                    client.send_call(NAME, ROOT, MANAGER, "RegisterDevice", "ssa{sv}", [f"d{i}", "gpu", {}])
                    for i in range(20)
                ]
                if turn % 2:
                    client.take(serials[turn]).close()
                world.bus.kill()
            world.bus.start()
            world.await_name()
        works(world)
        world.daemon.await_fds(before)


@test
def no_bus_at_start(world):
    world.daemon.start()
    with Traffic(world) as traffic:
        traffic.await_more(500)
        world.bus.start()
        works(world)


@test
def address_of_nothing(world):
    """A file, or a socket where nobody answers the greeting, where the bus should be."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mute:
        mute.bind(world.bus.path)
        mute.listen(1)
        world.daemon.start()
        with Traffic(world) as traffic:
            traffic.await_more(500)
            held = []
            mute.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                held.append(mute.accept()[0])
            traffic.await_more(500)
            for each in held:
                each.close()
            mute.close()
            os.unlink(world.bus.path)
            with open(world.bus.path, "w", encoding="utf-8"):
                pass
            traffic.await_more(500)
            world.bus.start()
            works(world)


@test
def name_of_another(world):
    """Another has the name first: the daemon waits in the queue, and gets it once it is free."""
    world.bus.start()
    with Connection(world.bus) as first:
        check(first.ask_bus("RequestName", "su", NAME, 0)[0] == 1, "the name is taken")
        world.daemon.start()
        with Traffic(world) as traffic:
            await_(lambda: len(first.ask_bus("ListQueuedOwners", "s", NAME)[0]) == 2, "a queue")
            traffic.await_more()
            first.ask_bus("ReleaseName", "s", NAME)
            await_(lambda: first.owner() not in (None, first.unique), "the daemon has the name")
            works(world)


@test
def name_stolen(world):
    """Who asks for the name while the daemon has it: either it is refused, or the daemon gets it back."""
    world.start()
    with Connection(world.bus) as thief, Traffic(world) as traffic:
        daemon = thief.owner()
        for _ in range(3):
            answer = thief.ask_bus("RequestName", "su", NAME, REPLACE | QUEUE_NOT)[0]
            print(f"  {world.kind}: RequestName answers {answer}")
            if answer == 1:
                check(thief.owner() == thief.unique, "who has the name?")
                traffic.await_more()
                thief.ask_bus("ReleaseName", "s", NAME)
            await_(lambda: thief.owner() == daemon, "the daemon has the name again")
            works(world)
