# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Counts, with the kernel's own tracing, the bytes that the CPU copies on the
# way from a file to a card. It is sourced, in the VM. There are three places:
#
#   out of the page cache: filemap_read() of that file copies what it returns;
#   into the socket: tcp_sendmsg() copies whatever it takes, but for what
#   skb_splice_from_iter() or skb_zerocopy_iter_stream() attached by
#   reference;
#   in the network stack and the driver: skb_copy_bits(), which linearizing,
#   pulling and segmenting come down to, skb_copy_and_csum_bits() and
#   skb_copy_ubufs().
#
# The first two belong to the sending process. The last one happens wherever
# the stack runs, so it is counted for all, by the length of the single copy.

tracing=/sys/kernel/tracing
by_process=(page_cache socket by_reference tracked)
by_length=(copy_bits copy_csum_bits copy_ubufs)

declare -A triggers

# Begins to count, for the file $1. The number after f is how many calls of a
# function may be under way at once.
copies_begin() {
	local event

	cat >$tracing/dynamic_events <<-'PROBES'
		f64:copies/page_cache filemap_read%return bytes=$retval:s64 inode=iocb->ki_filp->f_inode->i_ino:u64
		f64:copies/socket tcp_sendmsg%return bytes=$retval:s32
		f64:copies/by_reference skb_splice_from_iter%return bytes=$retval:s64
		f64:copies/tracked skb_zerocopy_iter_stream%return bytes=$retval:s32
		f:copies/copy_bits skb_copy_bits bytes=$arg4:s32
		f:copies/copy_csum_bits skb_copy_and_csum_bits bytes=$arg4:s32
		f:copies/copy_ubufs skb_copy_ubufs bytes=skb->data_len:s32
	PROBES
	for event in "${by_process[@]}"; do
		triggers[$event]='hist:keys=common_pid:vals=bytes if bytes > 0'
	done
	triggers[page_cache]+=" && inode == $(stat -c %i "$1")"
	for event in "${by_length[@]}"; do
		triggers[$event]='hist:keys=bytes if bytes > 0'
	done
	for event in "${!triggers[@]}"; do
		echo "${triggers[$event]}" >"$tracing/events/copies/$event/trigger"
	done
}

# Prints the sum of process $1 at place $2.
process_bytes() {
	sed 's/[{},:]/ /g' "$tracing/events/copies/$2/hist" |
		awk -v pid="$1" '$1 == "common_pid" && $2 == pid {
			for (i = 3; i < NF; i++)
				if ($i == "bytes")
					sum += $(i + 1)
		}
		END { printf "%d\n", sum }'
}

# Ends the count. Prints what was copied for sender $1, which sent $2 bytes: the
# bytes of payload, and those in copies of 4 bytes each: the driver of the e1000e
# makes one a packet because of an erratum of that card. Fails if not all calls
# were seen.
copies_end() {
	local event stack pulls socket payload

	read -r stack pulls < <(
		for event in "${by_length[@]}"; do
			sed 's/[{},:]/ /g' "$tracing/events/copies/$event/hist"
		done | awk '$1 == "bytes" && $3 == "hitcount" {
			sum[$2 == 4] += $2 * $4
		}
		END { printf "%d %d\n", sum[0], sum[1] }'
	)
	socket=$(process_bytes "$1" socket)
	payload=$(($(process_bytes "$1" page_cache) + stack + socket -
		$(process_bytes "$1" by_reference) - $(process_bytes "$1" tracked)))
	for event in "${!triggers[@]}"; do
		echo "!${triggers[$event]}" >"$tracing/events/copies/$event/trigger"
	done
	echo >$tracing/dynamic_events
	printf '%d %d\n' "$payload" "$pulls"
	[[ $socket -eq $2 ]]
}
