#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Fails when dkms.conf has DKMS build the module for a kernel that it cannot be built
# for, or fail for such a one: what is excluded DKMS leaves out, with a status of its
# own, and what does not ask to be installed by itself it does not even look at.
set -euo pipefail

cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

sed "s|/lib/modules/|$work/|" dkms.conf >"$work/dkms.conf"

# with VERDICT RELEASE [LINE]...: so it is asked about a kernel that exports these.
with() {
	local verdict=$1 release=$2 said

	shift 2
	mkdir -p "$work/$release/build"
	printf '%s\n' "$@" >"$work/$release/build/Module.symvers"
	# shellcheck disable=SC2016 # the script's own
	said=$(bash -c '. "$1"; [[ $5 =~ $BUILD_EXCLUSIVE_KERNEL ]] && echo "builds $AUTOINSTALL" ||
		echo "leaves it out $AUTOINSTALL"' dkms "$work/dkms.conf" build zcopy/0 -k "$release")
	[[ $said == "$verdict" ]] || {
		echo "dkms.conf: of a kernel $release that exports ${*:-nothing} it $said" >&2
		failed=1
	}
}

symbol=$'0x00000000\ttask_work_add\tvmlinux\tEXPORT_SYMBOL_GPL\t'
with 'builds yes' 6.12.200 "$symbol"
with 'leaves it out ' 6.12.200
with 'leaves it out ' 6.1.0-40-amd64 "$symbol"

exit "$failed"
