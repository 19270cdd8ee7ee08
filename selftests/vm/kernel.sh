#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Unpacks the VM's kernel, its headers and the needed part of its source into
# the cache folder, once a package version, and prints the folder. In it:
#
#   release   what uname -r says in the VM
#   vmlinuz   the kernel
#   build     headers to build modules with
#   lib       lib/modules/<release>, with modules.dep made
#   source    scripts/ and tools/testing/selftests/ of the kernel's source

# shellcheck source=selftests/vm/packages.sh
source "$(dirname "$0")/packages.sh"

release=$(kernel_release)
version=$(package_field "linux-headers-$release" Version)
target=$cache_dir/kernel/${release}_${version#*:}

if [[ -d $target ]]; then
	printf '%s\n' "$target"
	exit 0
fi

mkdir -p "$cache_dir/kernel"
exec {lock}>"$cache_dir/kernel/lock"
flock "$lock"
if [[ -d $target ]]; then
	printf '%s\n' "$target"
	exit 0
fi

# All is made in a folder of its own, so that a run that breaks off leaves
# nothing that looks whole. The lock is ours: such leavings are nobody's.
rm -rf "$cache_dir"/kernel/new.*
new=$(mktemp -d "$cache_dir/kernel/new.XXXXXX")
trap 'rm -rf "$new"' EXIT

image=linux-image-$release
[[ -n $(package_field "$image" Version) ]] || image+=-unsigned
series=$(cut -d. -f1,2 <<<"$release")
mapfile -t debs < <(
	printf '%s\n' "$image" "linux-headers-$release" "linux-source-$series"
	package_depends "linux-headers-$release" |
		grep -E '^linux-(headers-.*-common|kbuild-.*)$'
)

download() {
	# As root apt would want to fetch as another user, who cannot write here.
	(cd "$new" && apt-get download -o APT::Sandbox::User=root \
		"${debs[@]/%/=$version}" >&2)
}

say "kernel: fetching $release (about 280 MB, once) into $cache_dir/kernel"
download || { apt_update && download; } ||
	die "apt could not fetch kernel $release, version $version"

say "kernel: unpacking (about half a minute)"
for deb in "$new"/linux-{image,headers,kbuild}-*.deb; do
	dpkg-deb --fsys-tarfile "$deb" |
		tar -x -C "$new" --exclude=./usr/share
done
mkdir "$new/source"
dpkg-deb --fsys-tarfile "$new"/linux-source-*.deb |
	tar -xO "./usr/src/linux-source-$series.tar.xz" |
	tar -xJ -C "$new/source" --strip-components=1 \
		"linux-source-$series/scripts" \
		"linux-source-$series/tools/testing/selftests/lib.mk" \
		"linux-source-$series/tools/testing/selftests/kselftest" \
		"linux-source-$series/tools/testing/selftests/kselftest.h" \
		"linux-source-$series/tools/testing/selftests/kselftest_harness.h"
rm "$new"/*.deb

# Some suites ship modules below /usr/lib, where depmod -b does not look.
if [[ -d $new/usr/lib/modules ]]; then
	mkdir -p "$new/lib"
	ln -s ../usr/lib/modules "$new/lib/modules"
fi
depmod -b "$new" "$release"

# The headers' Makefile names the place they would be installed at.
headers=usr/src/linux-headers-$release
# shellcheck disable=SC2016
sed -i 's|/usr/src/|$(dir $(realpath $(lastword $(MAKEFILE_LIST))))../|' \
	"$new/$headers/Makefile"
ln -s "$headers" "$new/build"
ln -s "boot/vmlinuz-$release" "$new/vmlinuz"
printf '%s\n' "$release" >"$new/release"

mv "$new" "$target"
trap - EXIT
printf '%s\n' "$target"
