#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: headers.sh FOLDER RELEASE [OS_RELEASE]
#
# Says in a line, on standard output, why the module cannot be built with the
# kernel headers in the FOLDER, and what to install; nothing, if it can. RELEASE
# is what uname -r says where the module is to run, and OS_RELEASE a file like
# /etc/os-release.
set -euo pipefail

folder=$1 release=$2 system=${3:-/etc/os-release}
compat=$(dirname "$0")/../module/compat.h

# How this distribution installs the headers of the kernel.
how() {
	local ID='' ID_LIKE='' base

	# shellcheck source=/dev/null
	[[ ! -r $system ]] || . "$system"
	case " $ID $ID_LIKE " in
	*' debian '* | *' ubuntu '*)
		echo "apt-get install linux-headers-$release"
		;;
	*' fedora '* | *' rhel '* | *' centos '*)
		echo "dnf install kernel-devel-$release"
		;;
	*' arch '*)
		base=$(cat "/usr/lib/modules/$release/pkgbase" 2>/dev/null || echo linux)
		echo "pacman -S $base-headers"
		;;
	*)
		echo "install your distribution's package of the headers of kernel $release"
		;;
	esac
}

# The least version that the module takes, like 6.12.
least=$(sed -nE 's/^#if LINUX_VERSION_CODE < KERNEL_VERSION\(([0-9]+), ([0-9]+), 0\)$/\1.\2/p' \
	"$compat")
made=$(cat "$folder/include/config/kernel.release" 2>/dev/null || true)

if [[ -z $made ]]; then
	echo "there are no kernel headers in $folder: $(how)"
elif [[ $(printf '%s\n' "$least" "${made%%[-+]*}" | sort -V | head -n 1) != "$least" ]]; then
	echo "the headers in $folder are of $made: zcopy needs Linux $least or newer"
elif ! grep -qs '^CONFIG_VHOST_TASK=y' "$folder/include/config/auto.conf"; then
	echo "the kernel of $folder has no CONFIG_VHOST_TASK: zcopy needs one that" \
		"was built with KVM or vhost"
fi
