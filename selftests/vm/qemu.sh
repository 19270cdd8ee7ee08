#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Prints the QEMU that runs the VMs: the host's own, or, where that is older than 8.1,
# the one of the host's Debian backports, which is unpacked into the cache folder
# once. Emulation may keep a translation of code that another processor is just
# patching, and then executes an int3 that the kernel no longer expects. A static key
# of the scheduler that was flipped in a loop ended each VM of QEMU 7.2 within 100
# times; newer ones lock the page that they translate: of 10.0 one VM of six ended,
# and they had flipped it 500 times on average.

# shellcheck source=selftests/vm/packages.sh
source "$(dirname "$0")/packages.sh"

program=qemu-system-x86_64 needed=8.1
if version=$("$program" --version | sed -n '1s/^QEMU emulator version //p') &&
	printf '%s\n' "$needed" "${version%% *}" | sort -CV; then
	command -v "$program"
	exit 0
fi

# shellcheck source=/dev/null # the host's own
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
target=$cache_dir/qemu/$codename
if [[ -x $target/$program ]]; then
	printf '%s\n' "$target/$program"
	exit 0
fi

mkdir -p "$cache_dir/qemu"
exec {lock}>"$cache_dir/qemu/lock"
flock "$lock"
if [[ -x $target/$program ]]; then
	printf '%s\n' "$target/$program"
	exit 0
fi

# All is made in a folder of its own, as the kernel's is.
rm -rf "$cache_dir"/qemu/new.*
new=$(mktemp -d "$cache_dir/qemu/new.XXXXXX")
trap 'rm -rf "$new"' EXIT

# What it needs beside these its older version needs, too.
debs=(qemu-system-x86 qemu-system-common qemu-system-data)
use_suite "$codename"
apt_options+=(-o "APT::Default-Release=$codename-backports")

download() {
	(cd "$new" && apt-get -qq download "${apt_options[@]}" "${debs[@]}" >&2)
}

say "qemu: this host's ${version%% *} is older than $needed: fetching that of" \
	"$codename-backports (13 MB, once) into $cache_dir/qemu"
download || { apt_update && download; } ||
	die "apt could not fetch it: install QEMU $needed or newer"
for deb in "$new"/*.deb; do
	dpkg-deb --extract "$deb" "$new"
done
rm "$new"/*.deb

# Its files, then the firmware that comes in packages of its own.
cat >"$new/$program" <<SCRIPT
#!/bin/sh
exec $target/usr/bin/$program -L $target/usr/share/qemu \\
	-L /usr/share/seabios -L /usr/lib/ipxe/qemu "\$@"
SCRIPT
chmod +x "$new/$program"
answer=$("$new/usr/bin/$program" --version 2>&1) || die "it does not start: $answer"
version=$(sed -n '1s/^QEMU emulator version //p' <<<"$answer")
printf '%s\n' "$needed" "${version%% *}" | sort -CV ||
	die "$codename-backports has QEMU ${version%% *}: install $needed or newer"

rm -rf "$target"
mv "$new" "$target"
trap - EXIT
printf '%s\n' "$target/$program"
