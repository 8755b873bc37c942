# What a public header declares: enums, structs, callbacks and functions, as text. It reads the style of our headers, not
# all of C: no nested braces, one declaration after the other.
import re
import sys


class Header:
    def __init__(self, *paths):
        self.enums = {}  # name: [(enumerator, value)]
        self.structs = {}  # name: [(type, member, length)], in order; length "" or "[N]..."
        self.callbacks = {}  # name: (result, [type])
        self.functions = {}  # name: (result, [type])
        self.constants = {}  # macro: text
        for path in paths:
            with open(path, encoding="utf-8") as file:
                self.read(file.read())

    def read(self, text):
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
        text = re.sub(r"//[^\n]*", "", text).replace("\\\n", " ")
        for name, value in re.findall(r"^#define (FBK_\w+)[ \t]+(\S.*)$", text, flags=re.M):
            self.constants.setdefault(name, value.strip())
        text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
        text = text.replace('extern "C" {', "")

        for name, body in re.findall(r"\benum (\w+)\s*\{([^}]*)\}", text):
            self.enums[name] = list(self.enumerators(body))
        text = re.sub(r"\benum \w+\s*\{[^}]*\}\s*;", "", text)
        for name, body in re.findall(r"\bstruct (\w+)\s*\{([^}]*)\}", text):
            self.structs[name] = list(self.members(body))
        text = re.sub(r"\bstruct \w+\s*\{[^}]*\}\s*;", "", text)

        for statement in text.split(";"):
            statement = " ".join(statement.split())
            match = re.fullmatch(r"(typedef )?(.*?)(\w+) ?\((.*)\)", statement)
            if match:
                callback, result, name, parameters = match.groups()
                types = [] if parameters == "void" else [self.split(p)[0] for p in parameters.split(",")]
                (self.callbacks if callback else self.functions)[name] = (result.strip(), types)

    def enumerators(self, body):
        value = -1
        for item in filter(None, (part.strip() for part in body.split(","))):
            name, _, text = (part.strip() for part in item.partition("="))
            value = eval(text) if text else value + 1  # our own header: a number or a shift
            yield name, value

    # "const char *const *names[4]": ("const char *const *", "names", "[4]")
    def split(self, declarator):
        match = re.fullmatch(r"\s*(.*?[\s*])(\w+)\s*((?:\[[^\]]*\])*)\s*", declarator)
        return match[1].strip(), match[2], match[3]

    def members(self, body):
        for statement in filter(None, (part.strip() for part in body.split(";"))):
            first, *others = " ".join(statement.split()).split(",")
            kind, name, length = self.split(first)
            yield kind, name, length
            for other in others:
                match = re.fullmatch(r"\s*(\w+)\s*((?:\[[^\]]*\])*)\s*", other)
                yield kind, match[1], match[2]


# The structs that begin with their size, one a line.
if __name__ == "__main__":
    for name, members in Header(*sys.argv[1:]).structs.items():
        if members[0] == ("size_t", "struct_size", ""):
            print(name)
