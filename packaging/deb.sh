#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: deb.sh FOLDER
#
# Builds the Debian packages into the FOLDER, from a copy of what git knows of
# this tree, or of all of it if it is no clone, and has lintian look at them. The
# log is in the FOLDER, too.
set -euo pipefail

cd "$(dirname "$0")/.."
folder=$1

missing=()
for package in dpkg-dev debhelper dh-dkms lintian gcc libc6-dev make; do
	dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null |
		grep -qx installed || missing+=("$package")
done
if [[ ${#missing[@]} -gt 0 ]]; then
	echo "deb: packages are missing: apt-get install ${missing[*]}" >&2
	exit 1
fi

is_clone() {
	git rev-parse --git-dir >/dev/null 2>&1
}

# What is built from a clone is newer than what was built from an older commit, for
# apt, too: it has the commit's time, or, with what is not committed, that of now. And
# what comes before the release is older than it.
version=$(dpkg-parsechangelog -S Version)
if is_clone && ! git describe --tags --exact-match --match "v$version" >/dev/null 2>&1; then
	released=$(git tag --merged HEAD --list "v$version")
	if [[ -z $(git status --porcelain) ]]; then
		seconds=$(git log -1 --format=%ct)
		about=$(git rev-parse --short HEAD)
	else
		seconds=$(date +%s)
		about=changed
	fi
	version+=$([[ -n $released ]] && echo + || echo '~')git$(date -u -d "@$seconds" +%Y%m%d%H%M%S).$about
fi

log=$folder/log
copy=$folder/zcopy-$version
rm -rf "$folder"
mkdir -p "$copy"
if is_clone; then
	git ls-files -z --cached --others --exclude-standard
else
	find . -path ./build -prune -o -type f -print0
fi | tar -c --null --files-from=- | tar -x -C "$copy"
sed -i "1s/(.*)/($version)/" "$copy/debian/changelog"

# Those of the make above are not meant for the packages.
unset MAKEFLAGS MFLAGS MAKELEVEL V KERNEL
echo "deb: building (about a minute)"
(cd "$copy" && dpkg-buildpackage --build=binary --no-sign) >"$log" 2>&1 || {
	tail -n 30 "$log" >&2
	echo "deb: the build failed; all it said is in $log" >&2
	exit 1
}
rm -rf "$copy"
lintian --allow-root --fail-on error,warning "$folder"/*.changes
echo "deb: these are made, to be installed with apt-get install ./FILE..."
printf '  %s\n' "$folder"/*.deb
