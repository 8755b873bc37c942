# SPDX-License-Identifier: MIT
"""pages.py [--version V] [--skip HEADER] --output FOLDER TABLE HEADER...

Makes the manual's section 3 from the comments of the public headers: one page for each line of TABLE, and a link for each
function and type on it. A declaration without a comment, on no page of the table, or a comment that it can't read ends it,
with file and line. The pages of a skipped header are not written.

A comment stands before its declarations, without an empty line between, or behind one on its line. One that stands alone
introduces the page of what follows. In it:
    text at the left edge             a paragraph; empty lines end one
       -ENAME, -EOTHER  text          an error, one a line: ERRORS has them
      term    text                    an item of a list; its text goes on in the column where it began
    (a tab) code                      an example or a table, as it is
"""
import argparse
import os
import re
import sys
import textwrap

from comments import Fault, Header

WIDTH = 72  # of what is printed as it is: 80 columns, less the indentation


# --------------------------------------------------------------------------------------------------------- the markup


def literal(text):
    for char, escape in (("\\", "\\e"), ("-", "\\-"), ("'", "\\(aq"), ("`", "\\(ga"), ("^", "\\(ha"), ("~", "\\(ti")):
        text = text.replace(char, escape)
    return re.sub(r"^\.", r"\\&.", text)


INLINE = re.compile(
    r"`(?P<name>[^`]+)`|(?P<page>\b[a-z][\w-]*)\((?P<section>[1-8])\)|(?P<call>\b[A-Za-z_]\w*)\(\)"
    r"|(?P<struct>\b(?:struct|enum) (?:fbk_)\w+)|(?P<word>-E[A-Z][A-Z0-9]+\b|\b(?:FBK|VK|CL|DRM|DMA|PTHREAD|CLOCK|VIDIOC)_\w+|\$[A-Z_]+)"
    r"|(?P<path>(?<![\w/])/(?:run|dev|proc|usr|etc|sys)/[\w/.-]+)|(?P<arrow><?->|<-|(?<![\w-])-(?=\d)|--\w+)"
)


class Roff:
    def __init__(self, page, owner):
        self.page = page
        self.owner = owner  # function: its page

    def call(self, name):
        if self.owner.get(f"{name}()", self.owner.get(name, self.page)) != self.page:
            return f"\\fB{literal(name)}\\fP(3)"
        return f"\\fB{literal(name)}\\fP()"

    def inline(self, text):
        out, last = [], 0
        for match in INLINE.finditer(text):
            out.append(self.plain(text[last : match.start()]))
            last = match.end()
            if match["name"]:
                out.append(f"\\fI{literal(match['name'])}\\fP")
            elif match["page"]:
                out.append(f"\\fB{literal(match['page'])}\\fP({match['section']})")
            elif match["call"]:
                out.append(self.call(match["call"]))
            elif match["struct"]:
                out.append(f"\\fI{literal(match['struct'])}\\fP")
            elif match["word"]:
                out.append(f"\\fB{literal(match['word'])}\\fP")
            elif match["path"]:
                path = match["path"].rstrip(".")
                out.append(f"\\fI{literal(path)}\\fP" + match["path"][len(path) :])
            else:
                out.append(literal(match["arrow"]))
        out.append(self.plain(text[last:]))
        return "".join(out)

    @staticmethod
    def plain(text):
        return text.replace("\\", "\\e").replace("'", "\\(aq")

    def text(self, text):
        """Running text: a sentence a line."""
        sentences = re.split(r"(?<=[.:;!?]) +(?=[A-Z`$(])", " ".join(text.split()))
        return [re.sub(r"^([.'])", r"\\&\1", self.inline(sentence)) for sentence in sentences]


ERROR = re.compile(r"^ {2,3}((?:-E[A-Z0-9]+|else)(?:, -E[A-Z0-9]+)*)(  +)(\S.*)$")
ITEM = re.compile(r"^( *)((?:\d+\.|\S.*?))( {2,}|(?<=\d\.) )(\S.*)$")


def split_errors(lines, where):
    """(the other lines, [(names, text)])"""
    rest, errors, column = [], [], None
    for line in lines:
        match = ERROR.match(line)
        if match:
            errors.append([match[1], match[3]])
            column = match.start(3)
        elif column and line.strip() and len(line) - len(line.lstrip()) >= column:
            errors[-1][1] += " " + line.strip()
        elif re.match(r"^ {2,3}-E[A-Z]", line):
            raise Fault(f"{where}: this error needs a line of its own, two spaces, and a text: {line.strip()}")
        else:
            column = None
            rest.append(line)
    for names, text in errors:
        if re.search(r" {3,}(-E[A-Z]+|else) {2,}", text):
            raise Fault(f"{where}: one error a line: {names} {text}")
    while rest and not rest[-1]:
        rest.pop()
    return rest, errors


def body(roff, lines, where):
    """What a comment says, without its errors, as roff."""
    out = []
    chunks, chunk = [], []
    for line in lines + [""]:
        if line.strip():
            chunk.append(line)
        elif chunk:
            chunks.append(chunk)
            chunk = []
    stack = []  # columns of the items that are open
    for chunk in chunks:
        if chunk[0].startswith("\t"):
            code = [line[1:].expandtabs(8) for line in chunk]
            for line in code:
                if len(line) > WIDTH:
                    raise Fault(f"{where}: more than {WIDTH} columns: {line}")
            out += [".PP", ".EX"] + [literal(line) for line in code] + [".EE"]
            continue
        out += paragraphs(roff, chunk, stack)
    out += [".RE"] * max(0, len(stack) - 1)
    return out


def paragraphs(roff, chunk, stack):
    """Paragraphs and items. `stack` has the columns of each open item and of its text, also over an empty line."""
    out, text = [], []

    def flush():
        nonlocal text
        if text:
            out.extend(roff.text(" ".join(text)))
        text = []

    def pop(column, of):
        while stack and column < stack[-1][of]:
            stack.pop()
            if stack:
                out.append(".RE")

    previous = None
    for line in chunk:
        indent = len(line) - len(line.lstrip())
        item = ITEM.match(line) if indent else None
        if item and not (stack and indent >= stack[-1][1] and not re.match(r"\d+\.$", item[2]) and previous == indent):
            flush()
            column = item.start(4)
            pop(indent, 0)
            if not (stack and stack[-1][0] == indent):
                if stack:
                    out.append(".RS")
                stack.append([indent, column])
            stack[-1][1] = column
            out += [".TP", roff.inline(item[2]) if " " in item[2] else f"\\fB{literal(item[2])}\\fP"]
            text, previous = [item[4]], column
            continue
        if previous is None or indent != previous:
            flush()
            pop(indent, 1)
            out.append(".IP" if stack else ".PP")
        text.append(line.strip())
        previous = indent
    flush()
    return out


# --------------------------------------------------------------------------------------------------------------- code


def wrap_prototype(code):
    """At most WIDTH columns: parameters below each other's beginning, else below a tab."""
    if len(code) <= WIDTH:
        return [code]
    head, rest = code.split("(", 1)
    parameters = rest.rstrip(";").rstrip(")").split(", ")
    for edge in (len(head) + 1, 8):
        lines, line = [], head + "("
        if edge == 8:
            lines, line = [line], " " * 8
        for number, parameter in enumerate(parameters):
            end = ");" if number == len(parameters) - 1 else ","
            space = "" if line.endswith("(") or not line.strip() else " "
            if len(line + space + parameter + end) > WIDTH:
                lines.append(line)
                line = " " * edge + parameter + end
            else:
                line += space + parameter + end
        lines.append(line)
        if max(map(len, lines)) <= WIDTH:
            return lines
    return lines


def prototype(declaration):
    out = []
    for line in wrap_prototype(declaration.text):
        line = literal(line)
        line = re.sub(r"(\w+)((?:\[\w*\])*)(?=,|\);)", r"\\fI\1\\fB\2", line)
        out.append(f"\\fB{line}\\fP".replace("\\fIvoid\\fB)", "void)"))
    return out


def listing(declaration):
    out = [f"{declaration.kind} {declaration.name} {{"]
    for code, _ in declaration.members:
        code = code + "," if declaration.kind == "enum" else code.replace("* ", "*")
        out += textwrap.wrap(code, WIDTH - 4, initial_indent="    ", subsequent_indent="        ")
    return [literal(line) for line in out + ["};"]]


def member_name(code, kind):
    if kind == "enum":
        return code.split("=")[0].strip()
    names = re.findall(r"(\w+)(?:\[\w*\])*(?=[,;])", code)
    return ", ".join(names)


# -------------------------------------------------------------------------------------------------------------- pages


class Page:
    def __init__(self, name, about):
        self.name = name
        self.about = about
        self.names = []
        self.introductions = []  # (block, header)
        self.blocks = []  # (block, [declaration])

    def declarations(self, *kinds):
        return [d for _, some in self.blocks for d in some if d.kind in kinds]


def read_table(path):
    pages, page = [], None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip() or line.startswith("#"):
                continue
            if line.startswith("\t"):
                page.names += [(name, f"{path}:{number}") for name in line.split()]
            else:
                name, about = line.split(":", 1)
                page = Page(name, about.strip())
                pages.append(page)
    return pages


def distribute(pages, headers):
    """Each block to the pages of its declarations; complain of what has no comment or no page."""
    owner = {}
    for page in pages:
        for name, where in page.names:
            if name in owner:
                raise Fault(f"{where}: {name} is on {owner[name].name}(3), too")
            owner[name] = page
    by_name = {page.name: page for page in pages}
    faults, found = [], set()
    for header in headers:
        own = by_name.get(header.name.removesuffix(".h"))
        loose = []
        if header.top and not own:
            loose.append(header.top)
        for block in header.blocks:
            if not block.declarations:
                loose.append(block)
                continue
            shares = {}
            for declaration in block.declarations:
                if not block.comment and not declaration.behind:
                    faults.append(f"{declaration.where}: {declaration.title()} has no comment")
                page = own if declaration.kind == "opaque" and own else owner.get(declaration.name)
                if declaration.title() in owner:
                    page = owner[declaration.title()]
                    found.add(declaration.title())
                if not page:
                    faults.append(f"{declaration.where}: {declaration.title()} is on no page of the table")
                    continue
                found.add(declaration.name)
                shares.setdefault(page.name, []).append(declaration)
            for name, some in shares.items():
                if not all(d.kind == "opaque" for d in some):
                    by_name[name].introductions += [(alone, header) for alone in loose]
                    loose = []
                by_name[name].blocks.append((block, some))
        if loose:
            faults.append(f"{loose[0].where}: nothing follows this comment, so that it is on no page")
    faults += [f"{where}: no header has {name}" for page in pages for name, where in page.names if name not in found]
    if faults:
        raise Fault("\n".join(faults))
    return owner


def related(page, pages, text):
    """The pages that this one mentions."""
    names = {name.replace("\\-", "-") for name in re.findall(r"\\fB([\w\\-]+)\\fP\(3\)", text)}
    functions = {name: other for other in pages for name, _ in other.names}
    return sorted({functions[name].name for name in names if name in functions} - {page.name})


class Writer:
    """The text of one page. What its comments say of errors is collected on the way."""

    def __init__(self, page, pages, owner, version):
        self.page = page
        self.pages = pages
        self.version = version
        self.overview = page.overview
        self.is_overview = page is page.overview
        self.roff = Roff(page, owner)
        self.blocks = [(block, [d for d in some if d.kind != "opaque"]) for block, some in page.blocks]
        self.blocks = [(block, some) for block, some in self.blocks if some]
        self.titled = len(self.blocks) > 1
        self.errors = []  # ([function], [(names, text)])

    def split(self, comment, where, functions):
        rest, found = split_errors(comment, where)
        if found:
            self.errors.append((functions, found))
        return rest

    def head(self):
        page, library = self.page, self.overview.library
        headers = list(dict.fromkeys(d.header.name for _, some in page.blocks for d in some))
        names = list(dict.fromkeys([page.name] + [d.name for d in page.declarations("function")]))
        out = [
            f'.\\" Made from the comments of {", ".join(headers)}: change those.',
            f'.TH {page.name} 3 "" "fencebroker {self.version}" "{library}"',
            ".nh",
            ".ad l",
            ".SH NAME",
            ", ".join(literal(name) for name in names) + " \\- " + self.roff.inline(page.about),
            ".SH LIBRARY",
            f"{library} (\\fI{literal('-l' + library.removeprefix('lib'))}\\fP)",
            ".SH SYNOPSIS",
            ".nf",
        ]
        out += [f"\\fB#include <{literal(name)}>\\fP" for name in headers]
        for declaration in page.declarations("callback", "function"):
            out += [".PP"] + prototype(declaration)
        out += [".fi"]
        if self.is_overview:
            out += [".PP", f"\\fBcc\\fP \\fIfile.c\\fP \\fB$(pkg\\-config \\-\\-cflags \\-\\-libs {literal(library)})\\fP"]
        return out

    def description(self):
        out = [".SH DESCRIPTION"]
        if self.is_overview:
            top = self.page.blocks[0][1][0].header.top
            out += body(self.roff, self.split(top.comment, top.where, []), top.where)
            out += objects(self.roff, self.page)
        for alone, header in self.page.introductions:
            if alone is header.top:
                out += [f".SS {literal(header.name)}"]
            out += body(self.roff, alone.comment, alone.where)
        for block, some in self.blocks:
            out += self.block(block, some)
        return out

    def block(self, block, some):
        out = []
        rest = self.split(block.comment, block.where, [d for d in some if d.kind == "function"])
        constants = [d for d in some if d.kind == "constant"]
        if self.titled:
            names = literal(", ".join(d.title() for d in some))
            out += [".SS " + ("Constants" if len(some) > 2 and constants == some else names)]
        out += body(self.roff, rest, block.where)
        for declaration in some:
            if declaration.behind:
                behind = self.split(declaration.behind, declaration.where, [declaration])
                if len(some) > 1:
                    out += item(self.roff, "B", declaration.title(), behind)
                else:
                    out += body(self.roff, behind, declaration.where)
            if declaration.kind in ("struct", "enum"):
                out += [".PP", ".EX"] + listing(declaration) + [".EE"]
                font = "I" if declaration.kind == "struct" else "B"
                for code, comment in declaration.members:
                    if comment:
                        out += item(self.roff, font, member_name(code, declaration.kind), comment)
        if constants:
            out += [".PP", ".EX"] + [literal(d.text) for d in constants] + [".EE"]
        return out

    def results(self):
        if self.is_overview:
            return [".SH ERRORS"] + error_list(self.roff, self.errors[0][1]) if self.errors else []
        if not any(d.text.startswith("int ") for d in self.page.declarations("function")):
            if self.errors:
                raise Fault(f"{self.blocks[0][0].where}: {self.page.name}(3) has errors, and no function that returns one")
            return []
        detail = {"fence-vulkan": "fbk_vk_error_detail", "fence-opencl": "fbk_cl_error_detail"}
        out = [
            ".SH RETURN VALUE",
            "What returns an \\fIint\\fP returns 0, or what is said above; on an error a negative errno.",
            f"Of that {self.roff.call(detail.get(self.overview.name, 'fbk_error_detail'))} returns a sentence,",
            "and what \\fIret_\\fP parameters point to is as before.",
            ".SH ERRORS",
        ]
        for functions, found in self.errors:
            if self.titled and functions:
                out += [".SS " + literal(", ".join(d.title() for d in functions))]
            out += error_list(self.roff, found)
        if self.errors:
            out += [".SS All of them"] if self.titled else [".PP"]
        return out + ["The errors that every call may return are in \\fBfencebroker\\fP(3)."]

    def see_also(self, text):
        names = [] if self.is_overview else related(self.page, self.pages, text)
        names = dict.fromkeys(names + [self.overview.name, "fencebroker"])
        see = [f"\\fB{literal(name)}\\fP(3)" for name in names if name != self.page.name]
        see += ["\\fBfence\\-vulkan\\fP(7)"] if self.overview.name == "fence-vulkan" else []
        see += ["\\fBfencebroker\\fP(7)"]
        return [".SH SEE ALSO"] + [part + "," for part in see[:-1]] + [see[-1]]

    def write(self):
        out = self.description() + self.results()
        if self.is_overview:
            out += index(self.roff, [p for p in self.pages if p.overview is self.page and p is not self.page])
        out += self.see_also("\n".join(out))
        text = "\n".join(self.head() + out) + "\n"
        text = text.replace("\n.EE\n", "\n.EE\n.nh\n")  # .EE hyphenates again
        return re.sub(r"^(\.S[HS] .*\n)\.PP\n", r"\1", text, flags=re.M)


def item(roff, font, name, comment):
    return [".TP", f"\\f{font}{literal(name)}\\fP"] + roff.text(" ".join(comment))


def error_list(roff, found):
    out = []
    for names, text in found:
        tags = ("else" if name == "else" else f"\\fB{literal(name)}\\fP" for name in names.split(", "))
        out += [".TP", ", ".join(tags)] + roff.text(text)
    return out


def objects(roff, page):
    out = [".SS Objects"]
    for declaration in page.declarations("opaque"):
        out += [".TP", f"\\fI{declaration.title()}\\fP"] + roff.text(" ".join(declaration.behind))
    return out


def index(roff, pages):
    out = [".SH PAGES"]
    for page in pages:
        out += [".TP", f"\\fB{literal(page.name)}\\fP(3)"] + roff.text(page.about)
    return out


def links(page, owner):
    """Other names of the page. Of a function and a struct with the same name, the function has it."""
    names = [d.name for d in page.declarations("function", "callback", "struct", "enum")]
    names = [name for name in names if owner.get(f"{name}()", page) == page]
    return [name for name in dict.fromkeys(names) if name != page.name]


def write(folder, name, text):
    with open(os.path.join(folder, f"{name}.3"), "w", encoding="utf-8") as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", default="0")
    parser.add_argument("--skip", action="append", default=[])
    parser.add_argument("--output", required=True)
    parser.add_argument("table")
    parser.add_argument("headers", nargs="+")
    options = parser.parse_args()
    pages = read_table(options.table)
    headers = [Header(path) for path in options.headers]
    owner = distribute(pages, headers)
    stems = [header.name.removesuffix(".h") for header in headers]
    overview = None
    for page in pages:
        if page.name in stems:
            overview = page
            page.library = page.name if page.name != "fencebroker" else "libfencebroker"
        page.overview = overview
    texts = {page.name: Writer(page, pages, owner, options.version).write() for page in pages}

    os.makedirs(options.output, exist_ok=True)
    for file in os.listdir(options.output):
        if file.endswith(".3"):
            os.unlink(os.path.join(options.output, file))
    for page in pages:
        if f"{page.overview.name}.h" in options.skip:
            continue
        write(options.output, page.name, texts[page.name])
        for name in links(page, owner):
            write(options.output, name, f".so man3/{page.name}.3\n")


try:
    main()
except Fault as fault:
    sys.exit(str(fault))
