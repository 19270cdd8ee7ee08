#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in a VM of pair.sh: sets up the card between the two VMs, as host number
# $1, so that what is counted varies little from run to run.

set -euo pipefail

# The cards for tests inside one VM have timers that would be counted.
for namespace in left right; do
	ip -n "$namespace" link set wire0 down
done

# A new filesystem is still being prepared in the background.
mount -o remount,noinit_itable "$ZCOPY_TESTDIR_EXT4"

# The driver may not have been needed until now.
modprobe vmxnet3
modprobe e1000e
card=$(grep -l "52:54:00:00:02:0$1" /sys/class/net/*/address)
card=${card%/address}

# As in a fast network, whatever an emulated one's delay is: packets as large
# as the card can split, and a receiver that puts them together again before
# it acknowledges.
echo 20 >/proc/sys/net/ipv4/tcp_tso_rtt_log
echo 2 >"$card/napi_defer_hard_irqs"
echo 500000 >"$card/gro_flush_timeout"

card=${card##*/}
ip address add "10.9.1.$1/24" dev "$card"
ip link set "$card" up
until ip link show "$card" | grep -q 'state UP'; do
	sleep 0.1
done

# It loses nothing, but it is slow: no timer may take that for a loss, or ask
# a client again and again that does not want to read yet.
echo 0 >/proc/sys/net/ipv4/tcp_early_retrans
ip route change 10.9.1.0/24 dev "$card" src "10.9.1.$1" rto_min 120s

# Nor may its delays, which come and go with the host's load, be taken for a
# bottleneck: the congestion window would end up anywhere, and with it the size
# of packets.
echo 0 >/sys/module/tcp_cubic/parameters/hystart

# Thousands of connections that wait fill more memory than TCP finds normal on
# such a small machine: it would shrink their windows.
echo "400000 500000 600000" >/proc/sys/net/ipv4/tcp_mem
