#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Fails when what is said for packagers and shells is not what the sources say:
# the module's version, the least kernel, the library's symbols, the command's
# options. And looks what make says to who has no kernel headers.
set -euo pipefail
export LC_ALL=C

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

# Every release is asked of the macro of compat.h, and of the expression of DKMS.
program=$(mktemp)
trap 'rm -f "$program"' EXIT
{
	echo '#define KERNEL_VERSION(a, b, c) ((a) << 16 | (b) << 8 | (c))'
	sed -n '/^#define ZCOPY_KERNEL_LACKS(/,/[^\\]$/p' module/compat.h
	cat <<-'END'
		#include <stdio.h>
		int main(void)
		{
			int a, b, c;

			for (a = 4; a <= 12; a++)
				for (b = 0; b <= 21; b++)
					for (c = 0; c <= 255; c++)
						printf("%d %d.%d.%d-1-amd64\n",
						       !ZCOPY_KERNEL_LACKS(KERNEL_VERSION(a, b, c)),
						       a, b, c);
		}
	END
} | cc -w -x c -o "$program" -
diff <("$program" | sed -n 's/^1 //p') \
	<("$program" | sed 's/^. //' | grep -E "$BUILD_EXCLUSIVE_KERNEL") >/dev/null ||
	complain "dkms.conf: other kernels than module/compat.h takes"

# advice WORDS LINE: so make advises who has no headers, with this in os-release.
advice() {
	local said

	said=$(packaging/headers.sh /dev/null 6.12.200 <(echo "$2"))
	[[ $said == *": $1" || $said == *": $1 ("*')' ]] || complain "headers.sh: with $2 it says $said"
}
advice 'apt-get install linux-headers-6.12.200' 'ID=debian'
advice 'apt-get install linux-headers-6.12.200' $'ID=ubuntu\nID_LIKE=debian'
advice 'dnf install kernel-devel-6.12.200' 'ID="rocky" ID_LIKE="rhel centos fedora"'
advice 'pacman -S linux-headers' 'ID=arch'
advice "install your distribution's package of the headers of kernel 6.12.200" 'ID=void'

said=$(packaging/headers.sh /dev/null 6.1.0-40-amd64 <(echo 'ID=debian'))
[[ $said == *'6.1.0-40-amd64, would not do: zcopy needs Linux 6.12.'*' or newer' ]] ||
	complain "headers.sh: of a kernel that is too old it says $said"

said=$(packaging/headers.sh /dev/null 6.1.0-40-amd64 <(printf 'ID=debian\nVERSION_ID="12"\n'))
[[ $said == *' or newer, which Debian 12 has: apt-get install linux-image-6.12-amd64 '* ]] ||
	complain "headers.sh: of Debian 12's own kernel it says $said"

# With headers, what is missing in the kernel.
headers=$(mktemp -d)
trap 'rm -rf "$program" "$headers"' EXIT
mkdir -p "$headers/include/config"
about() {
	packaging/headers.sh "$headers" 6.12.200
}
echo 6.12.200 >"$headers/include/config/kernel.release"
[[ $(about) == *'has no CONFIG_VHOST_TASK'* ]] || complain "headers.sh: $(about)"
echo CONFIG_VHOST_TASK=y >"$headers/include/config/auto.conf"
echo 0 >"$headers/Module.symvers"
[[ $(about) == *'does not export task_work_add()'* ]] || complain "headers.sh: $(about)"
printf '0x00000000\ttask_work_add\tvmlinux\tEXPORT_SYMBOL_GPL\t\n' >"$headers/Module.symvers"
[[ -z $(about) ]] || complain "headers.sh: $(about)"

# Of a kernel that is too old make says so, in a line, before it compiles.
echo 6.12.100 >"$headers/include/config/kernel.release"
said=$(env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u KERNEL -u vm_kernel \
	make modules KDIR="$headers" 2>&1) && complain "make takes headers of 6.12.100"
[[ $(wc -l <<<"$said") -eq 1 &&
	$said == *"the headers in $headers are of 6.12.100, and zcopy needs Linux 6.12."* ]] ||
	complain "make: of headers of 6.12.100 it says $said"

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
