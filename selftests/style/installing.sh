#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Fails when the Makefile installs the module, signs it, takes it away, or finds its
# folders in another way than it says. All of it is staged, with the headers of a
# kernel that there is not; the library's part is its own Makefile's.

# shellcheck source=selftests/style/work.sh
source "$(dirname "$0")/work.sh"

# Those of the make above are not meant for this one; nor is it to ask apt which
# kernel there is.
unset MAKEFLAGS MFLAGS MAKELEVEL V KERNEL ZCOPY_CACHE vm_kernel

headers=$work/lib/build stage=$work/stage modules=$work/stage/lib/modules
module=$modules/6.12.200/updates/zcopy.ko
mkdir -p "$headers"/{include/config,scripts} "$work"/{objects/module,user,root,vm}
echo 6.12.200 >"$headers/include/config/kernel.release"
echo CONFIG_VHOST_TASK=y >"$headers/include/config/auto.conf"
echo task_work_add >"$headers/Module.symvers"
cat >"$headers/scripts/sign-file" <<-'END'
	#!/bin/sh
	[ "$1 $4" = "sha256 $EXPECTED.new" ] && [ "$2" != wrong ] || exit 1
	echo "signed with $2 and $3" >>"$4"
END
cat >"$work/vm/kernel.sh" <<-'END'
	#!/bin/sh
	echo "$ZCOPY_CACHE/kernel"
END
chmod +x "$headers/scripts/sign-file" "$work/vm/kernel.sh"
echo module >"$work/objects/module/zcopy.ko"
: >"$work/user/zcopy"

staged() {
	EXPECTED=$module make -s --no-print-directory MAKE=true STRIP=true \
		KDIR="$headers" objects="$work/objects" user="$work/user" \
		DESTDIR="$stage" "$@" >"$work/said" 2>&1
}

# signed KEY CERT: both reach sign-file as they are.
signed() {
	staged install SIGN_KEY="$1" SIGN_CERT="$2" ||
		complain "SIGN_KEY='$1': $(<"$work/said")"
	[[ $(<"$module") == $'module\n'"signed with $1 and $2" ]] ||
		complain "SIGN_KEY='$1': the module is signed otherwise"
}

(umask 077; staged install) || complain "install: $(<"$work/said")"
[[ $(stat -c %a "$module" "$(dirname "$module")" | tr '\n' ' ') == '644 755 ' ]] ||
	complain "install: not everybody may read what root has installed"
signed /root/mok.key /root/mok.pub
signed '/root/my keys/mok.key' '/root/my keys/mok.pub'
signed 'pkcs11:token=mok;object=key' mok.pub

# Nothing but what was asked for takes the place of the module.
for half in SIGN_KEY=mok.key SIGN_CERT=mok.pub; do
	! staged install "$half" || complain "$half alone is taken"
done
! staged install SIGN_KEY=wrong SIGN_CERT=mok.pub || complain "sign-file's failure is none"
[[ $(<"$module") == *'signed with pkcs11'* && ! -e $module.new ]] ||
	complain "what could not be signed was installed, or has left something"

# A kernel that is gone has left the folder to the module; one may have no other module.
mkdir -p "$modules"/{6.12.112/updates,6.12.113/updates,6.12.200/kernel}
cp "$module" "$modules/6.12.112/updates/"
cp "$module" "$modules/6.12.113/updates/"
touch "$modules/6.12.112/modules.dep" "$modules/6.12.113/modules.order" \
	"$modules/6.12.200"/{modules.dep,kernel/ext4.ko.xz}
staged uninstall || complain "uninstall: $(<"$work/said")"
[[ $(cd "$modules" && find . -type f | sort | tr '\n' ' ') == \
	'./6.12.113/modules.order ./6.12.200/kernel/ext4.ko.xz ./6.12.200/modules.dep ' && ! -e $modules/6.12.112 ]] ||
	complain "uninstall: it leaves $(cd "$modules" && find . | tr '\n' ' ')"

# A folder named root beside the headers is a root tree in the cache alone.
build() {
	make -n --no-print-directory MAKE=true modules KDIR="$1" objects="$work/objects"
}
mv "$headers" "$work/linux"
[[ $(build "$work/linux") != *inside.sh* ]] || complain "$work/root is taken for a root tree"
[[ $(build "$work/linux") != *LLVM* ]] || complain "clang is to build for gcc's kernel"
echo CONFIG_CC_IS_CLANG=y >>"$work/linux/include/config/auto.conf"
[[ $(build "$work/linux") == *' LLVM=1 '* ]] || complain "gcc is to build for clang's kernel"

said=$(make -n --no-print-directory style-checkpatch-module vm="$work/vm" ZCOPY_CACHE=some/where)
[[ $said == *" $PWD/some/where/style "*" $PWD/some/where/kernel/source/scripts/"* ]] ||
	complain "ZCOPY_CACHE is another one where the kernel is looked for"

exit "$failed"
