#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: compat.sh KERNEL OBJECTS
#
# Compiles main.c for the unpacked kernel in folder KERNEL as it was compiled into the
# folder OBJECTS, but as if the kernel were another one. Newer than all that the tests
# were run with, it builds, and one line says so; older than the least, or without what
# the module needs, it does not, and one error says why. The numbers are those that
# module/compat.h says.

# shellcheck source=selftests/style/work.sh
source "$(dirname "$0")/work.sh"
kernel=$1 objects=$2

mkdir "$work/linux"
cat >"$work/linux/version.h" <<-'END'
	#undef LINUX_VERSION_CODE
	#include_next <linux/version.h>
	#undef LINUX_VERSION_CODE
	#define LINUX_VERSION_CODE VERSION
END

# Objtool comes behind the compiler, which leaves nothing here.
# shellcheck disable=SC2016 # the folder is known when it is run
command=$(sed -nE 's/^savedcmd_[^ ]*main\.o := +([^ ]+) -Wp,-MMD,[^ ]* ([^;]*).*/\1 -I$work \2/p' \
	"$objects/.main.o.cmd")
[[ -n $command ]] || {
	complain "it is not known how main.c was compiled"
	exit 1
}

# compile RELEASE OPTION...: sets status, and said, a message a line, without what
# includes what.
compile() {
	set -- "-DVERSION=KERNEL_VERSION(${1//./,})" "${@:2}"
	status=0
	(cd "$kernel/build" && eval "$command" -fsyntax-only -fno-diagnostics-show-caret \
		'"$@"') >"$work/said" 2>&1 || status=$?
	said=$(grep -vE '^(In file included| +) from ' "$work/said" || true)
}

# refused TEXT RELEASE OPTION...
refused() {
	local text=$1

	shift
	compile "$@"
	[[ $status -ne 0 && $(wc -l <<<"$said") -eq 1 &&
		$said == *" error: #error \"$text"* ]] ||
		complain "$*: not '$text' is all that is said, but: $said"
}

# taken RELEASE: without a word.
taken() {
	compile "$1"
	[[ $status -eq 0 && -z $said ]] || complain "$1: it does not build quietly: $said"
}

lacks=$(sed -nE 's/^#error "(zcopy needs Linux [0-9].*)"$/\1/p' module/compat.h)
mapfile -t least < <(grep -oE '[0-9]+\.[0-9]+\.[0-9]+' <<<"$lacks")
[[ ${#least[@]} -gt 0 ]] || complain "compat.h does not say which kernels it needs"
for release in "${least[@]}"; do
	taken "$release"
	refused "$lacks" "${release%.*}.$((${release##*.} - 1))"
done
echo '#undef CONFIG_VHOST_TASK' >"$work/lacking.h"
refused 'zcopy needs a kernel with CONFIG_VHOST_TASK' "${least[0]}" -include "$work/lacking.h"

newest=$(sed -nE 's/^#pragma message\("zcopy was tested with Linux .* to ([0-9]+\.[0-9]+); .*/\1/p' \
	module/compat.h)
if [[ -n $newest ]]; then
	taken "$newest.255"
	compile "${newest%.*}.$((${newest##*.} + 1)).0"
	[[ $status -eq 0 && $(wc -l <<<"$said") -eq 1 &&
		$said == *"to $newest; this one is newer"* ]] ||
		complain "above $newest: not that it is newer is said, but: $said"
else
	complain "compat.h does not say which kernels the module was tested with"
fi

exit "$failed"
