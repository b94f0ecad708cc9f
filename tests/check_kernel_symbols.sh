#!/bin/sh
# Keeps wide instructions in their own files (kernels/README.md says why):
#   - no instruction-set object defines a weak, unique or vague symbol, of which the linker would keep one copy for all;
#   - no other object of the build uses a ymm, zmm or mask register.
# usage: check_kernel_symbols.sh SOURCE_DIR BUILD_DIR
set -u
build=$2
[ "$(uname -m)" = x86_64 ] || exit 77
command -v nm >/dev/null && command -v objdump >/dev/null || exit 77
# Sanitizers instrument objects with symbols of their own, and debug builds inline nothing.
grep -Eq '^RUVLLM_SANITIZE:STRING=.+' "$build/CMakeCache.txt" && exit 77

failed=0
n_wide=0
for object in $(find "$build/kernels" -path '*/avx2/*.o' -o -path '*/avx512/*.o'); do
  n_wide=$((n_wide + 1))
  shared=$(nm --defined-only "$object" | awk '$2 ~ /^[WVu]$/')
  if [ -n "$shared" ]; then
    echo "$object shares symbols with the rest of the program:"
    echo "$shared"
    failed=1
  fi
done
[ "$n_wide" -gt 0 ] || { echo "no instruction-set objects in $build"; exit 1; }

n_plain=0
for object in $(find "$build/kernels" "$build/lib" "$build/apps" -name '*.o' ! -path '*/avx2/*' ! -path '*/avx512/*'); do
  n_plain=$((n_plain + 1))
  wide=$(objdump -d --no-show-raw-insn "$object" 2>/dev/null | grep -m 1 -E '%[yz]mm[0-9]|%k[1-7]\b')
  if [ -n "$wide" ]; then
    echo "$object uses wide registers: $wide"
    failed=1
  fi
done
echo "$n_wide objects with wide instructions, $n_plain without"
exit $failed
