# names.py names HEADER...             the names of enums and structs
# names.py exports SYMBOLS HEADER...   what a library exports against what is declared; SYMBOLS: one a line
# Prints each fault; fails if there is one.
import os
import sys

from header import Header

# Passed by value, or elements of arrays: these never change. tests/unit/test-abi.c has their sizes.
FIXED = {"fbk_point", "fbk_release", "fbk_rectangle", "fbk_color", "fbk_vk_buffer"}

faults = []


# The longest beginning, up to a "_", of all of them; of a single one all but its last word.
def common(names):
    words = os.path.commonprefix([name.split("_") for name in names])
    if len(words) == len(names[0].split("_")):
        words = words[:-1]
    return "_".join(words) + "_"


# FBK_ and some of the words of the enum's name, in their order: fbk_device_class has FBK_CLASS_.
def fits(prefix, enum):
    words = iter(enum.upper().split("_"))
    return prefix.startswith("FBK_") and prefix != "FBK_" and all(word in words for word in prefix[:-1].split("_"))


def check_names(header):
    owner = {}
    seen = set()
    for enum, enumerators in header.enums.items():
        names = [name for name, _ in enumerators]
        faults.extend(f"{name} is there twice" for name in names if name in seen)
        seen.update(names)
        prefix = common(names)
        if not fits(prefix, enum):
            # the prefix of most of them, if there is one
            usual = max((common([a, b]) for a in names for b in names if a < b), key=lambda p: fits(p, enum), default="FBK_")
            odd = [name for name in names if not name.startswith(usual)] if fits(usual, enum) else names
            faults.extend(f"{name} of enum {enum} does not begin with FBK_ and the enum's words" for name in odd)
            continue
        if prefix in owner:
            faults.append(f"{prefix} is of enum {owner[prefix]} and of enum {enum}")
        owner[prefix] = enum
    for struct, members in header.structs.items():
        if struct not in FIXED and members[0] != ("size_t", "struct_size", ""):
            faults.append(f"struct {struct} does not begin with struct_size")
    return f"{len(header.enums)} enums, {len(header.structs)} structs"


def check_exports(header, path):
    with open(path, encoding="utf-8") as file:
        exported = set(file.read().split())
    declared = set(header.functions)
    faults.extend(f"{name} is exported and not declared" for name in sorted(exported - declared))
    faults.extend(f"{name}() is declared and not exported" for name in sorted(declared - exported))
    return f"{len(exported)} functions"


if sys.argv[1] == "names":
    print(check_names(Header(*sys.argv[2:])))
else:
    print(check_exports(Header(*sys.argv[3:]), sys.argv[2]))
print("\n".join(faults))
sys.exit(bool(faults))
