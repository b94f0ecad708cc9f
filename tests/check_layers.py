#!/usr/bin/env python3
"""Checks the floors of lib/LAYERS: a file includes only from its own folder and from folders on floors below.

usage: check_layers.py SOURCE_DIR [BUILD_DIR]
Also: only the folders named there include kernels/kernels.h, and instruction-set folders include nothing of the C++
library. Prints every wrong include as file:line; exit 1 if there is one.
"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
floors, may_use_kernels = {}, []
for line in (root / "lib/LAYERS").read_text().splitlines():
    words = line.split()
    if not words or words[0].startswith("#"):
        continue
    if words[0] == "kernels-only":
        may_use_kernels = words[1:]
    else:
        floors.update({folder: int(words[0]) for folder in words[1:]})


def folder_of(path):
    """The folder that LAYERS knows: lib/text/jinja/lexer.h belongs to lib/text."""
    parts = path.split("/")
    return parts[0] if parts[0] in ("kernels", "apps") else "/".join(parts[:2])


def target_of(include, source):
    """An include as a path from the root, or None for a header that is not ours."""
    for candidate in (root / include, root / "lib" / include, source.parent / include):
        if candidate.is_file():
            return candidate.resolve().relative_to(root.resolve()).as_posix()
    return None


wrong, n_includes = [], 0
sources = [p for top in ("kernels", "lib", "apps") for p in (root / top).rglob("*") if p.suffix in (".h", ".cpp", ".def", ".inc")]
for source in sorted(sources):
    here = source.relative_to(root).as_posix()
    folder = folder_of(here)
    if folder not in floors:
        wrong.append(f"{here}:1: folder {folder} has no floor in lib/LAYERS")
        continue
    isa = re.match(r"kernels/(avx2|avx512|neon|dotprod|i8mm)/.*\.cpp$", here)
    for number, line in enumerate(source.read_text(errors="replace").splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if not match:
            continue
        n_includes += 1
        bracket, include = match.groups()
        if isa and bracket == "<" and include not in (
                "immintrin.h", "arm_neon.h", "stdint.h", "stddef.h", "string.h", "float.h", "math.h"):
            wrong.append(f"{here}:{number}: <{include}> in an instruction-set folder (see kernels/README.md)")
        if bracket == "<":
            continue
        target = target_of(include, source)
        if target is None:
            wrong.append(f"{here}:{number}: \"{include}\" is not found")
            continue
        other = folder_of(target)
        if other != folder and floors.get(other, 99) >= floors[folder]:
            wrong.append(f"{here}:{number}: floor {floors[folder]} includes {target} on floor {floors.get(other, '?')}")
        if other == "kernels" and folder not in ["kernels", *may_use_kernels] and target == "kernels/kernels.h":
            wrong.append(f"{here}:{number}: only {', '.join(may_use_kernels)} include kernels/kernels.h")
print("\n".join(wrong))
print(f"{len(sources)} files, {n_includes} includes, {len(wrong)} wrong")
sys.exit(1 if wrong or not sources else 0)
