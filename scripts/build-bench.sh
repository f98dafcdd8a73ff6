#!/bin/sh
# Builds the benchmark kernels (bench/kernels) for bare hardware: one multiboot ELF image that boots in ring 0.
# Usage: scripts/build-bench.sh [DIRECTORY]. The result is committed (bench/images), so nobody needs a compiler to run
# tests or benchmarks; a test rebuilds it where Debian 12's gcc is at hand and compares.
set -eu
out=$(realpath -m "${1:-$(dirname "$0")/../bench/images}")
cd "$(dirname "$0")/.."
src=bench/kernels
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags='-m32 -O2 -march=i686 -ffreestanding -fno-pic -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables'
flags="$flags -ffile-prefix-map=$PWD=."
for unit in boot.S kmain.c bench.c; do
  gcc $flags -c "$src/$unit" -o "$work/${unit%.*}.o"
done
mkdir -p "$out"
ld -m elf_i386 -nostdlib --build-id=none -z noexecstack -T "$src/link.ld" -o "$out/multiboot.elf" \
  "$work/boot.o" "$work/kmain.o" "$work/bench.o"
strip "$out/multiboot.elf"
