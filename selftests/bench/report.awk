# SPDX-License-Identifier: GPL-2.0-only
#
# The report of run.sh, from lines of what was measured:
#
#   count RUN METHOD UNITS USER KERNEL MOVED FILLED
#   latency RUN METHOD alone|beside-cold|beside-hung RESPONSES MEDIAN P99 MAX COLD-KIB
#   busy METHOD MIB
#   release KIB TRANSFERS MEDIAN P90 P99 MAX
#   cold METHOD MILLISECONDS THREADS REQUESTS
#
# A number in the report is the median of the repeats. Its spread is half the
# distance between the largest and the smallest, in percent of the median.

function add(key, value) {
	values[key, count[key]++] = value
}

function sort_values(key,    i, j, v) {
	for (i = 1; i < count[key]; i++) {
		v = values[key, i]
		for (j = i; j > 0 && values[key, j - 1] > v; j--)
			values[key, j] = values[key, j - 1]
		values[key, j] = v
	}
}

function median(key,    n) {
	n = count[key]
	sort_values(key)
	return (values[key, int((n - 1) / 2)] + values[key, int(n / 2)]) / 2
}

function spread(key,    m) {
	m = median(key)
	return m ? 50 * (values[key, count[key] - 1] - values[key, 0]) / m : 0
}

# The order in which things came first.
function remember(list, name) {
	if (!((list, name) in seen)) {
		seen[list, name] = 1
		names[list, size[list]++] = name
	}
}

$1 == "count" {
	remember("counts", $2)
	remember($2, $3)
	key = $2 SUBSEP $3
	add(key SUBSEP "user", $5 / $4)
	add(key SUBSEP "kernel", $6 / $4)
	add(key SUBSEP "moved", $7 / $4)
	add(key SUBSEP "filled", $8 / $4)
}

$1 == "latency" {
	remember("latencies", $2)
	remember($2, $3 " " $4)
	key = $2 SUBSEP $3 " " $4
	add(key SUBSEP "responses", $5)
	add(key SUBSEP "median", $6)
	add(key SUBSEP "p99", $7)
	add(key SUBSEP "max", $8)
	add(key SUBSEP "cold", $9)
}

$1 == "cold" {
	if (!colds++)
		colds_text = "\ncold: all files, read from a disk and sent\n"
	colds_text = colds_text sprintf("  %-28s %10d ms, %d threads, %d requests under way\n",
		$2, $3, $4, $5)
	add("cold" SUBSEP $2 SUBSEP "ms", $3)
}

$1 == "busy" {
	remember("busy", $2)
	add("busy" SUBSEP $2 SUBSEP "mib", $3)
}

$1 == "release" {
	if (!releases++)
		releases_text = sprintf("\nrelease: microseconds from the last ACK\n" \
			"  %-28s %10s %10s %10s %10s\n", "transfer", "median",
			"p90", "p99", "longest")
	releases_text = releases_text sprintf("  %-28s %10d %10d %10d %10d\n",
		$2 " KiB, " $3 " times", $4, $5, $6, $7)
}

function print_counts(run, unit, scale, divisor, instructions,    i, key) {
	printf "\n%s: %s of the server, by %s\n", run, instructions, unit
	printf "  %-28s %10s %7s %10s %12s %12s\n", "method", "kernel",
		"spread", "user", "KiB copied", "KiB cleared"
	for (i = 0; i < size[run]; i++) {
		key = run SUBSEP names[run, i]
		printf "  %-28s %10.1f %6.1f%% %10.1f %12.1f %12.1f\n",
			names[run, i],
			median(key SUBSEP "kernel") * scale / divisor,
			spread(key SUBSEP "kernel"),
			median(key SUBSEP "user") * scale / divisor,
			median(key SUBSEP "moved") * scale / 1024,
			median(key SUBSEP "filled") * scale / 1024
	}
}

function print_latencies(run,    i, key) {
	printf "\n%s: milliseconds from request to the end of the response\n", run
	printf "  %-28s %10s %10s %7s %10s %10s %9s\n", "method", "median", "p99",
		"spread", "longest", "responses", "cold MiB"
	for (i = 0; i < size[run]; i++) {
		key = run SUBSEP names[run, i]
		printf "  %-28s %10.2f %10.2f %6.1f%% %10.2f %10d %9.1f\n",
			names[run, i], median(key SUBSEP "median") / 1000,
			median(key SUBSEP "p99") / 1000, spread(key SUBSEP "p99"),
			median(key SUBSEP "max") / 1000,
			median(key SUBSEP "responses"),
			median(key SUBSEP "cold") / 1024
	}
}

function print_busy(    i, key) {
	print "\nbusy: MiB a second of two threads"
	printf "  %-28s %10s %7s\n", "method", "MiB/s", "spread"
	for (i = 0; i < size["busy"]; i++) {
		key = "busy" SUBSEP names["busy", i] SUBSEP "mib"
		printf "  %-28s %10.1f %6.1f%%\n", names["busy", i], median(key),
			spread(key)
	}
}

# ratio NAME MEASURED TARGET OK|MISS, of column's medians in one run.
function ratio(run, column, over, under, relation, target,    a, b, value, met) {
	a = run SUBSEP over SUBSEP column
	b = run SUBSEP under SUBSEP column
	if (!(a in count) || !(b in count))
		return
	value = median(a) / median(b)
	if (relation == "<=")
		met = value <= target
	else
		met = value >= target
	gsub(" ", "-", over)
	gsub(" ", "-", under)
	printf "ratio %s:%s/%s %.3f %s%s %s\n", run, over, under, value, relation,
		target, met ? "OK" : "MISS"
}

END {
	for (i = 0; i < size["counts"]; i++) {
		run = names["counts", i]
		if (run ~ /^large/)
			print_counts(run, "GiB", 16384, 1e6, "million instructions")
		else if (run ~ /^small/)
			print_counts(run, "response", 1, 1e3, "thousand instructions")
		else
			print_counts(run, "transfer", 1, 1e3, "thousand instructions")
	}
	for (i = 0; i < size["latencies"]; i++)
		print_latencies(names["latencies", i])
	if (size["busy"])
		print_busy()
	printf "%s%s", colds_text, releases_text

	print ""
	ratio("large-vmxnet3-xfs", "kernel", "zcopy", "sendfile", "<=", 0.60)
	ratio("large-vmxnet3-ext4", "kernel", "zcopy", "sendfile", "<=", 0.80)
	ratio("large-e1000e-xfs", "kernel", "zcopy", "sendfile", "<=", 0.65)
	ratio("large-e1000e-ext4", "kernel", "zcopy", "sendfile", "<=", 0.85)
	for (i = 0; i < size["counts"]; i++)
		if (names["counts", i] ~ /^large/)
			ratio(names["counts", i], "kernel", "zcopy-overlay",
			      "zcopy", "<=", 1.03)
	more = "send(MSG_MORE)+sendfile"
	ratio("small-16-vmxnet3-xfs", "kernel", "zcopy-submit-16", more, "<=", 0.85)
	ratio("small-16-vmxnet3-xfs", "kernel", "zcopy-submit-16",
	      "cork+write+sendfile+uncork", "<=", 0.75)
	ratio("small-16-vmxnet3-xfs", "kernel", "zcopy-send", "zcopy-send-untracked",
	      "<=", 1.00)
	ratio("small-64-vmxnet3-xfs", "kernel", "zcopy-submit-16", more, "<=", 0.68)
	for (i = 0; i < size["concurrent"]; i++)
		if (!i)
			few = names["concurrent", i]
		else
			ratio("concurrent", "kernel", names["concurrent", i], few,
			      "<=", 1.15)
	ratio("cancel", "kernel", "user_data-of-16384", "user_data-of-256", "<=", 2)
	ratio("cancel", "kernel", "target-of-16384", "target-of-256", "<=", 2)
	ratio("cancel", "kernel", "all-of-16384", "all-of-256", "<=", 2)
	ratio("latency", "p99", "sendfile beside-cold", "zcopy-queue beside-cold",
	      ">=", 100)
	ratio("latency", "p99", "sendfile-2MiB-turns beside-cold",
	      "zcopy-queue beside-cold", ">=", 100)
	ratio("latency", "p99", "zcopy-queue beside-cold", "zcopy-queue alone",
	      "<=", 1.3)
	ratio("latency", "p99", "zcopy-queue beside-hung", "zcopy-queue alone",
	      "<=", 1.2)
	ratio("busy", "mib", "queue", "zcopy-send", ">=", 0.9)
	ratio("cold", "ms", "zcopy-queue", "64-threads", "<=", 1)
}
