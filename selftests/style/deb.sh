#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Fails when packages that are made of one commit are not newer for apt than those
# made before it, or, before the release, than the release. They are built of straw.

# shellcheck source=selftests/style/work.sh
source "$(dirname "$0")/work.sh"

mkdir -p "$work"/{bin,tree/packaging,tree/debian}
cp packaging/deb.sh "$work/tree/packaging/"
cd "$work/tree"
printf '#!/bin/sh\necho installed\n' >"$work/bin/dpkg-query"
printf '#!/bin/sh\necho 0.1.0\n' >"$work/bin/dpkg-parsechangelog"
printf '#!/bin/sh\ncp debian/changelog ../version.deb\n' >"$work/bin/dpkg-buildpackage"
printf '#!/bin/sh\n' >"$work/bin/lintian"
chmod +x "$work"/bin/*
unset "${!GIT_@}"
export PATH=$work/bin:$PATH GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a \
	GIT_COMMITTER_EMAIL=a GIT_CONFIG_GLOBAL=/dev/null
echo 'zcopy (0.1.0)' >debian/changelog

time=1700000000
commit() {
	time=$((time + 1))
	git add .
	GIT_COMMITTER_DATE="@$time +0000" git commit -q --allow-empty -m "$time"
}

make_deb() {
	packaging/deb.sh "$work/deb" >"$work/said" 2>&1 || complain "$(<"$work/said")"
	made=$(sed -n 's/.*(\(.*\))/\1/p' "$work/deb/version.deb")
}

# newer VERSION: what is made now is.
newer() {
	make_deb
	dpkg --compare-versions "$made" gt "$1" || complain "$made is not newer than $1"
}

git init -q
commit
make_deb
first=$made
dpkg --compare-versions "$first" lt 0.1.0 || complain "$first is newer than 0.1.0 to come"
least=$(sed -n 's/^ LIBZCOPY_0.1@LIBZCOPY_0.1 //p' "$OLDPWD/debian/libzcopy0.symbols")
dpkg --compare-versions "$first" ge "$least" ||
	complain "libzcopy0 $first is too old for programs that want $least"
commit
newer "$first"
touch changed
second=$made
newer "$second"
git tag v0.1.0
rm changed
make_deb
[[ $made == 0.1.0 ]] || complain "the release is $made"
commit
newer 0.1.0

exit "$failed"
