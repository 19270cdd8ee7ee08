#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Fails when the VM gets another kernel than that which apt has for it, or none where
# there is one. apt is the host's; its lists, and the archive that they are of, are
# straw.

# shellcheck source=selftests/style/work.sh
source "$(dirname "$0")/work.sh"

# A real one would take the host's own lists.
mkdir "$work/bin"
# shellcheck disable=SC2016 # the script's own
printf '#!/bin/sh\nexec "$@"\n' >"$work/bin/sudo"
chmod +x "$work/bin/sudo"
unset MAKEFLAGS MFLAGS MAKELEVEL V KERNEL TESTS DEBUG FULL vm_kernel
export PATH=$work/bin:$PATH ZCOPY_CACHE=$work/cache APT_CONFIG=$work/apt.conf

# suite NAME [PACKAGE VERSION DEPENDS]...: the archive has it, with these packages.
suite() {
	local dists=$work/debian/dists list=main/binary-amd64/Packages name=$1 no=no

	shift
	case $name in
	*-security) dists=$work/debian-security/dists ;;
	*-backports) no=yes ;;
	esac
	mkdir -p "$dists/$name/${list%/*}"
	cd "$dists/$name"
	while [[ $# -gt 0 ]]; do
		printf '%s\n' "Package: $1" "Version: $2" "Depends: $3" \
			'Architecture: amd64' 'Filename: none' 'Size: 1' ''
		shift 3
	done >"$list"
	cat >Release <<-END
		Origin: Debian
		Codename: $name
		Suite: $name
		Date: $(LC_ALL=C date -u '+%a, %d %b %Y %T UTC')
		Components: main
		Architectures: amd64
		NotAutomatic: $no
		ButAutomaticUpgrades: $no
		SHA256:
		 $(sha256sum <"$list" | sed 's/ .*//') $(stat -c %s "$list") $list
	END
	cd "$OLDPWD"
}

# host SUITE...: it has these, but has not read their lists.
host() {
	local name

	rm -rf "$work"/{lists,apt,cache,status}
	mkdir -p "$work"/{lists,apt}
	: >"$work/status"
	: >"$work/preferences"
	for name; do
		case $name in
		*-security) echo "deb copy:$work/debian-security $name main" ;;
		*) echo "deb copy:$work/debian $name main" ;;
		esac
	done >"$work/sources.list"
	cat >"$APT_CONFIG" <<-END
		Dir::Etc::main "/dev/null";
		Dir::Etc::parts "/dev/null";
		Dir::Etc::sourcelist "$work/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferences "$work/preferences";
		Dir::Etc::preferencesparts "/dev/null";
		Dir::State::lists "$work/lists";
		Dir::State::status "$work/status";
		Dir::Cache "$work/apt";
		APT::Architecture "amd64";
		APT::Architectures "amd64";
		APT::Sandbox::User "root";
		Acquire::AllowInsecureRepositories "true";
		Acquire::Languages "none";
	END
}

# Its lists are of now.
has_read() {
	apt-get -qq update 2>"$work/said" || complain "apt-get update: $(<"$work/said")"
}

# gets WORDS [KERNEL]: so ends the choice, with a release or an error.
gets() {
	local said

	# shellcheck disable=SC2016 # the script's own
	said=$(KERNEL=${2:-} bash -c 'source selftests/vm/packages.sh
		choose_kernel
		echo "$release $(package_field "linux-headers-$release" Version)"' 2>&1) || true
	[[ ${said##*$'\n'} == *"$1"* ]] ||
		complain "$(sed 's/.* \(.*\) main/\1/' "$work/sources.list" | tr '\n' ' '):" \
			"KERNEL=${2:-} is not $1, but: ${said:-nothing}"
}

# The PATH of a user.
# shellcheck disable=SC2016 # the script's own
PATH=/usr/bin:/bin bash -c 'source selftests/vm/common.sh
	type -P depmod modprobe mke2fs mkfs.xfs' >/dev/null || complain "who is not root has no depmod"
# shellcheck disable=SC2016 # the script's own
said=$(env -u HOME -u ZCOPY_CACHE -u XDG_CACHE_HOME bash -c 'source selftests/vm/common.sh' 2>&1) &&
	complain "there is a cache folder without HOME"
[[ $said == *ZCOPY_CACHE=* ]] || complain "without HOME it says: $said"

suite bookworm linux-image-amd64 6.1.192-1 linux-image-6.1.0-40-amd64
suite bookworm-security \
	linux-image-6.12-amd64 6.12.117-1~deb12u1 linux-image-6.12.117+deb12-amd64 \
	linux-headers-6.12.117+deb12-amd64 6.12.117-1~deb12u1 linux-kbuild-6.12.117+deb12
suite trixie-updates
suite trixie-security
suite trixie linux-image-amd64 6.12.118-1 linux-image-6.12.118+deb13-amd64 \
	linux-headers-6.12.118+deb13-amd64 6.12.118-1 linux-kbuild-6.12.118+deb13
suite trixie-backports \
	linux-image-amd64 7.3.4-1~bpo13+1 linux-image-7.3.4+deb13-amd64 \
	linux-headers-7.3.4+deb13-amd64 7.3.4-1~bpo13+1 linux-kbuild-7.3.4+deb13

host trixie
has_read
gets 6.12.118+deb13-amd64
# The kernel of backports is installed, and goes before its own.
host trixie trixie-backports
has_read
cat >"$work/status" <<-END
	Package: linux-image-amd64
	Status: install ok installed
	Architecture: amd64
	Version: 7.3.4-1~bpo13+1
END
gets 6.12.118+deb13-amd64
# These lists are read first.
host bookworm bookworm-security
gets 6.12.117+deb12-amd64
# Nor is it known yet where it has its packages from.
host bookworm bookworm-security
gets 7.3.4+deb13-amd64 7.3
# What the host prefers is said of its own suite.
printf 'Package: *\nPin: release n=trixie*\nPin-Priority: -1\n' >"$work/preferences"
echo 'APT::Default-Release "bookworm";' >>"$APT_CONFIG"
gets '7.3.4+deb13-amd64 7.3.4-1~bpo13+1' 7.3
gets 7.3.4+deb13-amd64 newest

# The archive has a newer one than the lists, and the older one no longer.
host trixie
has_read
mkdir -p "$work/vm/vm"
cp selftests/vm/{common,packages}.sh "$work/vm/vm/"
cat >"$work/vm/vm/fetch.sh" <<-'END'
	#!/bin/bash
	source "$(dirname "$0")/packages.sh"
	choose_kernel
	exec {lock}>"$cache_dir/lock"
	flock --timeout 0 "$lock" || die "it waits for itself"
	[[ $release == "$WANTED" ]] || begin_again "apt could not fetch $release"
	echo "$release"
END
chmod +x "$work/vm/vm/fetch.sh"
# fetches RELEASE WORDS: so ends the script that can fetch this one.
fetches() {
	said=$(WANTED=$1 "$work/vm/vm/fetch.sh" 2>&1) || true
	[[ $said == *"$2" ]] || complain "of a version that is gone it says: $said"
}
suite trixie linux-image-amd64 6.12.119-1 linux-image-6.12.119+deb13-amd64
fetches 6.12.119+deb13-amd64 $'\n6.12.119+deb13-amd64'
ZCOPY_AGAIN=yes fetches none 'error: apt could not fetch 6.12.119+deb13-amd64'

# Static checks are made with 6.12, even where the host's own suite has newer ones.
cat >"$work/bin/make" <<-'END'
	#!/bin/sh
	case $* in
	*' list'*) echo call/kernels ;;
	*style) echo style >&2 ;;
	esac
END
mkdir -p "$work/kernel"
cp selftests/vm/check.sh "$work/vm/vm/"
printf '#!/bin/sh\n' >"$work/vm/vm/run.sh"
chmod +x "$work/bin/make" "$work/vm/vm/run.sh"
checks() {
	echo "$1" >"$work/kernel/release"
	"$work/vm/vm/check.sh" "$work/kernel" "$work" 2>&1 | grep -cx 'ok - style'
}
[[ $(checks 6.12.118+deb13-amd64) == 1 ]] || complain "the host's own 6.12 checks no style"
[[ $(checks 7.3.4+deb13-amd64) == 0 ]] || complain "the host's own 7.3 checks style"

cat >"$work/vm/vm/kernel.sh" <<-'END'
	#!/bin/sh
	echo "the kernel${KERNEL:+ of KERNEL=$KERNEL}"
END
chmod +x "$work/vm/vm/kernel.sh"
rm "$work/bin/make"
said=$(make -n MAKE=echo vm="$work/vm/vm" style KERNEL=7.3)
[[ $said == *'vm_kernel=the kernel '* && $said != *=7.3* ]] ||
	complain "make style KERNEL=7.3 has another kernel: $said"

exit "$failed"
