#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs command $2... in the root tree $1, as the user who asks, with this tree and
# the cache folder where they are outside. Nobody else sees what is mounted for that,
# and no module gets into this machine's own kernel from there.

# shellcheck source=selftests/vm/common.sh
source "$(dirname "$0")/common.sh"

root=$1
shift

# shellcheck disable=SC2016 # another shell's
as_root unshare --mount --propagation private bash -c '
	set -e
	root=$1 user=$2 folder=$3
	shift 3
	while [[ $1 != -- ]]; do
		mkdir -p "$root$1"
		mount --rbind "$1" "$root$1"
		shift
	done
	shift
	exec setpriv --bounding-set -sys_module chroot --userspec="$user" "$root" env -C "$folder" \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"
' inside "$root" "$(id -u):$(id -g)" "$PWD" \
	/dev /proc "$cache_dir" "$top_dir" -- "$@"
