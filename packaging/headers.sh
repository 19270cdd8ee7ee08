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
top=$(dirname "$0")/..
# Which kernels the module takes.
# shellcheck source=dkms.conf
source "$top/dkms.conf"

# How this distribution installs the headers of the kernel.
how() {
	local ID='' ID_LIKE='' base

	# shellcheck source=/dev/null
	[[ ! -r $system ]] || . "$system"
	case " $ID $ID_LIKE " in
	*' debian '* | *' ubuntu '*)
		echo "apt-get install linux-headers-$release (if those are gone: upgrade" \
			"the kernel, and reboot)"
		;;
	*' fedora '* | *' rhel '* | *' centos '*)
		echo "dnf install kernel-devel-$release"
		;;
	*' arch '*)
		base=$(cat "/usr/lib/modules/$release/pkgbase" 2>/dev/null || echo linux)
		echo "pacman -S $base-headers (and reboot, if the kernel was upgraded" \
			"since)"
		;;
	*)
		echo "install your distribution's package of the headers of kernel $release"
		;;
	esac
}

needed() {
	sed -n 's/^#error "\(zcopy needs Linux .*\)"$/\1/p' "$top/module/compat.h"
}

# A distribution whose own kernel is too old, and that has another one.
has_newer() {
	local ID='' VERSION_ID=''

	# shellcheck source=/dev/null
	[[ ! -r $system ]] || . "$system"
	[[ $ID$VERSION_ID != debian12 ]] ||
		echo ", which Debian 12 has: apt-get install linux-image-6.12-amd64" \
			"linux-headers-6.12-amd64"
}

made=$(cat "$folder/include/config/kernel.release" 2>/dev/null || true)

if [[ -z $made && ! $release =~ $BUILD_EXCLUSIVE_KERNEL ]]; then
	echo "there are no kernel headers in $folder, and those of the running kernel," \
		"$release, would not do: $(needed)$(has_newer)"
elif [[ -z $made ]]; then
	echo "there are no kernel headers in $folder: $(how)"
elif [[ ! $made =~ $BUILD_EXCLUSIVE_KERNEL ]]; then
	echo "the headers in $folder are of $made, and $(needed)"
elif ! grep -qs '^CONFIG_VHOST_TASK=y' "$folder/include/config/auto.conf"; then
	echo "the kernel of $folder has no CONFIG_VHOST_TASK: zcopy needs one that" \
		"was built with KVM or vhost"
elif [[ -e $folder/Module.symvers ]] &&
	! grep -qw task_work_add "$folder/Module.symvers"; then
	echo "the kernel of $folder does not export task_work_add() to modules, as" \
		"Debian's do: zcopy can be built into it, see install.rst"
fi
