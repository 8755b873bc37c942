# SPDX-License-Identifier: MIT
"""The declarations of a header and their comments: for pages.py, which says what the comments look like. It reads the style
of our headers, not all of C."""
import os
import re


class Fault(Exception):
    pass


class Declaration:
    def __init__(self, kind, name, text, where):
        self.kind = kind  # function, callback, struct, enum, constant, opaque
        self.name = name
        self.text = text
        self.where = where
        self.header = None
        self.behind = None  # the comment behind it on its line
        self.members = []  # of a struct or enum: (code, comment lines)

    def title(self):
        if self.kind == "function":
            return f"{self.name}()"
        if self.kind in ("struct", "enum", "opaque"):
            return f"{'struct' if self.kind == 'opaque' else self.kind} {self.name}"
        return self.name


# Declarations with one comment; none of them: it stands alone.
class Block:
    def __init__(self, comment, where):
        self.comment = comment
        self.where = where
        self.declarations = []


def comment_lines(text):
    """The lines of a comment, without its frame and common indentation."""
    lines = text[2:-2].split("\n")
    lines = [lines[0]] + [re.sub(r"^\s*\*", "", line) if re.match(r"^\s*\*", line) else line.lstrip() for line in lines[1:]]
    lines = [line[1:] if line.startswith(" ") else line for line in (line.rstrip() for line in lines)]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return lines


TOKEN = re.compile(
    r"(?P<comment>/\*.*?\*/)|(?P<line>//[^\n]*)|(?P<directive>^#(?:[^\n]*\\\n)*[^\n]*)|(?P<empty>\n[ \t]*\n)|(?P<space>\s+)"
    r"|(?P<extern>extern \"C\" \{|^\}$)|(?P<code>[^;{/]*(?:\{.*?\n?\}[^;{]*)?;)",
    re.S | re.M,
)


class Header:
    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path)
        self.blocks = []
        with open(path, encoding="utf-8") as file:
            self.text = file.read()
        self.top = None
        self.read()

    def where(self, position):
        return f"{self.path}:{self.text.count(chr(10), 0, position) + 1}"

    def read(self):
        block = None
        last = None  # the declaration on this line
        position = 0
        seen_once = False
        while position < len(self.text):
            match = TOKEN.match(self.text, position)
            if not match:
                raise Fault(f"{self.where(position)}: this is no declaration that a page can be made of")
            kind, text, start = match.lastgroup, match[0], position
            position = match.end()
            if kind == "comment":
                lines = comment_lines(text)
                if re.fullmatch(r"-{3,} [\w, -]+ -{2,}", " ".join(lines)):
                    block, last = None, None
                elif not seen_once:
                    self.top = Block(lines, self.where(start))
                elif last and "\n" not in self.text[last[1] : start]:
                    last[0].behind = lines
                elif block and not block.declarations:
                    block.comment += [""] + lines
                else:
                    block = Block(lines, self.where(start))
                    self.blocks.append(block)
            elif kind == "directive":
                seen_once = seen_once or text.startswith("#pragma once")
                constant = re.match(r"#define (FBK_\w+)[ \t\\\n]+(.*)", text, re.S)
                if constant:
                    value = constant[2] if "\n" not in constant[2] else "..."
                    value = re.sub(r"/\*.*", "", value).strip()
                    declaration = Declaration("constant", constant[1], f"#define {constant[1]} {value}", self.where(start))
                    behind = re.search(r"/\*.*?\*/", text, re.S)
                    declaration.behind = comment_lines(behind[0]) if behind else None
                    block, last = self.declare(block, declaration), (declaration, position)
            elif kind == "empty":
                block, last = None, None
                position -= 1  # its second newline may begin another
            elif kind == "code":
                declaration = self.declaration(text.strip(), start + len(text) - len(text.lstrip()))
                if declaration:
                    block, last = self.declare(block, declaration), (declaration, position)

    def declare(self, block, declaration):
        declaration.header = self
        if not block:
            block = Block([], declaration.where)
            self.blocks.append(block)
        # both branches of an #ifdef: the last one is that of C
        block.declarations = [d for d in block.declarations if (d.kind, d.name) != (declaration.kind, declaration.name)]
        block.declarations.append(declaration)
        return block

    def declaration(self, text, start):
        where = self.where(start)
        bare = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
        match = re.fullmatch(r"struct (\w+)\s*;", bare)
        if match:
            return Declaration("opaque", match[1], "", where) if match[1].startswith("fbk_") else None
        match = re.match(r"(struct|enum) (\w+)\s*\{(.*)\}\s*;$", text, re.S)
        if match:
            declaration = Declaration(match[1], match[2], "", where)
            declaration.members = list(members(match[3], ";" if match[1] == "struct" else ","))
            return declaration
        code = " ".join(bare.split())
        match = re.fullmatch(r"(typedef )?(.*?)(\w+)\((.*)\);", code)
        if not match:
            raise Fault(f"{where}: this is no declaration that a page can be made of: {code[:60]}")
        return Declaration("callback" if match[1] else "function", match[3], code, where)


def members(body, end):
    """Each member of a struct or enum: its code, and the comment behind it, else before it."""
    before, found = [], []
    for match in re.finditer(r"/\*.*?\*/|[^/]*?" + end + r"|[^/" + end + r"]+", body, re.S):
        text = match[0]
        if text.startswith("/*"):
            if found and "\n" not in body[found[-1][2] : match.start()]:
                found[-1][1].extend(comment_lines(text))
            else:
                before = comment_lines(text)
        elif text.strip():
            found.append([" ".join(text.split()), before, match.end()])
            before = []
    for code, comment, _ in found:
        yield code.rstrip(",") if end == "," else code, comment
