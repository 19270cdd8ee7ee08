#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Fails when deps.sh does not wait for another apt that is at work, or waits for what
# will not change. No package is asked for: apt and dpkg are stand-ins, of a host that
# has nothing.

# shellcheck source=selftests/style/work.sh
source "$(dirname "$0")/work.sh"

# tool NAME: its body is on standard input.
tool() {
	{ echo '#!/bin/sh'; cat; } >"$work/$1"
	chmod +x "$work/$1"
}

# It fails as often as it was told, with the word that it was told, and writes what it
# was asked.
tool apt-get <<-'END'
	while [ "$1" != "${1#-}" ]; do shift; done
	echo "$1" >>"$WORK/asked"
	[ "$(wc -l <"$WORK/asked")" -gt "$TIMES" ] || { echo "E: $WORD" >&2; exit 100; }
END
tool apt-cache <<<'echo Depends: linux-image-6.12.200-amd64'
tool dpkg <<<'echo amd64'
tool dpkg-query <<<'exit 1'
# shellcheck disable=SC2016 # the tool's own
tool sudo <<<'exec "$@"'
tool sleep </dev/null

# deps TIMES WORD: sets status, said, and asked, what apt-get was asked.
deps() {
	: >"$work/asked"
	status=0
	said=$(env -u KERNEL WORK="$work" TIMES="$1" WORD="$2" PATH="$work:$PATH" \
		ZCOPY_CACHE="$work/cache" selftests/vm/deps.sh 2>&1) || status=$?
	asked=$(tr '\n' ' ' <"$work/asked")
}

lock='Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (apt-get)'
deps 2 "$lock"
[[ $status -eq 0 && $asked == 'install install install ' ]] ||
	complain "a lock that is held twice: $asked, and $said"
[[ $(grep -c 'another apt is at work' <<<"$said") -eq 1 ]] ||
	complain "a lock that is held twice: not said once, but: $said"

# It may be that the lists are old, but then nothing is left to wait for.
deps 99 'No space left on device'
[[ $status -ne 0 && $asked == 'install update ' && $said == *'E: No space left on device'* &&
	$said != *'at work'* ]] ||
	complain "an error that stays: $asked, and $said"

exit "$failed"
