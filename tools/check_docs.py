#!/usr/bin/env python3
"""Checks that the generated pages of docs/ are what the program generates now.

    check_docs.py PROGRAM [--write]     --write: brings docs/ up to date instead
"""
import pathlib
import subprocess
import sys
import tempfile

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"


def main():
    program, write = sys.argv[1], "--write" in sys.argv[2:]
    stale = []
    with tempfile.TemporaryDirectory(prefix="freshet-docs") as folder:
        subprocess.run([program, "help", "--generate-docs", folder], check=True, timeout=60)
        pages = sorted(p for p in pathlib.Path(folder).rglob("*") if p.is_file())
        for page in pages:
            name = page.relative_to(folder)
            kept = DOCS / name
            if kept.exists() and kept.read_bytes() == page.read_bytes():
                continue
            stale.append(name)
            if write:
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(page.read_bytes())
    for name in stale:
        print(f"docs/{name}: {'written' if write else 'not what the program generates; run `make docs`'}")
    print(f"docs: {len(pages)} generated pages, {len(stale)} {'written' if write else 'stale'}")
    return 1 if (stale and not write) or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
