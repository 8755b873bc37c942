# grows.py OLD-HEADER NEW-HEADER: what of the old header is not in the new one as it was. abidiff sees what functions reach;
# this also sees masks, macros and callbacks. Prints each change that breaks an older program; fails if there is one.
import sys

from header import Header

old, new = Header(sys.argv[1]), Header(sys.argv[2])
faults = []


def same(what, before, after):
    for name, value in before.items():
        if name not in after:
            faults.append(f"{what} {name} is gone")
        elif after[name] != value:
            faults.append(f"{what} {name} was {value}, is {after[name]}")


same("function", old.functions, new.functions)
same("callback", old.callbacks, new.callbacks)
# A newer version has another number, and initialisers that fit its own structs.
changing = ("FBK_VERSION_", "FBK_FRAME_META_INIT")
same(
    "macro",
    {name: text for name, text in old.constants.items() if not name.startswith(changing)},
    new.constants,
)
for enum, enumerators in old.enums.items():
    same(f"enum {enum}:", dict(enumerators), dict(new.enums.get(enum, [])))
for struct, members in old.structs.items():
    after = new.structs.get(struct, [])
    if after[: len(members)] != members:
        faults.append(f"struct {struct} does not begin as it did")
    elif len(after) > len(members) and members[0][1] != "struct_size":
        faults.append(f"struct {struct} has no size, and has grown")
print("\n".join(faults))
sys.exit(bool(faults))
