#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: kernel-tree-check.sh FOLDER ARCHIVE SYMBOLS
#
# Unpacks a kernel's source, like Debian's /usr/src/linux-source-6.12.tar.xz, into
# the FOLDER, puts the module into it, and builds it there, as a module that brings
# with it what it needs, without a warning. Nothing else of the kernel is built: what
# a whole one exports to modules stands in SYMBOLS, Module.symvers of Debian's headers.
set -euo pipefail

cd "$(dirname "$0")/.."
folder=$1 archive=$2 symbols=$(realpath -m "$3")
[[ -f $archive ]] || {
	echo "kernel-tree: there is no kernel source: apt-get install linux-source-6.12" >&2
	exit 1
}

# Those of the make above are not meant for the kernel.
unset MAKEFLAGS MFLAGS MAKELEVEL V KERNEL
rm -rf "$folder"
mkdir -p "$folder"
trap 'rm -rf "$folder"' EXIT

echo "kernel-tree: unpacking $archive"
tar -xf "$archive" -C "$folder" --strip-components=1
packaging/kernel-tree.sh "$folder" >/dev/null
packaging/kernel-tree.sh "$folder" >/dev/null	# again changes nothing
lines=$(cat "$folder"/drivers/char/{Kconfig,Makefile} | grep -c zcopy)
[[ $lines -eq 2 ]] || {
	echo "kernel-tree: $lines lines of drivers/char name zcopy, not 2" >&2
	exit 1
}

echo "kernel-tree: building drivers/char/zcopy (a minute or two)"
make -s -C "$folder" defconfig >/dev/null
"$folder/scripts/config" --file "$folder/.config" --module ZCOPY
make -s -C "$folder" olddefconfig
for option in CONFIG_ZCOPY=m CONFIG_VHOST_TASK=y; do
	grep -qx "$option" "$folder/.config" || {
		echo "kernel-tree: the configuration has no $option" >&2
		exit 1
	}
done
make -s -C "$folder" KCFLAGS=-Werror W=1 drivers/char/zcopy/
# Without a whole kernel make has modpost warn, and go on.
(cd "$folder" && scripts/mod/modpost -M -E -W -i "$symbols" -o drivers/char/zcopy/symbols \
	drivers/char/zcopy/zcopy.o)
echo "kernel-tree: builds"
