# SPDX-License-Identifier: MIT
"""
A program without libfencebroker: only python3-dbus-fast, as its manual shows it. It registers an encoder,
imports an eventfd, waits by poll for points of others, and exchanges pictures with a program that has the
library.
"""
import asyncio
import os
import socket
import struct
import subprocess

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from harness import BIN, PATIENCE_S, check, child_setup, eventfd, readable, test

PICTURES = 20
SIZE = 320 * 240
CLIENT = f"{BIN}/../tests/picture-client"


class Encoder:
    """All that a program needs to write."""

    def __init__(self, bus):
        self.bus = bus
        self.path = None
        self.socket = None

    async def call(self, path, interface, member, signature="", body=(), fds=()):
        reply = await asyncio.wait_for(
            self.bus.call(
                Message(
                    destination="org.fencebroker1",
                    path=path,
                    interface=interface,
                    member=member,
                    signature=signature,
                    body=list(body),
                    unix_fds=list(fds),
                )
            ),
            PATIENCE_S,
        )
        if reply.message_type == MessageType.ERROR:
            raise RuntimeError(f"{member}: {reply.error_name}: {reply.body}")
        return reply

    async def register(self):
        options = {
            "waits": Variant("as", ["eventfd"]),
            "signals": Variant("as", ["eventfd"]),
            "routes": Variant("as", ["eventfd"]),
        }
        reply = await self.call(
            "/org/fencebroker1",
            "org.fencebroker1.Manager",
            "RegisterDevice",
            "ssa{sv}",
            ["vcn0", "encoder", options],
        )
        self.path, self.socket = reply.body[0], reply.unix_fds[reply.body[1]]

    async def device(self, member, signature, *body, fds=()):
        return await self.call(self.path, "org.fencebroker1.Device", member, signature, body, fds)

    async def timeline(self, name):
        reply = await self.device("CreateTimeline", "s", name)
        return reply.body[0], reply.unix_fds[reply.body[1]]

    async def import_(self, token, fence):
        return (await self.device("Import", "hh", 0, 1, fds=[token, fence])).body[0]

    async def export(self, token, value, timeout_us=PATIENCE_S * 1000000):
        reply = await self.device("Export", "htt", 0, value, timeout_us, fds=[token])
        return reply.unix_fds[reply.body[0]]

    async def look(self, token):
        reply = await self.device("LookAt", "h", 0, fds=[token])
        return {key: variant.value for key, variant in reply.body[0].items()}


def run(world, program):
    async def whole():
        bus = await MessageBus(bus_address=world.bus.address, negotiate_unix_fd=True).connect()
        try:
            encoder = Encoder(bus)
            await encoder.register()
            await program(encoder)
            os.close(encoder.socket)
        finally:
            bus.disconnect()

    world.start()
    asyncio.run(whole())


@test
def import_and_export(world):
    """Its own eventfd becomes a point; the point becomes an eventfd that poll waits for."""

    async def program(encoder):
        _, token = await encoder.timeline("encoded")
        done = eventfd()
        value = await encoder.import_(token, done)
        exported = await encoder.export(token, value)
        check(not readable(exported, 0), "the point was reached early")
        check((await encoder.look(token))["value"] < value, "the value came early")
        os.eventfd_write(done, 1)
        check(readable(exported), "the exported eventfd stays silent")
        check((await encoder.look(token))["value"] == value, "the value did not come")
        later = await encoder.import_(token, eventfd(1))
        check(later > value, f"the points do not grow: {value}, {later}")
        await encoder.device("Signal", "ht", 0, later + 5, fds=[token])
        check((await encoder.look(token))["value"] == later + 5, "Signal did not signal")

    run(world, program)


@test
def time_over(world):
    """An export whose time is over becomes readable, and LookAt tells that the point was not reached."""

    async def program(encoder):
        _, token = await encoder.timeline("encoded")
        exported = await encoder.export(token, 9, 50000)
        check(readable(exported), "the time is over, and the eventfd silent")
        state = await encoder.look(token)
        check(state["value"] < 9, f"{state}")
        reached = await encoder.export(token, 9, 0)
        check(readable(reached), "an export without time")

    run(world, program)


@test
def failure(world):
    """A failed timeline makes its exports readable, and LookAt says who failed it, and why."""

    async def program(encoder):
        _, token = await encoder.timeline("encoded")
        exported = await encoder.export(token, 5)
        await encoder.device("Fail", "his", 0, -5, "the firmware hangs", fds=[token])
        check(readable(exported), "the exported eventfd stays silent")
        state = await encoder.look(token)
        check(state["error"] == -5 and "the firmware hangs" in state["reason"], f"{state}")

    run(world, program)


def draw(point):
    return bytes((i * 7 + point * 13) & 0xFF for i in range(256)) * (SIZE // 256)


@test
def pictures(world):
    """Pictures go to a program with the library and come back, each drawn after its point was promised."""

    async def program(encoder):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(PATIENCE_S)
        with ours, subprocess.Popen(
            [CLIENT, world.daemon.socket, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            preexec_fn=child_setup,
            stderr=subprocess.PIPE,
            text=True,
        ) as client:
            theirs.close()
            try:
                await exchange(encoder, ours)
            except (OSError, RuntimeError) as error:
                client.kill()
                check(False, f"{error}; the client said: {client.stderr.read()}")
            ours.close()
            said = client.communicate(timeout=PATIENCE_S)[1]
            check(client.returncode == 0, f"the client failed: {said}")

    async def exchange(encoder, ours):
        _, token = await encoder.timeline("drawn")
        picture = os.memfd_create("picture", os.MFD_CLOEXEC)
        os.ftruncate(picture, SIZE)
        for _ in range(PICTURES):
            done = eventfd()
            point = await encoder.import_(token, done)
            socket.send_fds(ours, [struct.pack("QQ", point, SIZE)], [token, picture])
            os.pwrite(picture, draw(point), 0)
            os.eventfd_write(done, 1)
            os.close(done)
            note, fds, _, _ = socket.recv_fds(ours, 16, 1)
            check(len(note) == 16, "the client ended")
            answer, _ = struct.unpack("QQ", note)
            exported = await encoder.export(fds[0], answer)
            check(readable(exported), f"picture {answer} does not come back")
            state = await encoder.look(fds[0])
            check(state["value"] >= answer, f"picture {answer} failed: {state}")
            check(os.pread(picture, SIZE, 0) == draw(answer + 1), f"picture {answer} is another")
            os.close(exported)
            await encoder.device("CloseTimeline", "h", 0, fds=[fds[0]])
            os.close(fds[0])

    run(world, program)
