# manuals.py ROOT TEXT...: formatted pages fit 80 columns, and the pages of ours and the files below /usr/share that they name
# are installed below ROOT. Prints each fault; fails if there is one.
import os
import re
import sys
import unicodedata

root, *texts = sys.argv[1:]
faults = []
seen = 0


def width(line):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


for path in texts:
    name = os.path.basename(path)
    with open(path, encoding="utf-8") as file:
        text = re.sub(r".\x08|\x1b\[[0-9;]*m", "", file.read())
    faults += [f"{name}: {width(line)} columns: {line}" for line in text.split("\n") if width(line) > 80]
    text = re.sub(r"[\u2010\u00ad]\n\s*", "", text).replace("\u2010", "-")
    for page, section in re.findall(r"\b(f(?:bk_|ence)[\w-]*)\(([1-8])\)", text):
        seen += 1
        if page in ("fence-vulkan", "fence-opencl") and not os.path.exists(f"{root}/usr/include/{page}.h"):
            continue  # that library is not built
        if not os.path.exists(f"{root}/usr/share/man/man{section}/{page}.{section}"):
            faults.append(f"{name}: there is no {page}({section})")
    for file in re.findall(r"/usr/share/[\w./-]*[\w-]", text):
        seen += 1
        if not os.path.exists(root + file):
            faults.append(f"{name}: {file} is not installed")
    if re.search(r"\bdocs/[\w-]+\.md|@[A-Z_]{4,}@|of the sources", text):
        faults.append(f"{name}: it names a file of the sources")
if seen < 100:
    faults.append(f"only {seen} names of pages and files are found: is this script out of date?")
if faults:
    print("\n".join(faults))
sys.exit(bool(faults))
