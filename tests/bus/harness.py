# SPDX-License-Identifier: MIT
"""
Private buses, a fencebrokerd on one of them, and the runner of the tests. Every process ends with the
test: context managers end them, and PDEATHSIG does when the test is killed. Waits await a condition.
"""
import contextlib
import ctypes
import errno
import json
import os
import pwd
import resource
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

from wire import NAME, PATIENCE_S, BusError, Connection, Gone

BIN = os.environ.get("FBK_BIN_DIR", "")
SOURCE = os.environ.get("FBK_SOURCE_DIR", "")
SOAK = bool(os.environ.get("FBK_SOAK"))
SKIPPED = 77
NOBODY = 65534
USER = pwd.getpwnam("games").pw_uid  # the bus refuses users that it does not find

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
CLONE_NEWNS = 0x20000
MNT_DETACH = 2
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000

OPEN_POLICY = """
version = 1;
rules: ( { user = "*"; connect = true; register = true; class = "*"; inspect = "all"; } );
"""

# What Debian's system.conf allows, and the name for root, who runs the tests.
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <auth>EXTERNAL</auth>
  <listen>unix:path={path}</listen>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Peer"/>
  </policy>
  {ours}
  <policy user="root">
    <allow own="org.fencebroker1"/>
    <allow own="org.freedesktop.PolicyKit1"/>
  </policy>
  <policy user="polkitd">
    <allow own="org.freedesktop.PolicyKit1"/>
  </policy>
  <policy context="default">
    <allow send_destination="org.freedesktop.PolicyKit1"/>
  </policy>
  <limit name="max_message_unix_fds">16</limit>
</busconfig>
"""

OUR_CONFIG = """<policy context="default">
    <allow send_destination="org.fencebroker1"/>
  </policy>"""


class Failed(Exception):
    pass


class Skip(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failed(text)


def await_(condition, text, seconds=PATIENCE_S):
    """Until it holds; returns what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds} s: {text}")
        time.sleep(0.005)


def refused(error_name, call):
    """`call` must end with that error of ours, or one of several, and a sentence."""
    names = (error_name,) if isinstance(error_name, str) else error_name
    try:
        call()
    except BusError as error:
        check(error.name in [f"{NAME}.Error.{name}" for name in names], f"{names} expected: {error}")
        check(len(error.text) > 10 and " " in error.text, f"not a sentence: {error}")
        return error.text
    raise Failed(f"answered, and not refused with {names}")


# ------------------------------------------------------------------------------------ processes ---


def child_setup():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()


def processes_of(session):
    """All processes of that session, dead ones that nobody has waited for included."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            found.append(int(entry))
    return found


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0]


class Process:
    """A child with a session of its own, so that it and its children can be stopped and killed."""

    def __init__(self, arguments, log, **options):
        self.log = log
        with open(log, "ab") as output:
            self.child = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=options.pop("setup", child_setup),
                **options,
            )
        self.pid = self.child.pid

    def signal(self, number):
        for pid in processes_of(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def pause(self):
        self.signal(signal.SIGSTOP)
        await_(lambda: all(state_of(pid) in "TZ" for pid in processes_of(self.pid)), "stopped")

    def resume(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        while found := processes_of(self.pid):
            self.signal(signal.SIGKILL)
            self.child.poll()
            for pid in found:  # its children are this process's now
                if pid != self.pid:
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(pid, os.WNOHANG)
            time.sleep(0.002)
        self.child.wait()

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()


# ---------------------------------------------------------------------------------------- buses ---


class InChroot(Exception):
    """There / is no mount, and whoever made the chroot has decided who sees what is mounted in it."""


def namespace_enter():
    """Mounts made from here on are this test's alone: a dummy of the journal for the broker's launcher."""
    if os.geteuid() != 0:
        print("SKIPPED: only root can be several users, and mount what a bus expects")
        sys.exit(SKIPPED)
    if LIBC.unshare(CLONE_NEWNS) != 0:
        print(f"SKIPPED: no mount namespace: {os.strerror(ctypes.get_errno())}")
        sys.exit(SKIPPED)
    with contextlib.suppress(InChroot):
        mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("fencebroker-test", "/run", "tmpfs", 0)
    os.makedirs("/run/systemd/journal")
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind("/run/systemd/journal/socket")
    return journal


def mount(source, target, kind, flags):
    def encode(text):
        return text.encode() if text is not None else None

    if LIBC.mount(encode(source), encode(target), encode(kind), ctypes.c_ulong(flags), None) != 0:
        number = ctypes.get_errno()
        if number == errno.EINVAL and target == "/":
            raise InChroot
        raise OSError(number, f"mount {target}: {os.strerror(number)}")


def unmount(target):
    LIBC.umount2(target.encode(), MNT_DETACH)


class Bus:
    """A bus at a fixed address; may be stopped and started again."""

    def __init__(self, kind, directory):
        self.kind = kind
        self.directory = directory
        self.path = f"{directory}/bus"
        self.address = f"unix:path={self.path}"
        self.process = None
        ours = OUR_CONFIG
        shipped = f"{SOURCE}/systemd/org.fencebroker1.conf"
        if os.path.exists(shipped):
            ours = f"<include>{shipped}</include>"
        with open(f"{directory}/bus.conf", "w", encoding="utf-8") as file:
            file.write(BUS_CONFIG.format(path=self.path, ours=ours))

    def start(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        {"dbus-daemon": self._start_daemon, "dbus-broker": self._start_broker}[self.kind]()
        await_(self._answers, f"{self.kind} answers")
        return self

    def _start_daemon(self):
        self.process = Process(
            ["dbus-daemon", "--nofork", "--nopidfile", "--nosyslog", f"--config-file={self.directory}/bus.conf"],
            f"{self.directory}/bus.log",
        )

    def _start_broker(self):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(self.path)
        os.chmod(self.path, 0o666)
        listener.listen(4096)
        self.process = Process(
            [sys.executable, "-c", LAUNCH, str(listener.fileno()), self.address, f"{self.directory}/bus.conf"],
            f"{self.directory}/bus.log",
            pass_fds=(listener.fileno(),),
        )
        listener.close()

    def _answers(self):
        if self.process.child.poll() is not None:
            raise Failed(f"{self.kind} ended: {self.process.text()}")
        try:
            with Connection(self):
                return True
        except (OSError, Gone):
            return False

    def holds(self, inode):
        """Has a process of it that socket open?"""
        for pid in processes_of(self.process.pid):
            for entry in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(FileNotFoundError):
                    if os.readlink(f"/proc/{pid}/fd/{entry}") == f"socket:[{inode}]":
                        return True
        return False

    def kill(self):
        if self.process:
            self.process.kill()
            self.process = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


# Socket activation wants the fd 3 and the pid of the program itself. The launcher asks the service manager
# on the session bus, and does without one: it is given the bus that it starts.
LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), DBUS_SESSION_BUS_ADDRESS=sys.argv[2])
os.execvp("dbus-broker-launch", ["dbus-broker-launch", "--scope", "user", "--config-file", sys.argv[3]])
"""

# ----------------------------------------------------------------------------------- the daemon ---


class Daemon:
    def __init__(self, directory, address, name="daemon"):
        self.directory = directory
        self.address = address
        self.socket = f"{directory}/{name}.socket"
        self.policy = f"{directory}/{name}.policy"
        self.log = f"{directory}/{name}.log"
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def start(self, policy=OPEN_POLICY, environment=None, arguments=()):
        self.write_policy(policy)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = f"{self.socket}.notify"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        notify.bind(path)
        self.process = Process(
            [f"{BIN}/fencebrokerd", "--verbose", "--socket", self.socket, "--policy", self.policy]
            + ["--bus", self.address, *arguments],
            self.log,
            env={**os.environ, "NOTIFY_SOCKET": path, **(environment or {})},
        )
        with notify:
            await_(lambda: self._ready(notify), "fencebrokerd is ready")
        return self

    def _ready(self, notify):
        if self.process.child.poll() is not None:
            raise Failed(f"fencebrokerd ended with {self.process.child.returncode}: {self.text()}")
        if not select.select([notify], [], [], 0.1)[0]:
            return False
        return b"READY=1" in notify.recv(4096)

    def write_policy(self, text):
        with open(self.policy, "w", encoding="utf-8") as file:
            file.write(text)

    def text(self):
        return self.process.text() if self.process else ""

    def terminate(self):
        """It must end by itself, with success: leaks and undefined behaviour end it with another status."""
        process, self.process = self.process, None
        if process is None:
            return
        process.resume()
        with contextlib.suppress(ProcessLookupError):
            process.child.send_signal(signal.SIGTERM)
        try:
            status = process.child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed(f"fencebrokerd does not end: {process.text()}") from None
        check(status == 0, f"fencebrokerd ended with {status}: {process.text()}")

    def kill(self):
        process, self.process = self.process, None
        if process:
            process.kill()

    # What it has: compared before and after.

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def await_fds(self, count):
        await_(lambda: self.fds() <= count, f"fds back to {count}, and not {self.fds()}: {self.fd_list()}")

    def fd_list(self):
        found = []
        for entry in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"/proc/{self.pid}/fd/{entry}"))
        return sorted(found)

    def memory(self):
        """Anonymous memory in bytes."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="utf-8") as file:
            for line in file:
                if line.startswith("Anonymous:"):
                    return int(line.split()[1]) * 1024
        raise Failed("no Anonymous: in smaps_rollup")

    def wakeups(self):
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as file:
            for line in file:
                if line.startswith("voluntary_ctxt_switches:"):
                    return int(line.split()[1])
        raise Failed("no voluntary_ctxt_switches")

    def settled(self, seconds):
        """The count of wake-ups once there was none for that time."""
        count, since = self.wakeups(), time.monotonic()
        end = since + PATIENCE_S + seconds
        while time.monotonic() < since + seconds:
            check(time.monotonic() < end, "the daemon does not come to rest")
            time.sleep(0.005)
            now = self.wakeups()
            if now != count:
                count, since = now, time.monotonic()
        return count

    def ctl(self, *arguments):
        """What fencectl --json prints, through the socket."""
        done = subprocess.run(
            [f"{BIN}/fencectl", "--socket", self.socket, "--json", *arguments],
            capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )
        check(done.returncode == 0, f"fencectl {arguments}: {done.stderr}")
        return json.loads(done.stdout)


class World:
    """One bus and one daemon, for one test."""

    def __init__(self, kind):
        self.kind = kind
        self.directory = tempfile.mkdtemp(prefix="fencebroker-bus-")
        os.chmod(self.directory, 0o755)
        self.bus = Bus(kind, self.directory)
        self.daemon = Daemon(self.directory, self.bus.address)
        self.stack = contextlib.ExitStack()

    def start(self, policy=OPEN_POLICY, **options):
        self.bus.start()
        self.daemon.start(policy, **options)
        self.await_name()
        return self

    def connect(self, uid=None):
        return self.stack.enter_context(Connection(self.bus, uid))

    def await_name(self):
        with Connection(self.bus) as observer:
            await_(observer.owner, f"the name {NAME}; the log says {self.daemon.text()}")

    def close(self, judge):
        try:
            self.stack.close()
            if judge:
                self.daemon.terminate()
        finally:
            self.daemon.kill()
            self.bus.kill()
            shutil.rmtree(self.directory, ignore_errors=True)


def sanitized():
    """Then memory that is free stays in use for a while."""
    with open(f"{BIN}/fencebrokerd", "rb") as file:
        return b"__asan_init" in file.read()


class SystemWorld:
    """The system's bus, and the daemon that is installed there: $FBK_BUS_ADDRESS and $FBK_SOCKET."""

    class Place:
        def __init__(self, address, path):
            self.address = address
            self.socket = path

        def text(self):
            return "in the journal"

    def __init__(self, kind):
        self.kind = kind
        self.bus = self.daemon = self.Place(os.environ["FBK_BUS_ADDRESS"], os.environ["FBK_SOCKET"])

    def start(self):
        return self

    def close(self, judge):
        pass


def eventfd(value=0):
    return os.eventfd(value, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


def readable(fd, seconds=PATIENCE_S):
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(seconds * 1000))


def raise_fd_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


# -------------------------------------------------------------------------------------- the tests ---

TESTS = []


def test(function=None, *, seconds=120, kinds=("dbus-daemon", "dbus-broker")):
    """A test: takes a World where nothing runs yet. It runs once with each bus."""

    def add(function):
        TESTS.append((function, seconds, kinds))
        return function

    return add(function) if function else add


def overdue(*_):
    raise Failed("took too long")


def run_one(function, seconds, kind):
    """None, or what went wrong."""
    signal.alarm(seconds)
    world = SystemWorld(kind) if kind == "system" else World(kind)
    judge = False
    try:
        function(world)
        judge = True
    except Skip as reason:
        return f"SKIPPED: {reason}"
    except BaseException as error:  # the processes must end in any case
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{traceback.format_exc()}\nthe daemon's log:\n{world.daemon.text()[-4000:]}"
    finally:
        signal.alarm(seconds)
        try:
            world.close(judge)
        except Failed as error:
            return str(error)  # noqa: B012
        finally:
            signal.alarm(0)
    return None


def missing(kind):
    """What that bus lacks here, or None."""
    program = {"dbus-broker": "dbus-broker-launch"}.get(kind, "dbus-daemon")
    if not shutil.which(program):
        return f"there is no {program}"
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            known = len(file.read().strip()) == 32
    except OSError:
        known = False
    return "there is no /etc/machine-id" if kind == "dbus-broker" and not known else None


def main():
    """Runs the tests of the file of the first argument, or those that the others name, as NAME or NAME@BUS."""
    if not BIN or not SOURCE:
        sys.exit("FBK_BIN_DIR and FBK_SOURCE_DIR say where the programs and the sources are")
    signal.signal(signal.SIGALRM, overdue)
    raise_fd_limit()
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
    installed = "FBK_BUS_ADDRESS" in os.environ
    journal = None if installed else namespace_enter()
    runpy.run_path(sys.argv[1])
    failed, ran = 0, 0
    for function, seconds, kinds in TESTS:
        for kind in ("system",) if installed else kinds:
            name = f"{function.__name__}@{kind}"
            if sys.argv[2:] and not {function.__name__, name} & set(sys.argv[2:]):
                continue
            reason = missing(kind)
            if reason:
                print(f"SKIPPED {name}: {reason}")
                continue
            began = time.monotonic()
            problem = run_one(function, seconds, kind)
            took = f"{time.monotonic() - began:.1f} s"
            if problem is None:
                print(f"ok      {name} ({took})")
                ran += 1
            elif problem.startswith("SKIPPED"):
                print(f"{name}: {problem}")
            else:
                print(f"FAILED  {name} ({took})\n{problem}")
                failed += 1
            sys.stdout.flush()
    if journal:
        journal.close()
    sys.exit(1 if failed else 0 if ran else SKIPPED)
