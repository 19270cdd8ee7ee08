# SPDX-License-Identifier: GPL-2.0-only
#
# Passes the TAP of one test program on as a subtest, and writes what it adds
# up to into the file named by the variable "counts": passed, failed, skipped.
# A program that stops before its plan is done has failed; a point that is
# skipped without a reason has failed.

function complain(text)
{
	failed++
	printf "    not ok - %s\n", text
}

{
	printf "    %s\n", $0
	fflush()
}

/^1\.\.[0-9]+/ {
	planned = 1
	plan = substr($1, 4) + 0
	if (plan == 0 && match($0, /# SKIP ./))
		skipped++
	else if (plan == 0)
		complain("the plan is empty and gives no reason")
}

/^not ok / {
	points++
	failed++
}

/^ok / {
	points++
	if (!match($0, /# (SKIP|XFAIL)/)) {
		passed++
	} else {
		reason = substr($0, RSTART + RLENGTH)
		gsub(/^[ \t]+|[ \t]+$/, "", reason)
		if (reason == "" || reason == "unknown")
			complain("the point above was skipped without a reason")
		else
			skipped++
	}
}

END {
	if (!planned)
		complain("it printed no plan")
	else if (points + 0 != plan)
		complain("it planned " plan " points and came to " points + 0)
	printf "%d %d %d\n", passed, failed, skipped >counts
}
