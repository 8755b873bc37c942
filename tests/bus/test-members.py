# SPDX-License-Identifier: MIT
"""
Made from proto/org.fencebroker1.xml: each member is used with and without the right that its annotation
names. A member that this file does not know how to use fails the test.
"""
import os
import xml.etree.ElementTree as ElementTree

from dbus_fast import Variant

from harness import (
    NAME,
    NOBODY,
    SOURCE,
    USER,
    BusError,
    check,
    refused,
    test,
)
from wire import DEVICE, INTROSPECTABLE, MANAGER, PROPERTIES, ROOT

POLICY = f"""
version = 1;
rules: (
  {{ user = {NOBODY}; connect = true; register = false; inspect = "none"; }},
  {{ user = {USER}; connect = true; register = true; class = "*"; inspect = "own"; }},
  {{ user = 0; connect = true; register = true; class = "*"; inspect = "all"; }}
);
"""
RIGHT = f"{NAME}.Right"
ACTION = f"{NAME}.Action"
CHANGES = "org.freedesktop.DBus.Property.EmitsChangedSignal"


def annotations(element):
    return {child.get("name"): child.get("value") for child in element.findall("annotation")}


def arguments(member, direction):
    return "".join(arg.get("type") for arg in member.findall("arg") if arg.get("direction") == direction)


def members(tag):
    """(interface, element) of each member of that kind."""
    root = ElementTree.parse(f"{SOURCE}/proto/org.fencebroker1.xml").getroot()
    for interface in root.findall("interface"):
        for member in interface.findall(tag):
            yield interface.get("name"), member


class Scene:
    """A device of USER, with what the calls need, and a connection for each kind of caller."""

    def __init__(self, world):
        self.world = world.start(POLICY)
        self.root = world.connect()
        self.registrar = world.connect(USER)
        self.sibling = world.connect(USER)  # the same user; not who registered
        self.denied = world.connect(NOBODY)
        self.count = 0
        self.path, self.socket = self.registrar.register("own")
        self.timeline, self.token = self.registrar.timeline(self.path)

    def fresh_device(self):
        self.count += 1
        return self.registrar.register(f"dev{self.count}")

    def fresh_token(self):
        self.count += 1
        return self.registrar.timeline(self.path, f"line{self.count}")

    def callers(self, right):
        """Who may use a member with that right, and who may not."""
        return {
            "none": ([self.denied, self.root], []),
            "register": ([self.registrar, self.root], [self.denied]),
            "inspect": ([self.root, self.registrar], [self.denied]),
            "registrar": ([self.registrar], [self.sibling, self.root, self.denied]),
            "admin": ([self.root], [self.registrar, self.denied]),
        }[right]


# What to call each method with: (arguments, fds).


def register_device(scene):
    scene.count += 1
    options = {
        "waits": Variant("as", ["memory64", "eventfd"]),
        "signals": Variant("as", ["memory64"]),
        "silent": Variant("b", False),
        "visibility": Variant("s", "ordered"),
        "page-align": Variant("u", 4096),
        "backings": Variant("as", ["host"]),
        "routes": Variant("as", ["native", "eventfd"]),
    }
    return [f"new{scene.count}", "gpu", options], []


def evict_client(scene):
    path, _ = scene.fresh_device()
    return [scene.root.get(path, DEVICE, "ClientId"), "an experiment", 0], []


def import_(scene):
    return [0, 1], [scene.token, os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)]


def fail(scene):
    return [0, -5, "an experiment"], [scene.fresh_token()[1]]


CALLS = {
    (MANAGER, "RegisterDevice"): register_device,
    (MANAGER, "ListDevices"): lambda scene: ([], []),
    (MANAGER, "Explain"): lambda scene: ([scene.path, scene.path], []),
    (MANAGER, "ListStuck"): lambda scene: ([1000, 0], []),
    (MANAGER, "FailTimeline"): lambda scene: ([scene.fresh_token()[0], "an experiment", 0], []),
    (MANAGER, "EvictClient"): evict_client,
    (MANAGER, "Reload"): lambda scene: ([], []),
    (MANAGER, "Subscribe"): lambda scene: ([], []),
    (MANAGER, "Unsubscribe"): lambda scene: ([], []),
    (DEVICE, "CreateTimeline"): lambda scene: (["a-name"], []),
    (DEVICE, "CloseTimeline"): lambda scene: ([0], [scene.fresh_token()[1]]),
    (DEVICE, "LookAt"): lambda scene: ([0], [scene.token]),
    (DEVICE, "Export"): lambda scene: ([0, 1000, 1000], [scene.token]),
    (DEVICE, "Import"): import_,
    (DEVICE, "Signal"): lambda scene: ([0, 7], [scene.fresh_token()[1]]),
    (DEVICE, "Fail"): fail,
}


@test
def methods(world):
    scene = Scene(world)
    for interface, member in members("method"):
        name = member.get("name")
        right = annotations(member)[RIGHT]
        check((interface, name) in CALLS, f"this test does not know how to call {interface}.{name}")
        check((ACTION in annotations(member)) == (right == "admin"), f"{name}: {ACTION} is for admin")
        path = ROOT if interface == MANAGER else scene.path
        may, may_not = scene.callers(right)

        def call(who, interface=interface, name=name, path=path, member=member):
            body, fds = CALLS[interface, name](scene)
            return who.call(NAME, path, interface, name, arguments(member, "in"), body, fds)

        for who in may_not:
            try:
                refused("NotPermitted", lambda who=who: call(who))
            except Exception as error:
                raise AssertionError(f"{name} ({right}): {error}") from error
        for who in may:
            try:
                reply = call(who)
            except BusError as error:
                raise AssertionError(f"{name} ({right}) is refused: {error}") from error
            check(reply.signature == arguments(member, "out"), f"{name} returns {reply.signature}")


@test
def properties(world):
    scene = Scene(world)
    for interface, member in members("property"):
        name = member.get("name")
        path = ROOT if interface == MANAGER else scene.path
        check(member.get("access") == "read", f"{name} is not only to be read")
        may, may_not = scene.callers(annotations(member)[RIGHT])
        for who in may:
            reply = who.call(NAME, path, PROPERTIES, "Get", "ss", [interface, name])
            value = reply.body[0]
            check(value.signature == member.get("type"), f"{name} is of type {value.signature}")
            if who is scene.root:
                everything = who.call(NAME, path, PROPERTIES, "GetAll", "s", [interface]).body[0]
                check(name in everything, f"GetAll leaves out {name}: {sorted(everything)}")
        for who in may_not:
            text = refused(
                "NotPermitted",
                lambda who=who, path=path, interface=interface, name=name: who.call(
                    NAME, path, PROPERTIES, "Get", "ss", [interface, name]
                ),
            )
            check(text, f"{name}")
            try:
                everything = who.call(NAME, path, PROPERTIES, "GetAll", "s", [interface]).body[0]
            except BusError:
                everything = {}
            check(name not in everything, f"GetAll shows {name}")
        try:
            scene.root.call(
                NAME, path, PROPERTIES, "Set", "ssv", [interface, name, Variant("s", "x")]
            )
        except BusError as error:
            check(error.text, f"Set {name}: {error}")
        else:
            raise AssertionError(f"{name} can be set")


# How to cause each signal.


def cause_added(scene):
    scene.fresh_device()


def cause_removed(scene):
    os.close(scene.fresh_device()[1])


def cause_failed(scene):
    scene.registrar.device(scene.path, "Fail", "his", 0, -5, "an experiment", fds=[scene.fresh_token()[1]])


def cause_stuck(scene):
    _, token = scene.fresh_token()
    scene.registrar.device(scene.path, "Export", "htt", 0, 9, 1_200_000, fds=[token])


def cause_stopping(scene):
    scene.world.daemon.process.child.terminate()


CAUSES = {
    (MANAGER, "DeviceAdded"): cause_added,
    (MANAGER, "DeviceRemoved"): cause_removed,
    (MANAGER, "TimelineFailed"): cause_failed,
    (MANAGER, "Stuck"): cause_stuck,
    (MANAGER, "Stopping"): cause_stopping,
}


@test
def signals(world):
    """Signals reach subscribers; those who may not inspect cannot subscribe, and get none."""
    scene = Scene(world)
    for who in (scene.root, scene.registrar, scene.denied, scene.sibling):
        who.match(f"type='signal',sender='{NAME}'")
    for who in (scene.root, scene.registrar):
        who.manager("Subscribe")
    refused("NotPermitted", lambda: scene.denied.manager("Subscribe"))
    last = None
    for interface, member in members("signal"):
        name = member.get("name")
        check(annotations(member)[RIGHT] == "inspect", f"{name} has another right")
        check((interface, name) in CAUSES, f"this test does not know what causes {name}")
        if name == "Stopping":  # nothing comes after it
            last = (interface, member)
        else:
            expect_signal(scene, interface, member)
    if last:
        expect_signal(scene, *last)
    for who in (scene.denied, scene.sibling):
        while who.pump(0.1):
            pass
        ours = [signal.member for signal in who.signals if signal.interface == MANAGER]
        check(not ours, f"one who did not subscribe got {ours}")


def expect_signal(scene, interface, member):
    name = member.get("name")
    CAUSES[interface, name](scene)
    for who in (scene.root, scene.registrar):
        signal = who.next_signal(name)
        check(signal, f"{name} does not come")
        check(signal.interface == interface and signal.path == ROOT, f"{name} from {signal.path}")
        types = "".join(arg.get("type") for arg in member.findall("arg"))
        check(signal.signature == types, f"{name} has the signature {signal.signature}")


def canonical(root):
    """What two descriptions of an interface must share."""
    found = set()
    for interface in root.findall("interface"):
        name = interface.get("name")
        if not name.startswith(NAME):
            continue
        for member in interface:
            if member.tag == "annotation":
                continue
            default = {"method": "in", "signal": "out"}.get(member.tag)
            args = tuple(
                (arg.get("name"), arg.get("type"), arg.get("direction", default))
                for arg in member.findall("arg")
            )
            more = {k: v for k, v in annotations(member).items() if not k.startswith(NAME)}
            if member.tag == "property":
                more.setdefault(CHANGES, "true")
            found.add(
                (name, member.tag, member.get("name"), member.get("type"), member.get("access"), args)
                + (tuple(sorted(more.items())),)
            )
    return found


@test
def introspection(world):
    """The running service describes itself as the file does; our annotations are only in the file."""
    scene = Scene(world)
    described = set()
    for path in (ROOT, scene.path):
        text = scene.root.call(NAME, path, INTROSPECTABLE, "Introspect").body[0]
        described |= canonical(ElementTree.fromstring(text))
    file = canonical(ElementTree.parse(f"{SOURCE}/proto/org.fencebroker1.xml").getroot())
    check(len(file) > 30, "the file describes next to nothing")
    check(
        described == file,
        "in the file alone:\n  "
        + "\n  ".join(map(str, sorted(file - described, key=str)))
        + "\nin the service alone:\n  "
        + "\n  ".join(map(str, sorted(described - file, key=str))),
    )
