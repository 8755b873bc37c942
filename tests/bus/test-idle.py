# SPDX-License-Identifier: MIT
"""A bus costs an idle daemon nothing: no wake-ups."""
import os
import time

from harness import check, test
from wire import NAME, Connection

QUIET_S = 10


@test
def no_wakeups(world):
    world.start()
    client = world.connect()
    client.match(f"type='signal',sender='{NAME}'")
    client.manager("Subscribe")
    path, fd = client.register()
    _, token = client.timeline(path)
    reply = client.device(path, "Export", "htt", 0, 5, 600_000_000, fds=[token])
    # A busy machine may wake it once, by a page fault; what wakes it every few seconds does so each time.
    for _ in range(3):
        before = world.daemon.settled(1)
        # Others come and go on the bus meanwhile: that is not the daemon's business.
        with Connection(world.bus) as stranger:
            stranger.ask_bus("ListNames")
        time.sleep(QUIET_S)
        count = world.daemon.wakeups() - before
        if count == 0:
            break
        print(f"  {count} wake-ups in {QUIET_S} s: once more")
    check(count == 0, f"{count} wake-ups in {QUIET_S} s")
    reply.close()
    os.close(token)
    os.close(fd)


@test
def no_wakeups_without_a_bus(world):
    """It waits for the bus to come without looking for it all the time."""
    world.daemon.start()
    before = world.daemon.settled(1)
    time.sleep(QUIET_S)
    count = world.daemon.wakeups() - before
    print(f"  {count} wake-ups in {QUIET_S} s without a bus")
    check(count <= QUIET_S, f"{count} wake-ups in {QUIET_S} s")
    world.bus.start()
    world.await_name()
