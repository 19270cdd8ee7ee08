#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: kernel-tree.sh TREE
#
# Puts the module into a kernel's source TREE: to drivers/char/zcopy, its
# interface to include/uapi/linux, and a line into the Kconfig and the Makefile of
# drivers/char. Done again, it puts the newer files there.
set -euo pipefail

cd "$(dirname "$0")/.."
tree=$1
char=$tree/drivers/char
if [[ ! -f $tree/Kbuild || ! -f $char/Kconfig ]]; then
	echo "kernel-tree: there is no kernel source in $tree" >&2
	exit 1
fi

rm -rf "$char/zcopy"
mkdir "$char/zcopy"
cp module/*.[ch] module/Kconfig "$char/zcopy/"
cp module/Kbuild "$char/zcopy/Makefile"
cp uapi/linux/zcopy.h "$tree/include/uapi/linux/"

# The menu of drivers/char ends with the file.
line='source "drivers/char/zcopy/Kconfig"'
grep -qxF "$line" "$char/Kconfig" ||
	sed -i "\$!b; s|^endmenu\$|$line\n\n&|" "$char/Kconfig"
# shellcheck disable=SC2016
line='obj-$(CONFIG_ZCOPY) += zcopy/'
grep -qxF "$line" "$char/Makefile" || echo "$line" >>"$char/Makefile"
grep -qxF 'source "drivers/char/zcopy/Kconfig"' "$char/Kconfig" || {
	echo "kernel-tree: $char/Kconfig does not end with its menu" >&2
	exit 1
}

how=--module
grep -q '^EXPORT_SYMBOL.*(task_work_add)' "$tree/kernel/task_work.c" || how=--enable
echo "kernel-tree: zcopy is in $char/zcopy. In $tree:"
echo "  scripts/config $how ZCOPY && make olddefconfig && make"
