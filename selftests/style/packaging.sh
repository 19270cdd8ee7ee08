#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Fails when what is said for packagers and shells is not what the sources say:
# the module's version, the least kernel, the library's symbols, the command's
# options.
set -euo pipefail

cd "$(dirname "$0")/../.."
failed=0

complain() {
	echo "$*" >&2
	failed=1
}

number() {
	sed -nE "s/^#define ZCOPY_VERSION_$1\t+([0-9]+)$/\1/p" module/version.h
}
version=$(number MAJOR).$(number MINOR).$(number PATCH)
read -r major minor < <(sed -nE \
	's/^#if LINUX_VERSION_CODE < KERNEL_VERSION\(([0-9]+), ([0-9]+), 0\)$/\1 \2/p' \
	module/compat.h)

# shellcheck source=dkms.conf
source ./dkms.conf
[[ $PACKAGE_VERSION == "$version" ]] ||
	complain "dkms.conf: the version is $PACKAGE_VERSION, the module's $version"

first=$(sed -nE '1s/^zcopy \((.*)\) .*/\1/p' debian/changelog)
[[ $first == "$version" ]] ||
	complain "debian/changelog: the version is $first, the module's $version"
diff <(sed -nE 's/^ (zcopy[a-z_]*)@.*/\1/p' debian/libzcopy0.symbols) \
	<(sed -nE 's/^\t\t(zcopy[a-z_]*);$/\1/p' userlib/libzcopy.map) >&2 ||
	complain "debian/libzcopy0.symbols (<): other symbols than libzcopy.map (>) has"

# kernels yes|no RELEASE...: DKMS builds for these, or does not.
kernels() {
	local wanted=$1 release answer

	shift
	for release; do
		answer=no
		[[ ! $release =~ $BUILD_EXCLUSIVE_KERNEL ]] || answer=yes
		[[ $answer == "$wanted" ]] || complain "dkms.conf: whether it is built for" \
			"$release: $answer, and module/compat.h says $wanted"
	done
}
kernels yes "$major.$minor.0" "$major.$minor-amd64" "$major.$((minor + 1)).3" \
	"$major.99.1" $((major + 1)).0.0-1-default $((major + 4)).1.0-rc1
kernels no "$major.$((minor - 1)).99-amd64" "$major.1.0" $((major - 1)).99.0

# The options of each command, as bash is told of them.
for command in send recv cp warm stat; do
	has=$(sed -nE 's/^\t\t\{ "([a-z-]+)", (no|required)_argument,.*/--\1/p' \
		"userlib/command/$command.c" | sort)
	told=$(awk -v start="[$command]='" 'index($0, start) { on = 1 }
			on { print } /\x27$/ { on = 0 }' userlib/command/zcopy.bash |
		grep -oE -- '--[a-z-]+' | sort)
	[[ -n $has && $has == "$told" ]] ||
		complain "zcopy.bash: other options of $command than $command.c has"
done

exit "$failed"
