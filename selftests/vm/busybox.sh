#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Prints a busybox that needs no libraries: the host's, or that of its package, which
# is unpacked into the cache folder once. Installed it would take the place of another
# busybox, which most hosts have.

# shellcheck source=selftests/vm/packages.sh
source "$(dirname "$0")/packages.sh"

if is_installed busybox-static; then
	command -v busybox
	exit 0
fi
target=$cache_dir/busybox
if [[ -x $target ]]; then
	printf '%s\n' "$target"
	exit 0
fi

mkdir -p "$cache_dir"
new=$cache_dir/busybox.$$
trap 'rm -rf "$new"' EXIT
mkdir "$new"

download() {
	# As root apt would want to fetch as another user, who cannot write here.
	(cd "$new" && apt-get -qq download -o APT::Sandbox::User=root busybox-static >&2)
}

say "busybox: fetching a static one (1 MB, once) into $cache_dir"
download || { apt_update && download; } || die "apt could not fetch busybox-static"
dpkg-deb --fsys-tarfile "$new"/*.deb |
	tar -xO --wildcards './*bin/busybox' >"$new/busybox"
chmod 755 "$new/busybox"
mv "$new/busybox" "$target"
printf '%s\n' "$target"
