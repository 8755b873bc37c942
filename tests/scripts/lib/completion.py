# completion.py SHELL FOLDER: types commands with TAB into that shell, on a terminal, and compares what FOLDER/args says of the
# arguments that the program got. Names of devices and timelines are as bad as they may be.
# completion.py activation FOLDER: completes where a socket listens that nobody serves: it must get no connection.
import ctypes
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time

shell, folder = sys.argv[1:]
PATIENCE = 60

# Device names have no spaces; ${IFS} stands for one. What must not run makes a file.
DEVICES = {
    "plain": "plain0",
    "dollar": "dollar$(>ran)",
    "tick": "tick`>ran`",
    "quotes": "quotes'a\"b",
    "semicolon": "semicolon;>ran;",
    "slash": "slash\\n&>ran",
    "star": "star*?[a]{b,c}~",
    "colon": "colon:x=y@z",
    "hash": "hash#!5$HOME",
}
TIMELINES = {"two": "two$(>ran)", "line": "line`>ran`\""}


def commands(ids):
    for prefix, name in DEVICES.items():
        yield f"fencectl explain {prefix}\t", ["explain", name]
    yield "fencectl --dev\tplai\t links", ["--device", "plain0", "links"]
    yield "fencectl -d dolla\t links", ["-d", DEVICES["dollar"], "links"]
    yield "fencectl --name two\t timelines", ["--name", TIMELINES["two"], "timelines"]
    yield "fencectl -m 'line\t timelines", ["-m", TIMELINES["line"], "timelines"]
    yield f"fencectl -n fail {ids['timeline']}\t", ["-n", "fail", ids["timeline"]]
    yield "fencectl explai\tplai\ttick\t", ["explain", "plain0", DEVICES["tick"]]
    yield "fencectl dev\t", ["devices"]
    yield "fencectl poli\tche\t", ["policy", "check"]
    yield "fencectl policy show --as roo\t", ["policy", "show", "--as", "root"]


def objects():
    import fbk

    context = ctypes.c_void_p()
    assert fbk.connect(None, ctypes.byref(context)) == 0
    timeline = ctypes.c_void_p()
    for name in DEVICES.values():
        device = ctypes.c_void_p()
        desc = fbk.struct_device_desc(
            name=name.encode(),
            device_class=fbk.CLASS_CPU,
            waits=fbk.FENCE_MEMORY64,
            signals=fbk.FENCE_MEMORY64,
        )
        assert fbk.device_register(context, ctypes.byref(desc), ctypes.byref(device)) == 0, name
    for name in TIMELINES.values():
        assert (
            fbk.timeline_create(device, None, name.encode(), fbk.TIMELINE_BROKERED, ctypes.byref(timeline)) == 0
        ), name
    return context


def listed(kind):
    text = subprocess.run(["fencectl", "--no-start", "names", kind], capture_output=True, text=True, check=True).stdout
    return [line.split("\t")[0] for line in text.splitlines()]


def start():
    argv = {
        "bash": ["bash", "--noprofile", "--rcfile", f"{folder}/bashrc", "-i"],
        "zsh": ["zsh", "-i"],
        "fish": ["fish", "-i"],
    }[shell]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.environ.update(TERM="dumb" if shell != "fish" else "xterm", ZDOTDIR=f"{folder}/zsh", INPUTRC="/dev/null")
        os.execvp(argv[0], argv)
    return pid, terminal


seen = b""


def read(terminal, seconds):
    global seen
    if select.select([terminal], [], [], seconds)[0]:
        seen += os.read(terminal, 65536)


def typed(terminal, text):
    args = f"{folder}/args"
    if os.path.exists(args):
        os.unlink(args)
    os.write(terminal, text.encode() + b"\r")
    end = time.monotonic() + PATIENCE
    while not os.path.exists(args):
        if time.monotonic() > end:
            return None
        read(terminal, 0.05)
    with open(args, "rb") as opened:
        return opened.read().decode().split("\0")[:-1]


def main():
    context = objects()
    ids = {"timeline": listed("timelines")[0]}
    pid, terminal = start()
    wrong = 0
    assert typed(terminal, "fencectl ready") == ["ready"], seen
    for text, expected in commands(ids):
        got = typed(terminal, text)
        if got is None or got != expected:
            print(f"{shell}: {text!r} became {got}, and not {expected}; the terminal: {seen[-600:]!r}")
            wrong += 1
        if got is None:
            break
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    del context
    print(f"{shell}: {wrong} wrong")
    return wrong > 0 or os.path.exists(f"{folder}/ran")


def activation():
    path = f"{folder}/activated"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(path)
    listening.listen()
    listening.setblocking(False)
    for kind in ("devices", "timelines", "timeline-names", "clients"):
        result = subprocess.run(["fencectl", "--no-start", "--socket", path, "names", kind], capture_output=True, text=True)
        if result.returncode != 1 or "no daemon runs" not in result.stderr or result.stdout:
            print(f"names {kind}: {result}")
            return True
    # the same by the shell's own function
    script = f'. "{os.environ["FBK_SOURCE_DIR"]}/client/fencectl/completion/fencectl.bash"\n' + (
        "COMP_WORDS=(fencectl explain '') COMP_CWORD=2 COMP_LINE='fencectl explain ' COMP_POINT=17\n_fencectl\n"
        'echo "${#COMPREPLY[@]}"'
    )
    result = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env={**os.environ, "FENCEBROKER_SOCKET": path}
    )
    if result.stdout != "0\n":
        print(result)
        return True
    try:
        listening.accept()
    except BlockingIOError:
        return False
    print("it connected")
    return True


sys.exit(activation() if shell == "activation" else main())
