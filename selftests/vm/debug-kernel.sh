#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds the debug kernel from the source package that belongs to the kernel of
# "make check", configured by debug.config, and prints its folder in the cache,
# which is laid out like kernel.sh's. Done once a version, configuration and
# compiler. A build that was broken off goes on where it stood.

# shellcheck source=selftests/vm/packages.sh
source "$(dirname "$0")/packages.sh"

# Those of a make above this one are not meant for the kernel.
unset MAKEFLAGS MFLAGS MAKELEVEL

fragment=$vm_dir/debug.config
options=$(grep -E '^(# )?CONFIG_' "$fragment")
state=$({ printf '%s\n' "$options"; gcc --version; } | sha256sum | cut -c1-16)
choose_kernel
[[ -z $suite ]] || die "the debug kernel is built from this host's own suite only," \
	"which has no kernel $KERNEL"
headers=linux-headers-$release
version=$(package_field "$headers" Version)
series=$(cut -d. -f1,2 <<<"${headers#linux-headers-}")
target=$cache_dir/kernel/debug_${version#*:}_$state
work=$target.part

if [[ -d $target ]]; then
	touch "$target" || true	# kernel.sh removes those that nobody asks for
	printf '%s\n' "$target"
	exit 0
fi

mkdir -p "$cache_dir/kernel"
exec {lock}>"$cache_dir/kernel/debug.lock"
flock "$lock"
if [[ -d $target ]]; then
	printf '%s\n' "$target"
	exit 0
fi

# The lock is ours: builds that broke off, of other versions, are nobody's.
unpack() {
	rm -rf "$cache_dir"/kernel/debug_*.part
	mkdir -p "$work/new"
	say "debug kernel: fetching its source (about 140 MB, once)"
	# As root apt would want to fetch as another user, who cannot write here.
	(cd "$work" && apt-get download -o APT::Sandbox::User=root \
		"linux-source-$series=$version" >&2) ||
		begin_again "apt could not fetch linux-source-$series, version $version"
	dpkg-deb --fsys-tarfile "$work"/linux-source-*.deb |
		tar -xO "./usr/src/linux-source-$series.tar.xz" |
		tar -xJ -C "$work/new" --strip-components=1
	rm "$work"/linux-source-*.deb
	mv "$work/new" "$work/linux"
}

# What kconfig drops, it drops without a word: an option it does not know, or
# one that lacks what it depends on.
configure() {
	local line lost=()

	(cd "$work/linux" && scripts/kconfig/merge_config.sh -n "$fragment") \
		>"$work/log" 2>&1 || return
	while read -r line; do
		case $line in
		*' is not set')
			line=${line#\# }
			! grep -q "^${line%% *}=" "$work/linux/.config" ||
				lost+=("${line%% *}=n")
			;;
		*)
			grep -qxF "$line" "$work/linux/.config" || lost+=("$line")
			;;
		esac
	done <<<"$options"
	[[ ${#lost[@]} -eq 0 ]] || die "the kernel did not take ${lost[*]}"
}

build() {
	say "debug kernel: building (13 minutes on two processors, once);" \
		"log: $work/log"
	configure || return
	make -C "$work/linux" -j"$(nproc)" vmlinux modules 2>&1 |
		tee -a "$work/log" |
		awk 'NR % 400 == 0 { print "debug kernel: " NR " steps done" }' >&2
}

# Else a build that is broken off would look like one that failed.
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# A crash of the host may leave files in pieces, which only a new start heals.
if [[ ! -d $work/linux ]] || ! build; then
	unpack
	build || die "the debug kernel did not build: $(tail -n 20 "$work/log")"
fi

result=$work/result
rm -rf "$result"
mkdir -p "$result/source/tools/testing/selftests"
cd "$work/linux"
make -s INSTALL_MOD_PATH="$result" modules_install >&2
rm -f "$result"/lib/modules/*/build
# Also with make's words, as it wants the variables of a build.
make -s run-command \
	KBUILD_RUN_COMMAND="scripts/package/install-extmod-build $result/build" >&2
cp -r scripts "$result/source/"
(cd tools/testing/selftests && cp -r lib.mk kselftest kselftest.h \
	kselftest_harness.h "$result/source/tools/testing/selftests/")
cp .config "$result/config"
cp include/config/kernel.release "$result/release"
strip --strip-all -o "$result/vmlinuz" vmlinux

cd /
mv "$result" "$target"
rm -rf "$work"
printf '%s\n' "$target"
