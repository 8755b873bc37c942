# schema.py SCHEMA [COUNT]: the JSON on standard input is what docs/schema/SCHEMA.json says, and has no key that it does not name.
# With COUNT, an array has at least so many entries. Prints each fault.
import json
import os
import sys

import jsonschema

name = sys.argv[1]
with open(f"{os.environ['FBK_SOURCE_DIR']}/docs/schema/{name}.json", encoding="utf-8") as opened:
    schema = json.load(opened)


# Programs have to accept keys that are new; here each one must be described.
def close(part):
    if isinstance(part, dict):
        if "properties" in part:
            part["additionalProperties"] = False
        for value in part.values():
            close(value)
    elif isinstance(part, list):
        for value in part:
            close(value)


jsonschema.Draft202012Validator.check_schema(schema)
close(schema)
data = json.load(sys.stdin)
faults = [
    f"{name}: at {'/'.join(str(step) for step in error.absolute_path)}: {error.message[:200]}"
    for error in jsonschema.Draft202012Validator(schema).iter_errors(data)
]
if len(sys.argv) > 2 and len(data) < int(sys.argv[2]):
    faults.append(f"{name}: {len(data)} entries, at least {sys.argv[2]} are wanted")
print("\n".join(faults))
sys.exit(bool(faults))
