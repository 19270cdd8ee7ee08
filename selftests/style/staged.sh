#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: staged.sh KERNEL
#
# Installs what was built for the unpacked kernel in folder KERNEL, and for the host's
# users, below a folder of its own, and takes it away again. Fails when something is
# missing or left, when the module has its debug information or not the signature that
# was asked for, and when make says more than it should.

# shellcheck source=selftests/style/work.sh
source "$(dirname "$0")/work.sh"
kernel=$1

# Those of the make above are not meant for this one.
unset MAKEFLAGS MFLAGS MAKELEVEL V KERNEL
stage=$work/stage release=$(<"$kernel/release")
module=$stage/lib/modules/$release/updates/zcopy.ko
built=build/$release/module/zcopy.ko

# staged WORDS VERB...: make does it, and all that it says are lines of these words.
staged() {
	local words=$1

	shift
	(umask 077; make --no-print-directory KDIR="$kernel/build" DESTDIR="$stage" "$@") \
		>"$work/said" 2>&1 || complain "make $*: $(<"$work/said")"
	! grep -vE "^  ($words) +$stage/[^ ]+( [a-z ]+)?$" "$work/said" >&2 ||
		complain "make $*: it says that, too"
	[[ $(wc -l <"$work/said") -le 10 ]] ||
		complain "make $*: it has $(wc -l <"$work/said") lines to say"
}

debug_sections() {
	readelf -SW "$1" | grep -c ' \.\(rela\.\)\?debug_' || true
}

# What there has to be, without the manuals' links.
wanted() {
	local page

	printf '%s\n' "lib/modules/$release/updates/zcopy.ko"
	printf 'usr/local/%s\n' bin/zcopy include/linux/zcopy.h lib/libzcopy-preload.so \
		lib/libzcopy.{a,so,so.0} lib/modules-load.d/zcopy.conf lib/pkgconfig/libzcopy.pc \
		share/bash-completion/completions/zcopy
	(cd userlib/include && printf 'usr/local/include/%s\n' zcopy/*.h)
	for page in Documentation/man/*; do
		printf 'usr/local/share/man/man%s/%s\n' "${page##*.}" "${page##*/}"
	done
}

staged INSTALL install
diff <(wanted | sort) <(cd "$stage" && find . ! -type d ! \( -type l -name 'zcopy_*.3' \) |
	sed 's|^\./||' | sort) >&2 || complain "install: others (>) than those (<) are there"
[[ -z $(find "$stage" -xtype l) ]] ||
	complain "install: these lead nowhere: $(find "$stage" -xtype l)"
[[ -z $(find "$stage" ! -type l ! -perm -o=r) ]] ||
	complain "install: not everybody may read $(find "$stage" ! -type l ! -perm -o=r)"
[[ $(debug_sections "$built") -gt 0 ]] || complain "$built has no debug information"
[[ $(debug_sections "$module") -eq 0 ]] || complain "install: the module has debug information"
[[ $(modinfo -F vermagic "$module") == "$release "* ]] ||
	complain "install: the module is none of $release"
LD_LIBRARY_PATH='' "$stage/usr/local/bin/zcopy" --version >"$work/said" ||
	complain "install: the command does not run: $(<"$work/said")"

# Of another suite's kernel the program that signs may not run here.
if [[ ! -e $kernel/root ]]; then
	cp "$module" "$work/unsigned.ko"
	openssl req -new -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=somebody/" \
		-keyout "$work/mok.key" -outform DER -out "$work/mok.pub" 2>/dev/null
	staged 'INSTALL|SIGN' install SIGN_KEY="$work/mok.key" SIGN_CERT="$work/mok.pub"
	[[ $(modinfo -F signer "$module") == somebody &&
		$(tail -c 28 "$module") == '~Module signature appended~' ]] ||
		complain "install: the module is not signed as it was asked"
	cmp -n "$(stat -c %s "$work/unsigned.ko")" "$work/unsigned.ko" "$module" >&2 ||
		complain "install: what was signed is another module"
fi

staged REMOVE uninstall
[[ -z $(find "$stage" ! -type d) ]] ||
	complain "uninstall: it leaves $(find "$stage" ! -type d | tr '\n' ' ')"

exit "$failed"
