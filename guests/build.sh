#!/usr/bin/env bash
# Builds every guest image into public/guests (or the folder given), reproducibly: gcc -m32, no libc, no build id.
#
#   name-x86_32.elf    2-level tables, the forms and the __xen_guest string of Xen 3.0.2
#   name-x86_32p.elf   PAE tables, the later forms and ELF notes
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-../public/guests}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

CFLAGS=(-m32 -march=i686 -O2 -std=gnu11 -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables
	-fcf-protection=none -mno-sse -mno-mmx -fno-strict-aliasing -fwrapv -Wall -Wextra -Werror -Ilib
	-ffile-prefix-map="$PWD"=guests)

# programs NAME: the flat ring-3 programs of NAME/user, as one assembly file with a table of them.
programs() {
	local name=$1 source program table="$work/$1-programs.S"
	{
		echo '	.section .rodata'
		echo '	.globl programs'
		echo 'programs:'
	} >"$table"
	for source in "$name"/user/*.c; do
		program=$(basename "$source" .c)
		[ "$program" = start ] && continue
		gcc "${CFLAGS[@]}" -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noexecstack \
			-Wl,--no-warn-rwx-segments -Wl,-T,"$name/user/user.ld" -o "$work/$program.user" \
			"$name/user/start.c" "$source" lib/printf.c lib/string.c
		objcopy -O binary "$work/$program.user" "$work/$program.bin"
		echo "	.long name_$program, start_$program, end_$program" >>"$table"
	done
	echo '	.long 0, 0, 0' >>"$table"
	for source in "$name"/user/*.c; do
		program=$(basename "$source" .c)
		[ "$program" = start ] && continue
		printf 'name_%s: .asciz "%s"\n\t.align 16\nstart_%s: .incbin "%s.bin"\nend_%s:\n' \
			"$program" "$program" "$program" "$program" "$program" >>"$table"
	done
	echo '	.section .note.GNU-stack, "", @progbits' >>"$table"
	(cd "$work" && gcc -m32 -c "$name-programs.S" -o "$name-programs.o")
}

# build NAME SUFFIX FLAGS...
build() {
	local name=$1 suffix=$2 objects=() library=(lib/*.S lib/*.c) script=lib/link.ld source object
	shift 2
	# A kernel with a start of its own takes no more than text functions from the library.
	[ -e "$name/link.ld" ] && library=(lib/printf.c lib/string.c) script="$name/link.ld"
	for source in "${library[@]}" "$name"/*.S "$name"/*.c; do
		[ -e "$source" ] || continue
		# The library is compiled once for each set of flags.
		object="$work/$(echo "$source" "$@" | tr -c 'a-zA-Z0-9\n' _).o"
		[ -e "$object" ] || gcc "${CFLAGS[@]}" -I"$name" "$@" -c "$source" -o "$object"
		objects+=("$object")
	done
	[ -d "$name/user" ] && objects+=("$work/$name-programs.o")
	gcc -m32 -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,norelro -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments \
		-Wl,-T,"$script" -o "$out/$name-$suffix.elf" "${objects[@]}"
	strip --strip-debug "$out/$name-$suffix.elf"
}

# archive FILE NAME TEXT: a newc archive with one file, as a kernel's first ramdisk is.
archive() {
	local file=$1
	shift
	{
		while [ $# -gt 0 ]; do
			local name=$1 text=$2
			shift 2
			printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\0' \
				1 $((0100644)) 0 0 1 0 ${#text} 0 0 0 0 $((${#name} + 1)) 0 "$name"
			head -c $((-(110 + ${#name} + 1) & 3)) /dev/zero
			printf %s "$text"
			head -c $((-${#text} & 3)) /dev/zero
		done
	} >"$file"
}
archive "$out/linuxlike.cpio" greeting $'a file of the first ramdisk\n' 'TRAILER!!!' ''

for name in $(find . -mindepth 1 -maxdepth 1 -type d ! -name lib -printf '%f\n' | sort); do
	ls "$name"/*.c >/dev/null 2>&1 || continue
	[ -d "$name/user" ] && programs "$name"
	if [ "$name" = conformance ]; then
		# One image for each ABI, hypervisor and call form: conformance-<abi>-<xen>-<form>.elf
		for xen in 3.0.2 4.17; do
			build "$name" "x86_32p-$xen-302" -DXEN_PAE -DXEN_302
			build "$name" "x86_32p-$xen-later" -DXEN_PAE
		done
		build "$name" x86_32-3.0.2-302 -DXEN_302
		build "$name" x86_32-3.0.2-later
		continue
	fi
	# 2-level paging only for the guests that know both.
	[ -e "$name/link.ld" ] || build "$name" x86_32 -DXEN_302
	build "$name" x86_32p -DXEN_PAE
done
ls -l "$out"/*.elf | awk '{ print $5, $9 }'
