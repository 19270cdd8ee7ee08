#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Unpacks Debian's servers, wrk and what they need and this host lacks into the
# cache folder, once a set of versions, and prints the folder: a root tree.
# Installed they would run on the host; here nothing can start them.

# shellcheck source=selftests/vm/packages.sh
source "$(dirname "$0")/packages.sh"

servers=(nginx lighttpd apache2-bin python3-pyftpdlib wrk)

# As PACKAGE=VERSION a line.
find_packages() {
	mkdir -p "$cache_dir/apt"
	apt-get -o Dir::Cache::pkgcache="$cache_dir/apt/pkgcache.bin" \
		--simulate --no-install-recommends --reinstall \
		install "${servers[@]}" 2>/dev/null |
		sed -n 's/^Inst \([^ ]*\)\( \[[^]]*\]\)\? (\([^ ]*\) .*/\1=\3/p' | sort
}

packages=$(find_packages) || { apt_update && packages=$(find_packages); } ||
	die "apt does not offer ${servers[*]}"
target=$cache_dir/servers/$(sha256sum <<<"$packages" | cut -c1-16)

mkdir -p "$cache_dir/servers"
exec {lock}>"$cache_dir/servers/lock"
flock "$lock"
if [[ -d $target ]]; then
	printf '%s\n' "$target"
	exit 0
fi

# The lock is ours: what runs that broke off have left is nobody's.
rm -rf "$cache_dir"/servers/new.*
new=$(mktemp -d "$cache_dir/servers/new.XXXXXX")
trap 'rm -rf "$new"' EXIT
chmod 755 "$new"

download() {
	# As root apt would want to fetch as another user, who cannot write here.
	(cd "$new" && xargs apt-get download -o APT::Sandbox::User=root \
		<<<"$packages" >&2)
}

say "servers: fetching ${servers[*]} (about 5 MB, once) into $cache_dir/servers"
download || begin_again "apt could not fetch ${packages//$'\n'/ }"

# Some packages still put libraries into /lib.
mkdir -p "$new/usr/lib"
ln -s usr/lib "$new/lib"
for deb in "$new"/*.deb; do
	dpkg-deb --fsys-tarfile "$deb" |
		tar -x -C "$new" --keep-directory-symlink --exclude=./etc \
			--exclude=./usr/share --exclude=./var
done
rm "$new"/*.deb

mv "$new" "$target"
trap - EXIT
printf '%s\n' "$target"
