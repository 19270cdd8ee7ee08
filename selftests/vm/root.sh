#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Makes a root tree of Debian's suite $1 with the packages $2... in the cache folder,
# once a set of these, and prints the folder. It is root's.

# shellcheck source=selftests/vm/packages.sh
source "$(dirname "$0")/packages.sh"

suite_wanted=$1
shift
target=$cache_dir/root/$suite_wanted-$(printf '%s\n' "$@" | sort | sha256sum | cut -c1-16)

if [[ -d $target ]]; then
	printf '%s\n' "$target"
	exit 0
fi

mkdir -p "$cache_dir/root"
exec {lock}>"$cache_dir/root/lock"
flock "$lock"
if [[ -d $target ]]; then
	printf '%s\n' "$target"
	exit 0
fi

use_suite "$suite_wanted"
# The lock is ours: what runs that broke off have left is nobody's.
as_root rm -rf "$cache_dir"/root/new.*
new=$cache_dir/root/new.$$
trap 'as_root rm -rf "$new"' EXIT

# mmdebstrap reads nothing of what the host's apt is told of proxies.
proxies=()
while read -r line; do
	proxies+=(--aptopt="${line%;}")
done < <(apt-config dump | grep -E '^Acquire::https?::Proxy')

make_root() {
	as_root mmdebstrap --quiet --variant=apt --include="$(IFS=,; echo "$*")" \
		"${proxies[@]}" "$suite_wanted" "$new" - <"$apt_lists/sources.list" >&2
}

say "root: making a root tree of Debian's $suite_wanted with" \
	"${*:-nothing more} (once, a minute) in $cache_dir/root"
make_root "$@" || die "mmdebstrap could not make it"
as_root mv "$new" "$target"
trap - EXIT
printf '%s\n' "$target"
