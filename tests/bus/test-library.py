# SPDX-License-Identifier: MIT
"""The socket that RegisterDevice returns, in the hands of libfencebroker in another process."""
import contextlib
import os
import shutil
import subprocess
import types

from harness import BIN, PATIENCE_S, USER, Skip, await_, check, readable, test
from wire import DEVICE, Connection


@contextlib.contextmanager
def adopted(fd, token, *before):
    """A process that goes on with the device."""
    process = subprocess.Popen(
        [*before, f"{BIN}/../tests/adopt", str(fd), str(token)],
        pass_fds=(fd, token), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def line(process):
    check(readable(process.stdout.fileno()), "it says nothing")
    return process.stdout.readline().strip()


def gone(client, path):
    await_(lambda: path not in client.manager("ListDevices").body[0], f"{path} is still there")


def registered(client):
    path, fd = client.register()
    _, token = client.timeline(path)
    client.device(path, "Signal", "ht", 0, 1, fds=[token])
    return path, fd, token


@test
def takes_over(world):
    """What the bus made and what the library makes belong to one client, whose process is the new one."""
    world.start()
    client = world.connect()
    before = world.daemon.fds()
    path, fd, token = registered(client)
    check(client.get(path, DEVICE, "Pid") == os.getpid(), "before it speaks, its process is the caller")
    with adopted(fd, token) as process:
        check(line(process) == "ok", "it failed")
        os.close(fd)
        check(client.get(path, DEVICE, "Pid") == process.pid, "its process is not the one that spoke")
        check(client.get(path, DEVICE, "Client") == "adopt", "its name is not that of its Hello")
        state = client.device(path, "LookAt", "h", 0, fds=[token]).body[0]
        check(state["pid"].value == process.pid, "the timeline names another process")
        process.stdin.close()
        check(process.wait(PATIENCE_S) == 0, "it did not end well")
    gone(client, path)
    os.close(token)
    world.daemon.await_fds(before)


@contextlib.contextmanager
def proxy(world):
    """The bus as a sandbox sees it."""
    path = f"{world.directory}/proxy"
    ready, signal = os.pipe()
    process = subprocess.Popen(
        ["xdg-dbus-proxy", f"--fd={signal}", world.bus.address, path, "--filter", "--talk=org.fencebroker1"],
        pass_fds=(signal,),
    )
    os.close(signal)
    try:
        check(os.read(ready, 1) == b"x", "the proxy does not start")
        yield types.SimpleNamespace(path=path, pid=process.pid)
    finally:
        os.close(ready)
        process.kill()
        process.wait()


@test
def in_a_sandbox(world):
    """Behind the bus's proxy the caller is the proxy, until somebody speaks on the socket."""
    if not shutil.which("xdg-dbus-proxy"):
        raise Skip("there is no xdg-dbus-proxy")
    world.start()
    with proxy(world) as sandbox, Connection(sandbox) as client:
        path, fd, token = registered(client)
        check(client.get(path, DEVICE, "Pid") == sandbox.pid, "its process is not the proxy")
        with adopted(fd, token) as process:
            check(line(process) == "ok", "it failed")
            check(client.get(path, DEVICE, "Pid") == process.pid, "its process is not the one that spoke")
    os.close(fd)
    os.close(token)
    gone(world.connect(), path)


@test
def dies(world):
    """Its end is that of the client, whoever else holds the socket."""
    world.start()
    client = world.connect()
    path, fd, token = registered(client)
    with adopted(fd, token) as process:
        check(line(process) == "ok", "it failed")
        process.kill()
        gone(client, path)
    os.close(fd)
    os.close(token)


@test
def in_a_user_namespace(world):
    """There its uid is another; here it is the host's."""
    world.start()
    client = world.connect(USER)
    path, fd, token = registered(client)
    as_user = ("setpriv", f"--reuid={USER}", "--clear-groups", "unshare", "--user", "--map-root-user")
    probe = subprocess.run([*as_user, "true"], check=False)
    if probe.returncode != 0:
        as_user = as_user[:3]  # no user namespaces here: the user alone
    with adopted(fd, token, *as_user) as process:
        check(line(process) == "ok", "it failed")
        check(client.get(path, DEVICE, "Uid") == USER, "it is another user")
        check(client.get(path, DEVICE, "Pid") == process.pid, "it is another process")
    os.close(fd)
    os.close(token)


@test
def of_another_user(world):
    """The rights are those of the user that registered: nobody else may use them."""
    world.start()
    client = world.connect(USER)
    path, fd, token = registered(client)
    with adopted(fd, token) as process:
        check(line(process).startswith("connect:"), "it was served")
    gone(client, path)
    await_(lambda: "not of the user that registered it" in world.daemon.text(), "the log says why")
    os.close(fd)
    os.close(token)
