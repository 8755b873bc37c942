# Owns NAME on the bus at ADDRESS and answers every call: bus-owner.py ADDRESS NAME [ACTION...]. Of polkit's authority
# it answers EnumerateActions, with these actions.
import asyncio
import sys

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus


def answer(message):
    if message.message_type is not MessageType.METHOD_CALL:
        return None
    if message.member == "EnumerateActions":
        actions = [[name, "", "", "", "", "", 0, 0, 0, {"key": "value"}] for name in sys.argv[3:]]
        return Message.new_method_return(message, "a(ssssssuuua{ss})", [actions])
    return Message.new_method_return(message)


async def main():
    bus = await MessageBus(bus_address=sys.argv[1]).connect()
    bus.add_message_handler(answer)
    await bus.request_name(sys.argv[2])
    print("ready", flush=True)
    await bus.wait_for_disconnect()


asyncio.run(main())
