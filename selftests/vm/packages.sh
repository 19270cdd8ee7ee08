# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Questions to apt about the kernel's packages. It is sourced, never run.

# shellcheck source=selftests/vm/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# One field of the version of package $1 that apt would install. Hosts that
# throw apt's own index away would make it anew for each question.
package_field() {
	mkdir -p "$cache_dir/apt"
	apt-cache -o Dir::Cache::pkgcache="$cache_dir/apt/pkgcache.bin" \
		show --no-all-versions "$1" 2>/dev/null |
		sed -n "s/^$2: //p" | head -n 1
}

# The packages that package $1 depends on, alternatives and versions left out.
package_depends() {
	package_field "$1" Depends | tr ',' '\n' |
		sed 's/[|(:].*//; s/[[:space:]]//g'
}

# apt-get, whose output is left in apt_said. Another one that is at work is waited
# for, for ten minutes: it has the lock of dpkg, or of the lists, for which apt-get
# itself does not wait.
apt_get() {
	local end=$((SECONDS + 600)) waits=''

	until apt_said=$(as_root env LC_ALL=C DEBIAN_FRONTEND=noninteractive \
			apt-get -qq "$@" </dev/null 2>&1); do
		[[ $apt_said == *'Could not get lock'* && $SECONDS -lt $end ]] || return 1
		[[ -n $waits ]] || say "deps: another apt is at work, and is waited for," \
			"ten minutes at most"
		waits=yes
		sleep 1
	done
}

apt_update() {
	say "deps: reading apt's package lists anew (apt-get update)"
	apt_get update || die "apt could not read them: $apt_said"
}

# Prints the release, as uname -r would, of the kernel that KERNEL names, or of
# the newest 6.12 on offer. Prints nothing when apt does not know one.
find_release() {
	local wanted=${KERNEL:-} meta release

	if [[ -n $wanted ]]; then
		wanted=${wanted#linux-image-}
		release=${wanted%-amd64}-amd64
		[[ -n $(package_field "linux-headers-$release" Version) ]] &&
			printf '%s\n' "$release"
		return 0
	fi
	# Debian 12 has 6.12 beside its own kernel, in Debian 13 it is its own.
	for meta in linux-image-6.12-amd64 linux-image-amd64; do
		release=$(package_depends "$meta" | sed -n 's/^linux-image-//p')
		if [[ $release == 6.12.*-amd64 ]]; then
			printf '%s\n' "$release"
			return 0
		fi
	done
}

# find_release, or a clear end.
kernel_release() {
	local release major minor

	[[ $(dpkg --print-architecture) == amd64 ]] ||
		die "the VM needs a Debian host of architecture amd64"
	if [[ -n ${KERNEL:-} ]]; then
		[[ $KERNEL =~ ^(linux-image-)?([0-9]+)\.([0-9]+)\.[0-9][0-9A-Za-z.+~-]*$ ]] ||
			die "KERNEL=$KERNEL is not a kernel version"
		major=${BASH_REMATCH[2]} minor=${BASH_REMATCH[3]}
		((major > 6 || (major == 6 && minor >= 12))) ||
			die "KERNEL=$KERNEL is too old: zcopy needs 6.12 or newer"
	fi
	release=$(find_release)
	if [[ -z $release ]]; then
		apt_update
		release=$(find_release)
	fi
	if [[ -z $release && -n ${KERNEL:-} ]]; then
		die "apt offers no kernel headers for KERNEL=$KERNEL; it offers:" \
			"$(apt-cache pkgnames linux-headers- |
				sed -nE 's/^linux-headers-((6\.1[2-9]|[7-9])\.?[0-9].*)-amd64$/\1/p' |
				grep -vE -- '-(rt|cloud)$|^6\.[0-9]+$' | sort -V | tr '\n' ' ')"
	fi
	[[ -n $release ]] ||
		die "apt offers no 6.12 kernel here: Debian 12 (with its security" \
			"updates) and Debian 13 have one, or choose with KERNEL=<version>"
	printf '%s\n' "$release"
}
