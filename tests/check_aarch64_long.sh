#!/bin/sh
# Builds kernels/ and its tests for 64-bit ARM and runs them under an emulator, as a processor that has everything and
# as one that has NEON alone. Skipped, saying so, where the cross compiler or the emulator is missing.
# usage: check_aarch64_long.sh SOURCE_DIR BUILD_DIR
set -eu
source=$1 build=$2/aarch64
if [ "$(uname -m)" = aarch64 ]; then
  echo "skipped: the kernels' own tests run on this processor"
  exit 77
fi
if grep -Eq '^RUVLLM_SANITIZE:STRING=.+' "$2/CMakeCache.txt"; then
  echo "skipped: sanitizers don't reach an emulated processor"
  exit 77
fi
for program in aarch64-linux-gnu-g++ qemu-aarch64-static; do
  command -v $program >/dev/null || { echo "skipped: no $program"; exit 77; }
done

cd "$source"
cmake --preset aarch64 -B "$build" >/dev/null
ninja --quiet -C "$build"
run() { # run PROCESSOR SETS FILTER
  echo "as $1: $2"
  QEMU_CPU=$1 RUVLLM_EXPECTED_SETS=$2 ctest --test-dir "$build" --output-on-failure --no-tests=error -R "$3"
}
run max 'scalar neon dotprod i8mm' .
run cortex-a72 'scalar neon' 'kernels.(isa|matmul|vector)'
