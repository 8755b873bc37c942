# SPDX-License-Identifier: MIT
"""
Administration by those whom polkit allows it: with a real polkitd on the private bus, and with one of this
file that answers late, or never.
"""
import contextlib
import os
import pwd
import shutil

from dbus_fast import Message, MessageFlag, MessageType

from harness import (
    MS_BIND,
    NOBODY,
    SOURCE,
    BusError,
    Failed,
    Process,
    Skip,
    await_,
    check,
    mount,
    refused,
    test,
    unmount,
)
from wire import DEVICE, MANAGER, NAME, ROOT, Connection

POLKITD = "/usr/lib/polkit-1/polkitd"
POLKIT = "org.freedesktop.PolicyKit1"
ACTIONS_DIRECTORY = "/usr/share/polkit-1/actions"
RULES_DIRECTORY = "/etc/polkit-1/rules.d"
MORE_RULES_DIRECTORY = "/usr/share/polkit-1/rules.d"
AUTHORITY = "/org/freedesktop/PolicyKit1/Authority"
ACTIONS = ("fail-timeline", "evict-client", "reload")

ACTION_FILE = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE policyconfig PUBLIC "-//freedesktop//DTD PolicyKit Policy Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/PolicyKit/1/policyconfig.dtd">
<policyconfig>{}
</policyconfig>
"""
ACTION = """
  <action id="org.fencebroker1.{}">
    <description>Administer</description>
    <message>Authentication is required</message>
    <defaults>
      <allow_any>auth_admin</allow_any>
      <allow_inactive>auth_admin</allow_inactive>
      <allow_active>auth_admin</allow_active>
    </defaults>
  </action>"""

RULE = """polkit.addRule(function(action, subject) {
	if (action.id == "org.fencebroker1.%s" && subject.user == "%s") {
		return polkit.Result.YES;
	}
});
"""


class Polkitd:
    """The real one, with our actions and a rule for one of them."""

    def __init__(self, world, allowed):
        if not os.path.exists(POLKITD):
            raise Skip(f"there is no {POLKITD}")
        self.world = world
        self.process = None
        actions, rules = f"{world.directory}/actions", f"{world.directory}/rules"
        os.mkdir(actions)
        os.mkdir(rules)
        os.chmod(rules, 0o755)
        shipped = [
            os.path.join(folder, name)
            for folder, _, names in os.walk(f"{SOURCE}/systemd")
            for name in names
            if name == "org.fencebroker1.policy"
        ]
        if shipped:
            shutil.copy(shipped[0], f"{actions}/org.fencebroker1.policy")
        else:
            with open(f"{actions}/org.fencebroker1.policy", "w", encoding="utf-8") as file:
                file.write(ACTION_FILE.format("".join(map(ACTION.format, ACTIONS))))
        if allowed:
            with open(f"{rules}/10-test.rules", "w", encoding="utf-8") as file:
                file.write(RULE % (allowed, pwd.getpwuid(NOBODY).pw_name))
        with open(f"{rules}/50-admin.rules", "w", encoding="utf-8") as file:
            file.write('polkit.addAdminRule(function() { return ["unix-user:0"]; });\n')
        # Seen by this process and its children alone.
        mount(actions, ACTIONS_DIRECTORY, None, MS_BIND)
        mount(rules, RULES_DIRECTORY, None, MS_BIND)
        mount(rules, MORE_RULES_DIRECTORY, None, MS_BIND)

    def __enter__(self):
        return self.start()

    def start(self):
        self.process = Process(
            [POLKITD],
            f"{self.world.directory}/polkitd.log",
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.world.bus.address},
        )
        with Connection(self.world.bus) as observer:
            await_(lambda: self._up(observer), "polkitd has its name")
        return self

    def _up(self, observer):
        if self.process.child.poll() is not None:
            raise Failed(f"polkitd ended: {self.process.text()}")
        return observer.owner(POLKIT)

    def __exit__(self, *_):
        self.process.kill()
        for directory in (ACTIONS_DIRECTORY, RULES_DIRECTORY, MORE_RULES_DIRECTORY):
            unmount(directory)


class FakePolkit:
    """Answers when the test says so."""

    def __init__(self, world):
        self.connection = Connection(world.bus)
        check(self.connection.ask_bus("RequestName", "su", POLKIT, 0)[0] == 1, "the name is taken")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def next_call(self, member):
        def found():
            while not self.connection.calls:
                if not self.connection.pump(0.05):
                    return None
            return self.connection.calls.popleft()

        call = await_(found, f"a call of {member}")
        check(call.member == member, f"{call.member} and not {member}")
        return call

    def answer(self, call, allowed, challenge=False, details=None):
        self.connection.send(
            Message(
                message_type=MessageType.METHOD_RETURN,
                flags=MessageFlag.NO_REPLY_EXPECTED,
                destination=call.sender,
                reply_serial=call.serial,
                signature="(bba{ss})",
                body=[[allowed, challenge, details or {}]],
            )
        )

    def answer_nothing(self, call):
        self.connection.send(
            Message(
                message_type=MessageType.METHOD_RETURN,
                flags=MessageFlag.NO_REPLY_EXPECTED,
                destination=call.sender,
                reply_serial=call.serial,
            )
        )


@contextlib.contextmanager
def victim(world):
    """A device of root with a timeline: (its client's id, the timeline's id, its path)."""
    with Connection(world.bus) as owner:
        path, fd = owner.register("victim")
        timeline, token = owner.timeline(path)
        try:
            yield owner.get(path, DEVICE, "ClientId"), timeline, path
        finally:
            os.close(fd)
            os.close(token)


def administer(client, who, action):
    """Starts the call of that action; returns its serial."""
    client_id, timeline, _ = who
    if action == "reload":
        return client.send_call(NAME, ROOT, MANAGER, "Reload")
    if action == "evict-client":
        return client.send_call(NAME, ROOT, MANAGER, "EvictClient", "tst", [client_id, "a test", 0])
    return client.send_call(NAME, ROOT, MANAGER, "FailTimeline", "tst", [timeline, "a test", 0])


@test
def allowed_by_a_rule(world):
    """The action that a rule allows works, and each other one is refused."""
    world.start()
    for allowed in ACTIONS[:1]:
        with Polkitd(world, allowed), victim(world) as who:
            client = world.connect(NOBODY)
            for action in ACTIONS:
                serial = administer(client, who, action)
                if action == allowed:
                    client.take(serial)
                else:
                    refused("NotPermitted", lambda serial=serial: client.take(serial))


@test
def each_action(world):
    world.start()
    client = world.connect(NOBODY)
    with FakePolkit(world) as polkit, victim(world) as who:
        for action in ("reload", "fail-timeline", "evict-client"):
            serial = administer(client, who, action)
            call = polkit.next_call("CheckAuthorization")
            subject, name, details, flags, _ = call.body
            check(name == f"org.fencebroker1.{action}", f"asked about {name}")
            check(subject[0] == "system-bus-name", f"about a subject of the kind {subject[0]}")
            check(subject[1]["name"].value == client.unique, f"about {subject[1]}")
            print(f"  {name}: details {details}, flags {flags}")
            polkit.answer(call, False, True)
            refused("NotPermitted", lambda serial=serial: client.take(serial))
            serial = administer(client, who, action)
            polkit.answer(polkit.next_call("CheckAuthorization"), True)
            client.take(serial)


@test
def root_needs_no_polkit(world):
    world.start()
    with FakePolkit(world) as polkit, victim(world) as who:
        root = world.connect()
        for action in ("reload", "fail-timeline", "evict-client"):
            root.take(administer(root, who, action))
        polkit.connection.drain()
        check(not polkit.connection.calls, "polkit was asked about root")


@test
def refused_without_a_rule(world):
    world.start()
    with Polkitd(world, None), victim(world) as who:
        client = world.connect(NOBODY)
        for action in ACTIONS:
            serial = administer(client, who, action)
            refused("NotPermitted", lambda serial=serial: client.take(serial))
        _, _, path = who
        check(path in world.connect().manager("ListDevices").body[0], "the victim is gone")


@test
def refused_without_polkit(world):
    world.start()
    with victim(world) as who:
        client = world.connect(NOBODY)
        for action in ACTIONS:
            serial = administer(client, who, action)
            refused("NotPermitted", lambda serial=serial: client.take(serial))


@test
def polkitd_stopped(world):
    """It hangs for 3 s: the caller waits, nobody else does."""
    world.start()
    with Polkitd(world, "reload") as polkitd, victim(world) as who:
        client, other = world.connect(NOBODY), world.connect(NOBODY)
        client.take(administer(client, who, "reload"))
        polkitd.process.pause()
        serials = [administer(client, who, "reload") for _ in range(4)]
        refused("Limit", lambda: client.take(administer(client, who, "reload")))
        for _ in range(60):
            other.get(ROOT, MANAGER, "Version")
            client.pump(0.05)
        check(not client.replies, "answered without polkit")
        polkitd.process.resume()
        for serial in serials:
            client.take(serial)


@test
def polkitd_killed(world):
    """It dies while a check waits: that one is refused, and the next polkitd is asked anew."""
    world.start()
    with victim(world) as who:
        client = world.connect(NOBODY)
        with Polkitd(world, "reload") as polkitd:
            polkitd.process.pause()
            serial = administer(client, who, "reload")
            client.get(ROOT, MANAGER, "Version")
            check(not client.replies, "answered without polkit")
            polkitd.process.kill()
            refused(("NotPermitted", "Failed"), lambda: client.take(serial))
            polkitd.start()
            client.take(administer(client, who, "reload"))


@test
def caller_goes(world):
    """The check of a caller that is gone is cancelled, and its action not taken."""
    world.start()
    with FakePolkit(world) as polkit, victim(world) as who:
        before = world.daemon.fds()
        with Connection(world.bus, NOBODY) as client:
            administer(client, who, "evict-client")
            call = polkit.next_call("CheckAuthorization")
            cancellation = call.body[4]
            check(cancellation, "a check that cannot be cancelled")
        cancel = polkit.next_call("CancelCheckAuthorization")
        check(cancel.body == [cancellation], f"{cancel.body} is cancelled, not {cancellation}")
        polkit.answer_nothing(cancel)
        polkit.answer(call, True)  # too late
        observer = world.connect()
        observer.ping()
        check(who[2] in observer.manager("ListDevices").body[0], "the action was taken all the same")
        world.daemon.await_fds(before)


@test
def two_ask(world):
    """Many checks wait at once; each has its own answer."""
    world.start()
    with FakePolkit(world) as polkit, victim(world) as who:
        first, second = world.connect(NOBODY), world.connect(NOBODY)
        one = administer(first, who, "reload")
        a = polkit.next_call("CheckAuthorization")
        two = administer(second, who, "reload")
        b = polkit.next_call("CheckAuthorization")
        check(a.body[4] != b.body[4], "both have the same cancellation id")
        polkit.answer(b, True)
        second.take(two)
        polkit.answer(a, False)
        try:
            first.take(one)
        except BusError as error:
            check(error.name == f"{NAME}.Error.NotPermitted", f"{error}")
        else:
            raise Failed("the answer of another")
