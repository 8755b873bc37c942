# examples.py FOLDER FILE...: the examples of documents, each into FOLDER/NAME-LINE.txt; prints their names. They are the
# C blocks of Markdown, and what stands between .EX and .EE or .nf and .fi of a manual, if it calls something of ours.
import os
import re
import sys


def blocks(path, text):
    if path.endswith(".md"):
        pattern = r"^```c\n(.*?)^```$"
    else:
        pattern = r"^\.(?:EX|nf)\n(.*?)^\.(?:EE|fi)$"
    for match in re.finditer(pattern, text, flags=re.M | re.S):
        code = match[1]
        if not path.endswith(".md"):
            code = code.replace("\\en", "\\n").replace("\\-", "-").replace("\\&", "")
        if "fbk_" in code:
            yield text.count("\n", 0, match.start()) + 1, code


for file in sys.argv[2:]:
    with open(file, encoding="utf-8") as opened:
        for line, code in blocks(file, opened.read()):
            name = f"{os.path.basename(file)}-{line}"
            with open(f"{sys.argv[1]}/{name}.txt", "w", encoding="utf-8") as out:
                out.write(code)
            print(name)
