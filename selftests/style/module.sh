#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: module.sh KERNEL ...
#
# Builds the module for the unpacked kernel in folder KERNEL; a warning fails, be it of
# the compiler, sparse, objtool or modpost: a build that is silent has nothing to say. It
# is built anew: what is not compiled again does not warn again. The objects tell who uses whom, and how it is compiled for kernels that there are not.
set -euo pipefail
export LC_ALL=C

cd "$(dirname "$0")/../.."
kernel=$1 objects=$PWD/build/style

rm -rf "$objects"
status=0
said=$(make -s modules objects="$objects" KDIR="$kernel/build" W=1 C=2 KCFLAGS=-Werror \
	CF='-D__CHECK_ENDIAN__ -Wsparse-error' 2>&1) || status=$?
if [[ $status -ne 0 || -n $said ]]; then
	printf '%s\n' "$said" >&2
	exit 1
fi
selftests/style/layers.sh Documentation/architecture.rst "$objects/module"
selftests/style/compat.sh "$kernel" "$objects/module"
