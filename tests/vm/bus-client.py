# A client of the installed service over the system bus, for guest-bus.sh: what it holds outlives the bus. It says
# "ready"; when a line comes in, the bus has restarted.
import asyncio
import os
import select
import socket
import sys

from dbus_fast import BusType, Variant
from dbus_fast.aio import MessageBus

BROKER = "org.fencebroker1"


async def interface(bus, path, name):
    node = await bus.introspect(BROKER, path)
    return bus.get_proxy_object(BROKER, path, node).get_interface(f"{BROKER}.{name}")


async def register(name):
    bus = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
    manager = await interface(bus, "/org/fencebroker1", "Manager")
    path, fd = await manager.call_register_device(name, "encoder", {"signals": Variant("as", ["eventfd"])})
    device = await interface(bus, path, "Device")
    return bus, device, socket.socket(fileno=fd)


async def main():
    bus, device, connection = await register("vcn0")
    timeline, token = await device.call_create_timeline("frames")
    encoded = os.eventfd(0)
    point = await device.call_import(token, encoded)
    ready = await device.call_export(token, point, 60_000_000)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    try:
        await asyncio.wait_for(bus.wait_for_disconnect(), 30)
    except EOFError:
        pass  # that is how it says it

    assert not select.select([ready, connection], [], [], 0)[0], "the bus ended the export or the socket"
    os.eventfd_write(encoded, 1)
    assert select.select([ready], [], [], 30)[0], "the point never arrived"

    # A connection to the new bus is another registrar; the token, an fd, is still good.
    bus, device, other = await register("display0")
    state = await device.call_look_at(token)
    assert state["value"].value == point and state["id"].value == timeline, state
    other.close()
    connection.close()


asyncio.run(main())
