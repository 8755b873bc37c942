# vectors.py PROTO-FOLDER: checks requests.txt, replies.txt and events.txt in its vectors/ by protoc. Prints each fault.
import re
import subprocess
import sys

folder = sys.argv[1]
checked = 0
faults = []


def protoc(way, message, data):
    command = ["protoc", f"--{way}=fbk.wire.{message}", f"--proto_path={folder}", "fencebroker.proto"]
    result = subprocess.run(command, input=data, capture_output=True, check=False)
    return result.stdout if result.returncode == 0 else None


def check(name, message, how, text, packed):
    if how == "refused":
        return protoc("decode", message, packed) is None
    decoded = protoc("decode", message, packed)
    if decoded is None:
        return False
    # what it does not know it prints by number
    known = re.sub(r"^ *\d+: .*\n", "", decoded.decode(), flags=re.M)
    return known == text and (how == "decode-only" or protoc("encode", message, text.encode()) == packed)


for file in ("requests.txt", "replies.txt", "events.txt"):
    with open(f"{folder}/vectors/{file}", encoding="utf-8") as opened:
        blocks = opened.read().split("\n\n")
    for block in blocks:
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        if not lines:
            continue
        _, name, message, how = (lines[0].split() + [""])[:4]
        text = "".join(line + "\n" for line in lines[1:] if not line.startswith("hex"))
        packed = bytes.fromhex("".join(line[3:] for line in lines if line.startswith("hex")))
        checked += 1
        if not check(name, message, how, text, packed):
            faults.append(f"{file}: vector {name}")
print("\n".join(faults + [f"{checked} vectors, {len(faults)} wrong"]))
sys.exit(bool(faults) or checked == 0)
