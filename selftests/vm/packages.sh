# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Questions to apt about the kernel's packages. It is sourced, never run.

# shellcheck source=selftests/vm/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Of Debian's, with its backports.
newest_suite=trixie

# The suite that is asked: the host's own, or one that use_suite() chose, with lists
# of packages in the cache folder. Hosts that throw apt's own index away would make
# it anew for each question.
suite='' apt_lists=$cache_dir/apt
apt_options=(-o "Dir::Cache::pkgcache=$apt_lists/pkgcache.bin")

ask_apt() {
	mkdir -p "$apt_lists"
	apt-cache "${apt_options[@]}" "$@" 2>/dev/null
}

# Is it, for whichever architecture?
is_installed() {
	dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# The packages in the lists whose names begin with $1.
package_names() {
	ask_apt pkgnames "$1"
}

# One field of the version of package $1 that apt would install, nothing if there is
# none: apt-cache fails then.
package_field() {
	{ ask_apt show --no-all-versions "$1" || true; } |
		sed -n "s/^$2: //p" | head -n 1
}

# The packages that package $1 depends on, alternatives and versions left out.
package_depends() {
	package_field "$1" Depends | tr ',' '\n' |
		sed 's/[|(:].*//; s/[[:space:]]//g'
}

# The headers' own needs: their compiler, and libraries of their programs.
headers_need() {
	local kbuild package

	kbuild=$(package_depends "linux-headers-$release" | grep '^linux-kbuild-')
	for package in "linux-headers-$release" "$kbuild"; do
		package_depends "$package"
	done | grep -v '^linux-'
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

# Where the host has its packages from: sites of Debian, without a suite.
# shellcheck disable=SC2016 # apt's own
debian_site() {
	apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' \
		'Created-By: Packages' | sed -n "s/^Debian [a-z]*${1:-} //p" | head -n 1
}

# What sources.list says of Debian's suite $1. The host's own stays as it is.
sources_of() {
	local site security options

	site=$(debian_site '') security=$(debian_site -security)
	[[ -n $site ]] || die "this host has no packages of Debian's: no sources" \
		"for $1"
	options='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
	printf "deb $options %s %s main\n" "$site" "$1" "$site" "$1-updates" \
		"$site" "$1-backports" "${security:-${site%/}-security}" "$1-security"
}

# Ask for packages of suite $1 from now on.
use_suite() {
	# Where the host has its packages from is known from its lists.
	[[ -n $suite || -n $(debian_site '') ]] || apt_update
	suite=$1
	apt_lists=$cache_dir/apt/$suite
	mkdir -p "$apt_lists"/{lists/partial,archives/partial}
	sources_of "$suite" >"$apt_lists/sources.list.$$"
	mv "$apt_lists/sources.list.$$" "$apt_lists/sources.list"
	apt_options=(
		-o "Dir::Etc::sourcelist=$apt_lists/sources.list"
		-o Dir::Etc::sourceparts=/dev/null
		-o APT::Default-Release=
		-o Dir::Etc::preferences=/dev/null
		-o Dir::Etc::preferencesparts=/dev/null
		-o "Dir::State::lists=$apt_lists/lists"
		-o Dir::State::status=/dev/null
		-o "Dir::Cache=$apt_lists"
		-o "Dir::Cache::pkgcache=$apt_lists/pkgcache.bin"
		# As root apt would want to fetch as another user, who cannot
		# write here.
		-o APT::Sandbox::User=root
		-o APT::Update::Post-Invoke-Success::=
	)
	# Read once a day; a host that cannot goes on with those it has.
	[[ -n $(find "$apt_lists/read" -mmin -1440 2>/dev/null) ]] || read_lists ||
		[[ -n $(package_names linux-headers-) ]] || die "apt could not read them"
}

# Those of the suite that use_suite() chose.
read_lists() {
	local lock status=0

	say "deps: reading the package lists of $suite"
	exec {lock}>"$apt_lists/lock"
	flock "$lock"
	apt-get -qq "${apt_options[@]}" update >&2 || status=$?
	exec {lock}>&-
	[[ $status -ne 0 ]] || : >"$apt_lists/read"
	return "$status"
}

apt_update() {
	if [[ -n $suite ]]; then
		read_lists || die "apt could not read them"
		return
	fi
	say "deps: reading apt's package lists anew (apt-get update)"
	apt_get update || die "apt could not read them: $apt_said"
}

# begin_again WHY: apt has refused a version that its lists have. Reads them anew, and
# begins the script, which has no arguments, with what is in them then; but once.
begin_again() {
	[[ -z ${ZCOPY_AGAIN:-} ]] || die "$*"
	apt_update
	# It is still held otherwise.
	exec {lock}>&-
	ZCOPY_AGAIN=yes exec "$0"
}

# Sets release to that, as uname -r would say it, of the kernel that KERNEL names:
# whole, or by the beginning, like 7.3, which is the newest of these, or by the word
# newest. Without KERNEL of the newest 6.12. Sets it to nothing when apt does not know
# one.
find_release() {
	local wanted=${KERNEL%/*} meta

	if [[ -z $wanted ]]; then
		# Debian 12 has 6.12 beside its own kernel, in Debian 13 it is its own,
		# until one of backports is installed.
		for meta in linux-image-6.12-amd64 linux-image-amd64; do
			release=$(package_depends "$meta" | sed -n 's/^linux-image-//p')
			[[ $release != 6.12.*-amd64 ]] || return 0
		done
		wanted=6.12
	fi
	wanted=${wanted#linux-image-}
	wanted=${wanted%-amd64}
	[[ $wanted != newest ]] || wanted=''
	release=$(package_names "linux-headers-$wanted" |
		sed -nE 's/^linux-headers-([0-9.]+(\+[a-z0-9.]+)?-amd64)$/\1/p' |
		awk -v wanted="$wanted" 'wanted == "" || index($0, wanted) == 1 &&
			substr($0, length(wanted) + 1) ~ /^[.+-]/' |
		sort -V | tail -n 1)
}

# find_release in the host's own suite, or in the one that has the newest kernels,
# or in that which KERNEL names, like 6.12/trixie; or a clear end.
choose_kernel() {
	local major minor

	KERNEL=${KERNEL:-}
	[[ $KERNEL != newest ]] || KERNEL=newest/$newest_suite

	[[ $(dpkg --print-architecture) == amd64 ]] ||
		die "the VM needs a Debian host of architecture amd64"
	if [[ -n $KERNEL && $KERNEL != newest/* ]]; then
		[[ $KERNEL =~ ^(linux-image-)?([0-9]+)\.([0-9]+)([.+-][0-9A-Za-z.+~-]*)?(/[a-z]+)?$ ]] ||
			die "KERNEL=$KERNEL is not a kernel version"
		major=${BASH_REMATCH[2]} minor=${BASH_REMATCH[3]}
		((major > 6 || (major == 6 && minor >= 12))) ||
			die "KERNEL=$KERNEL is too old: zcopy needs 6.12 or newer"
	fi
	release=''
	[[ $KERNEL == */* ]] || find_release
	if [[ -z $release && -z $KERNEL ]]; then
		apt_update
		find_release
		[[ -n $release ]] ||
			die "apt offers no 6.12 kernel here: Debian 12 (with its security" \
				"updates) and Debian 13 have one, or choose with KERNEL=<version>"
	fi
	[[ -z $release ]] || return 0

	use_suite "$([[ $KERNEL != */* ]] && echo "$newest_suite" || echo "${KERNEL##*/}")"
	find_release
	if [[ -z $release ]]; then
		apt_update
		find_release
	fi
	[[ -n $release ]] ||
		die "there are no kernel headers for KERNEL=$KERNEL; Debian's $suite has:" \
			"$(package_names linux-headers- |
				sed -nE 's/^linux-headers-((6\.1[2-9]|[7-9])\.?[0-9].*)-amd64$/\1/p' |
				grep -vE -- '-(rt|cloud)$|^6\.[0-9]+$' | sort -V | tr '\n' ' ')"
}
