#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Installs, with plain apt, what building and testing need and the host lacks, and
# the packages that are named. Says so first; does nothing when nothing is missing.

# shellcheck source=selftests/vm/packages.sh
source "$(dirname "$0")/packages.sh"

command -v apt-get >/dev/null ||
	die "apt is missing: the VM and its kernel come from Debian packages"

packages=(
	"$@"
	bc bison flex libelf-dev                        # the debug kernel
	g++ gcc libc6-dev make                          # builds
	qemu-system-x86 cpio xz-utils                   # the VM
	kmod e2fsprogs xfsprogs iproute2 ethtool        # used inside it
	procps util-linux mount dmsetup curl openssl python3
	btrfs-progs dosfstools erofs-utils genisoimage  # filesystems to send from
	squashfs-tools bindfs
	liburing-dev                                    # an example server
	libssl-dev                                      # a test's own TLS server
	sparse perl shellcheck codespell                # make style
)

# Headers of another suite are used in a root tree of it.
choose_kernel
if [[ -n $suite ]]; then
	packages+=(mmdebstrap debian-archive-keyring)
else
	mapfile -t -O "${#packages[@]}" packages < <(headers_need)
fi

missing=()
for package in "${packages[@]}"; do
	is_installed "$package" || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

# Nothing of the host's has to go for it.
install_missing() {
	apt_get install --yes --no-install-recommends --no-remove \
		-o Dpkg::Use-Pty=0 "${missing[@]}"
}

say "deps: apt-get install ${missing[*]} (some minutes)"
# Lists that are older than the archive name files it no longer has.
install_missing || { apt_update && install_missing; } ||
	die "apt could not install what is missing: $apt_said"
