#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: check.sh FOLDER [SUITE...]
#
# "make check-packages": builds the Debian packages into the FOLDER, and takes the way
# of a user with them in a fresh root tree of each suite of Debian: installs them,
# boots that tree with its own kernel and systemd in a VM, where installed.sh looks
# at them, boots the newest with Secure Boot, too, where signed.sh does, and purges
# them. Then DKMS has the module from a clone instead. The last line is the sum.

# shellcheck source=selftests/vm/packages.sh
source "$(dirname "$0")/../selftests/vm/packages.sh"
# shellcheck source=packaging/checking.sh
source "$top_dir/packaging/checking.sh"

cd "$top_dir"
# Those of the make above are not meant for the packages.
unset MAKEFLAGS MFLAGS MAKELEVEL V KERNEL
folder=$1
shift
suites=("$@")
[[ ${#suites[@]} -gt 0 ]] || suites=(bookworm trixie)
ours=(zcopy-dkms zcopy-utils libzcopy0 libzcopy-dev)
user=(gcc libc6-dev pkg-config man-db mokutil)
dkms_key=/var/lib/dkms/mok.pub
declare -A kernels=([bookworm]=6.12-amd64 [trixie]=amd64)
declare -A numbers=([bookworm]=12 [trixie]=13)

mkdir -p "$cache_dir"
# What runs leave that were killed.
as_root find "$cache_dir" -mindepth 1 -maxdepth 1 -name 'packages.*' -mmin +1440 \
	-exec rm -rf {} +
work=$(mktemp -d "$cache_dir/packages.XXXXXX")
trap 'as_root rm -rf "$work" "$said"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
chmod 755 "$work"

# A command of root's in the tree that is tried.
inside() {
	as_root env ZCOPY_CACHE="$cache_dir" DEBIAN_FRONTEND=noninteractive \
		"$vm_dir/inside.sh" "$root" "$@"
}

# Packages are fetched once, and kept while they are what the suite has.
install() {
	local options=(-qq -o "Dir::Cache::archives=$apt_lists/archives")

	inside apt-get "${options[@]}" -o Dpkg::Use-Pty=0 \
		-o APT::Keep-Downloaded-Packages=true install "$@" &&
		inside apt-get "${options[@]}" autoclean
}

# This tree's files, as a clone has them, in the new folder $1.
copy_tree() {
	mkdir "$1"
	tar -c --exclude=./build --exclude=./.git . | tar -x -C "$1"
}

# A zcopy-dkms with another module in it. Its file is set in upgrade.
make_upgrade() {
	local tree=$work/upgrade patch=$((${version##*.} + 1))

	newer=${version%.*}.$patch
	copy_tree "$tree"
	sed -i "s/^\(#define ZCOPY_VERSION_PATCH\t\).*/\1$patch/" "$tree/module/version.h"
	sed -i "1s/(.*)/($newer)/" "$tree/debian/changelog"
	sed -i "s/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"$newer\"/" "$tree/dkms.conf"
	echo "check: building an upgrade"
	(cd "$tree" && dpkg-buildpackage --build=all --no-sign) >"$work/log" 2>&1 || {
		tail -n 30 "$work/log" >&2
		die "the upgrade could not be built"
	}
	upgrade=$work/zcopy-dkms_${newer}_all.deb
}

# Releases of the kernels in the tree.
releases() {
	basename -a "$root"/boot/vmlinuz-* | sed 's/^vmlinuz-//' | sort -V
}

# The module is in place for the kernel $1, as modprobe finds it.
built() {
	inside modinfo -k "$1" -n zcopy &&
		inside dkms status "zcopy/$version" -k "$1" | grep ': installed$'
}

# DKMS has signed the module of the kernel $1 with the key that it has made.
signed_by_dkms() {
	local serial

	serial=$(openssl x509 -inform DER -in "$root$dkms_key" -noout -serial) &&
		is "$(inside modinfo -k "$1" -F sig_key zcopy | tr -d :)" "${serial#serial=}"
}

# As postinst of the upgrade would, for the kernel $1.
build_upgrade() {
	local source=/usr/src/zcopy-$newer tarball=/opt/zcopy-$newer.dkms.tar.gz

	as_root rm -f "$root$tarball" &&
		as_root dpkg-deb -x "$upgrade" "$work/unpacked" &&
		as_root cp -r "$work/unpacked$source" "$root$source" &&
		inside dkms build "zcopy/$newer" -k "$1" &&
		inside dkms mktarball "zcopy/$newer" -k "$1" --archive "$tarball" &&
		inside dkms remove "zcopy/$newer" --all &&
		as_root rm -rf "$root$source" "$work/unpacked"
}

make_programs() {
	local program=$root/opt/sender

	# shellcheck disable=SC2016 # sed's own
	{
		inside zcat /usr/share/doc/libzcopy-dev/README.md.gz |
			sed -n '/^```c$/,/^```$/{//!p}'
		cat packaging/sender.c
	} >"$work/sender.c"
	# shellcheck disable=SC2016 # the root's
	inside bash -c 'cd /opt && cc -Wall -Werror -o sender "$1" \
		$(pkg-config --cflags --libs libzcopy) && cc -Wall -Werror -static \
		-o sender-static "$1" $(pkg-config --static --cflags --libs libzcopy)' \
		cc "$work/sender.c"
	[[ -x $program && -x $program-static ]]
}

# look COMMAND [OPTION...]: boots it with these options of machine.sh, and adds what
# the command says there to the sum.
look() {
	local command=$1 log=$work/report status=0

	shift
	echo "check: booting it (five to ten minutes without KVM)"
	packaging/machine.sh "$@" "$root" "$command" | tee "$log" || status=$?
	passed=$((passed + $(grep -c '^ok - ' "$log" || true)))
	failed=$((failed + $(grep -c '^not ok - ' "$log" || true)))
	: >"$said"
	result "the VM came to its end" "$status"
}

nothing() {
	echo "$1"
	[[ -z $1 ]]
}

no_file_is_left() {
	# This tree and the cache were mounted there.
	(cd "$root" && as_root rmdir --parents --ignore-fail-on-non-empty \
		".$cache_dir" ".$top_dir")
	nothing "$(as_root find "$root" -iname '*zcopy*')"
}

no_line_is_left() {
	nothing "$(as_root grep -ls zcopy "$root"/var/lib/dpkg/status \
		"$root"/var/lib/apt/extended_states "$root"/lib/modules/*/modules.* \
		"$root"/etc/ld.so.cache)"
}

# The system as it is: the module for its newest kernel, and what the VM says.
try_kernel() {
	local release

	release=$(releases | tail -n 1)
	check "$1: DKMS has built the module for $release" built "$release"
	check "$1: and has signed it" signed_by_dkms "$release"
	check "$1: DKMS builds an upgrade for it" build_upgrade "$release"
	look /opt/installed.sh
}

# The module of the kernel $1 again, signed by nobody, and by a stranger.
sign() {
	local module

	# shellcheck disable=SC2016 # the root's
	module=$(inside modinfo -k "$1" -n zcopy) && inside bash -ec '
		cd /opt
		case $1 in
		*.xz) xz -dc "$1" >unsigned.ko ;;
		*) cp "$1" unsigned.ko ;;
		esac
		strip --strip-debug unsigned.ko
		cp unsigned.ko stranger.ko
		openssl req -new -x509 -newkey rsa:2048 -nodes -days 2 \
			-subj "/CN=a stranger/" -keyout stranger.key \
			-outform DER -out stranger.pub
		"$2/scripts/sign-file" sha256 stranger.{key,pub,ko}
	' sign "$module" "/lib/modules/$1/build"
}

# And from a clone, signed by make install with the key of DKMS.
install_signed() {
	# shellcheck disable=SC2016 # the root's
	as_root cp -r "$work/clone" "$root/opt/" && inside bash -ec '
		cd /opt/clone
		make KDIR="$1"
		make install KDIR="$1" DESTDIR=/opt/clone/stage \
			SIGN_KEY="${2%.pub}.key" SIGN_CERT="$2"
		mv stage/lib/modules/*/updates/zcopy.ko ../installed.ko
	' install "/lib/modules/$1/build" "$dkms_key" && as_root rm -r "$root/opt/clone"
}

# With Secure Boot, before and after the machine is told of DKMS's key.
try_signed() {
	local password=correct-horse release

	release=$(releases | tail -n 1)
	check "$1: the module is signed by others" sign "$release"
	echo "check: building the module from a clone (a minute or two)"
	check "$1: and by make install" install_signed "$release"
	packaging/firmware.sh "$work/firmware"
	look "/opt/signed.sh import $dkms_key $password" -f "$work/firmware"
	echo "check: MOK management (a minute or two)"
	check "$1: the key is enrolled" packaging/enroll.sh "$work/firmware" "$password"
	look "/opt/signed.sh enrolled $dkms_key" -f "$work/firmware"
}

# From a clone, as Documentation/install.rst says, for the newest kernel.
try_clone() {
	local release source=/usr/src/zcopy-$version

	release=$(releases | tail -n 1)
	as_root cp -r "$work/clone" "$root/opt/"
	echo "check: DKMS builds the module of a clone (a minute or two)"
	check "$1: dkms add ." inside env -C /opt/clone dkms add .
	check "$1: dkms install" inside dkms install "zcopy/$version" -k "$release"
	check "$1: the module for $release is there" built "$release"
	check "$1: DKMS has signed it" signed_by_dkms "$release"
	check "$1: dkms remove" inside dkms remove "zcopy/$version" --all
	check "$1: rm -r $source" as_root rm -r "$root$source"
	as_root rm -rf "$root/opt/clone"
	check "$1: no file is left of it" no_file_is_left
	check "$1: no line is left of it" no_line_is_left
}

try_suite() {
	local kernel=${kernels[$1]} clean

	clean=$("$vm_dir/root.sh" "$1" linux-{image,headers}-"$kernel" systemd-sysv udev \
		initramfs-tools)
	use_suite "$1"
	root=$work/$1
	echo "check: $1, a copy of $clean"
	as_root cp -a --reflink=auto "$clean" "$root"
	as_root cp -L /etc/resolv.conf "$root/etc/"
	as_root cp "$apt_lists"/lists/*_* "$root/var/lib/apt/lists/"
	inside apt-get -qq update

	echo "check: installing zcopy's packages, and ${user[*]} (some minutes)"
	check "$1: apt-get install" install "${debs[@]}" "${user[@]}"
	check "$1: programs are built with the library" make_programs
	as_root cp packaging/{checking,installed,signed}.sh "$root/opt/"
	as_root cp "$upgrade" "$root/opt/upgrade.deb"
	try_kernel "$1"
	[[ $1 != "$newest_suite" ]] || try_signed "$1"

	# Backports have newer ones, which this suite's users take.
	if [[ $1 == "$newest_suite" ]]; then
		echo "check: upgrading the kernel (some minutes)"
		check "$1: a kernel of $1-backports" \
			install -t "$1-backports" linux-{image,headers}-"$kernel"
		try_kernel "$1"
	fi

	as_root find "$root/opt" -mindepth 1 -delete
	check "$1: apt-get purge" inside apt-get -qq purge "${ours[@]}"
	check "$1: no file is left" no_file_is_left
	check "$1: no line is left in what dpkg, depmod and ldconfig know" no_line_is_left
	try_clone "$1"
	as_root rm -rf "$root"
}

# The packages want the C library and the DKMS of this host, or newer ones. Where it
# has no number it is newer than all that have.
is_older() {
	local ID='' VERSION_ID=99

	# shellcheck source=/dev/null # the host's own
	source /etc/os-release
	[[ $ID == debian && ${numbers[$1]} -lt $VERSION_ID ]]
}

tried=()
for suite_wanted in "${suites[@]}"; do
	if is_older "$suite_wanted"; then
		say "check: $suite_wanted is older than this host, whose packages it does not take"
	else
		tried+=("$suite_wanted")
	fi
done
[[ ${#tried[@]} -gt 0 ]] || die "there is no system to try the packages in"

packaging/deb.sh "$folder"
version=$(dpkg-parsechangelog -S Version)
debs=()
for package in "${ours[@]}"; do
	debs+=("./$folder/${package}_"*.deb)
done
make_upgrade
copy_tree "$work/clone"
for suite_wanted in "${tried[@]}"; do
	try_suite "$suite_wanted"
done
printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
[[ $failed -eq 0 ]]
