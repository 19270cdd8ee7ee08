# shellcheck shell=bash disable=SC2034 # failed is for who sources this
# SPDX-License-Identifier: GPL-2.0-only
#
# For scripts of this folder that need a folder to work in, which goes when they do,
# and that say all that is wrong before they fail: sets work, and failed to 0.

set -euo pipefail
# What programs say is looked at; and of the variables that make takes none is meant
# for those that it is called for.
export LC_ALL=C
unset PREFIX LIBDIR INCLUDEDIR BINDIR MANDIR BASHDIR SIGN_KEY SIGN_CERT LLVM

cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

complain() {
	echo "${0##*/}: $*" >&2
	failed=1
}
