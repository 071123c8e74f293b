#!/usr/bin/env python3
"""Checks that the folders of src/ include each other only as tools/layers.txt allows; exit 1 on a violation.

    check_layers.py [--report]      --report: also prints files and functions longer than the style asks for
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)
FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70


def read_layers(path):
    """The allowed folders per folder, and the folders per restricted library header."""
    allowed, only = {}, {}
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if not line:
            continue
        name, _, rest = line.partition(":")
        if name.startswith("only "):
            only[name[5:].strip()] = set(rest.split())
        else:
            allowed[name] = set(rest.split()) | {name}
    for name, folders in list(allowed.items()) + list(only.items()):
        if folders - set(allowed):
            sys.exit(f"layers.txt: {name} names folders that are not layers: {sorted(folders - set(allowed))}")
    return allowed, only


def sources(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".c", ".cc", ".h", ".def"}:
                yield path


def violations(allowed, only):
    for path in sources("src"):
        inner = path.relative_to(ROOT / "src")
        layer = inner.parts[0]
        where = path.relative_to(ROOT)
        if layer not in allowed:
            yield f"{where}: folder '{layer}' is not in layers.txt"
            continue
        text = path.read_text(errors="replace")
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start(2)) + 1
            quote, name = match.groups()
            if name in only and layer not in only[name]:
                yield f"{where}:{line}: <{name}> may only be included below: {', '.join(sorted(only[name]))}"
            if quote == "<":
                continue
            target, slash, _ = name.partition("/")
            if not slash:
                if name != "freshet.h" and not (path.parent / name).exists():
                    yield f'{where}:{line}: "{name}": headers are named from src/'
            elif target not in allowed[layer]:
                yield f'{where}:{line}: {layer} may not include "{name}"'
            elif name.endswith("_int.h") and target != layer:
                yield f'{where}:{line}: "{name}" is for {target} only'


def long_things():
    """Files and functions over the limits. A function starts at a `{` in the first column and ends at such a `}`."""
    for path in sources("src", "include", "tests/unit"):
        lines = path.read_text(errors="replace").splitlines()
        where = path.relative_to(ROOT)
        if len(lines) > FILE_LINES_MAX:
            yield f"{where}: {len(lines)} lines"
        start = None
        for number, line in enumerate(lines, 1):
            if line == "{":
                start = number
            elif line == "}" and start:
                if number - start - 1 > FUNCTION_LINES_MAX:
                    head = next((lines[i] for i in range(start - 2, -1, -1) if re.match(r"\w", lines[i])), "?")
                    yield f"{where}:{start}: {number - start - 1} lines: {head.split('(')[0].split()[-1].lstrip('*')}"
                start = None


def main():
    allowed, only = read_layers(ROOT / "tools" / "layers.txt")
    found = list(violations(allowed, only))
    for line in found:
        print(line)
    if "--report" in sys.argv[1:]:
        for line in long_things():
            print("long:", line)
    count = sum(1 for _ in sources("src"))
    print(f"layers: {count} files, {len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
