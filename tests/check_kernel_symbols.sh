#!/bin/sh
# Keeps wide instructions in their own files (kernels/README.md says why):
#   - no instruction-set object defines a weak, unique or vague symbol, of which the linker would keep one copy for all;
#   - no other object of the build uses what not every processor has: ymm, zmm and mask registers; on ARM, where every
#     processor has vectors, products of four bytes or of matrices.
# usage: check_kernel_symbols.sh SOURCE_DIR BUILD_DIR
set -u
build=$2
# Sanitizers instrument objects with symbols of their own, and debug builds inline nothing.
grep -Eq '^RUVLLM_SANITIZE:STRING=.+' "$build/CMakeCache.txt" && exit 77
# The build may be for another processor than this one.
nm=$(sed -n 's/^CMAKE_NM:FILEPATH=//p' "$build/CMakeCache.txt")
objdump=$(sed -n 's/^CMAKE_OBJDUMP:FILEPATH=//p' "$build/CMakeCache.txt")
[ -x "$nm" ] && [ -x "$objdump" ] || exit 77

wide='%[yz]mm[0-9]|%k[1-7]\b|[[:space:]]([su]|us|su)(dot|mmla)[[:space:]]'
cd "$build" || exit 1
objects=$(find kernels lib apps -name '*.o' 2>/dev/null)
objects_in() { printf '%s\n' "$objects" | grep -E "^kernels/.*/($1)/"; }
columns='avx2|avx512|neon|dotprod|i8mm'
plain=$(printf '%s\n' "$objects" | grep -Ev "^kernels/.*/($columns)/")

failed=0
n_wide=0
for object in $(objects_in "$columns"); do
  n_wide=$((n_wide + 1))
  shared=$("$nm" --defined-only "$object" | awk '$2 ~ /^[WVu]$/')
  if [ -n "$shared" ]; then
    echo "$object shares symbols with the rest of the program:"
    echo "$shared"
    failed=1
  fi
done
[ "$n_wide" -gt 0 ] || { echo "no instruction-set objects in $build"; exit 1; }

n_plain=0
for object in $plain $(objects_in neon); do
  n_plain=$((n_plain + 1))
  found=$("$objdump" -d --no-show-raw-insn "$object" 2>/dev/null | grep -m 1 -E "$wide")
  if [ -n "$found" ]; then
    echo "$object uses wide instructions: $found"
    failed=1
  fi
done
echo "$n_wide objects with instructions of their own, $n_plain held to the baseline"
exit $failed
