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
#   root      the root tree to use the headers in; only if it is not the host's

# shellcheck source=selftests/vm/packages.sh
source "$(dirname "$0")/packages.sh"

choose_kernel
version=$(package_field "linux-headers-$release" Version)
target=$cache_dir/kernel/${release}_${version#*:}

if [[ -d $target ]]; then
	touch "$target" || true
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
# So are kernels that nobody has asked for in a month.
find "$cache_dir/kernel" -mindepth 1 -maxdepth 1 -type d -mtime +30 -exec rm -rf {} +
new=$(mktemp -d "$cache_dir/kernel/new.XXXXXX")
trap 'rm -rf "$new"' EXIT

# The package of an image was split by Linux 6.19.
images=("linux-image-$release")
[[ -n $(package_field "${images[0]}" Version) ]] || images=("${images[0]}-unsigned")
mapfile -t -O 1 images < <(package_depends "${images[0]}" |
	grep -E '^linux-(base|binary|modules)-' || true)
series=$(cut -d. -f1,2 <<<"$release")
mapfile -t debs < <(
	printf '%s\n' "${images[@]}" "linux-headers-$release" "linux-source-$series"
	package_depends "linux-headers-$release" |
		grep -E '^linux-(headers-.*-common|kbuild-.*)$'
)

download() {
	# As root apt would want to fetch as another user, who cannot write here.
	(cd "$new" && apt-get download "${apt_options[@]}" \
		-o APT::Sandbox::User=root "${debs[@]/%/=$version}" >&2)
}

root=''
if [[ -n $suite ]]; then
	mapfile -t needs < <(headers_need)
	root=$("$vm_dir/root.sh" "$suite" binutils make "${needs[@]}")
fi

say "kernel: fetching $release (about 280 MB, once) into $cache_dir/kernel"
download || begin_again "apt could not fetch kernel $release, version $version"

say "kernel: unpacking (about half a minute)"
for deb in "$new"/linux-[!s]*.deb; do
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
vmlinuz=boot/vmlinuz-$release
[[ -f $new/$vmlinuz ]] || vmlinuz=usr/lib/modules/$release/vmlinuz
ln -s "$vmlinuz" "$new/vmlinuz"
[[ -z $root ]] || ln -s "$root" "$new/root"
printf '%s\n' "$release" >"$new/release"

mv "$new" "$target"
trap - EXIT
printf '%s\n' "$target"
