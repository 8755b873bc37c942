# libfencebroker by ctypes: every type and function of the headers as they declare it, nothing by hand. fbk.NAME is a
# function, callback type, enumerator or macro with a number, fbk.struct_NAME a struct. Handles of the library are void
# pointers.
import ctypes
import os
import re

from header import Header

_source = os.environ["FBK_SOURCE_DIR"]
_header = Header(*(f"{_source}/client/include/{name}.h" for name in ("fencebroker", "fence-kms", "fence-v4l2")))
_plain = {
    "void": None,
    "bool": ctypes.c_bool,
    "char": ctypes.c_char,
    "int": ctypes.c_int,
    "unsigned int": ctypes.c_uint,
    "size_t": ctypes.c_size_t,
    "pid_t": ctypes.c_int,
    "uid_t": ctypes.c_uint,
    **{f"int{bits}_t": getattr(ctypes, f"c_int{bits}") for bits in (8, 16, 32, 64)},
    **{f"uint{bits}_t": getattr(ctypes, f"c_uint{bits}") for bits in (8, 16, 32, 64)},
}
_made = {}


# The C type of a declaration: "const char *", "struct fbk_point", "enum fbk_role", "fbk_point_fn *".
def _type(text):
    text = re.sub(r"\bconst\b", "", text).replace(" ", "")
    if text.endswith("**") and text[:-2].startswith("struct"):
        return ctypes.POINTER(_type(text[:-1]))
    if text.endswith("*"):
        base = text[:-1]
        if base in ("char", "void"):
            return {"char": ctypes.c_char_p, "void": ctypes.c_void_p}[base]
        if base in _header.callbacks:
            return _made[base]
        if base.startswith("struct") and base[6:] not in _header.structs:
            return ctypes.c_void_p
        return ctypes.POINTER(_type(base))
    if text.startswith("struct"):
        return _made[text[6:]]
    if text.startswith("enum"):
        return ctypes.c_uint
    return _plain[text]


def _number(text):
    text = re.sub(r"U?INT64_C\((\w+)\)", r"\1", text)
    text = {"UINT64_MAX": str(2**64 - 1), "INT64_MIN": str(-(2**63))}.get(text, text)
    return eval(text) if re.fullmatch(r"[\d\s()<\->x]+", text) else None


constants = {name: _number(text) for name, text in _header.constants.items()}
for _enumerators in _header.enums.values():
    constants.update(_enumerators)


def _struct(name, members):
    fields = []
    for kind, member, length in members:
        field = _type(kind)
        for count in reversed(re.findall(r"\[(\w+)\]", length)):
            field = field * (int(count) if count.isdigit() else constants[count])
        fields.append((member, field))

    # One that begins with its size has it.
    def init(self, *positional, **values):
        ctypes.Structure.__init__(self, *positional, **values)
        if members[0][1] == "struct_size":
            self.struct_size = ctypes.sizeof(self)

    return type(name, (ctypes.Structure,), {"_fields_": fields, "__init__": init})


for _name, _members in _header.structs.items():
    _made[_name] = _struct(_name, _members)
for _name, (_result, _types) in _header.callbacks.items():
    _made[_name] = ctypes.CFUNCTYPE(_type(_result), *map(_type, _types))

_library = ctypes.CDLL(os.environ["FBK_LIBRARY"])
functions = {}
for _name, (_result, _types) in _header.functions.items():
    _function = getattr(_library, _name)
    _function.restype = _type(_result)
    _function.argtypes = [_type(kind) for kind in _types]
    functions[_name] = _function


# fbk.point_wait is fbk_point_wait(), fbk.CLASS_GPU is FBK_CLASS_GPU, fbk.struct_point is struct fbk_point.
def __getattr__(name):
    name = name.rstrip("_")  # import_: a word of Python's
    if name.startswith("struct_"):
        found = _made.get(f"fbk_{name[7:]}")
    elif f"fbk_{name}" in _header.callbacks:
        found = _made[f"fbk_{name}"]
    else:
        found = functions.get(f"fbk_{name}", constants.get(f"FBK_{name}"))
    if found is None:
        raise AttributeError(name)
    return found
