#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Boots the VM, has it run one command and returns that command's exit status.
#
#   run.sh [OPTION]... KERNEL MODULE COMMAND
#
#   -i  the command gets the user's terminal
#   -t  end the VM after so long (default: 600; with -i never)
#   -v  keep the verdict, what the VM reported on its own channel, in FILE
#   -d  a disk image that the VM mounts at /run/zcopy/data, read-only
#   -a  QEMU's accelerator instead of the best that works here
#   -q  one more argument for QEMU, behind all others; may come again
#   -c  keep the console's log in FILE instead of build/console.log
#
# KERNEL is a folder made by kernel.sh, MODULE the zcopy.ko to load or "".
# Exit status: that of COMMAND; 124 when the time was up; 125 when the VM ended
# without a verdict or its kernel complained.

# shellcheck source=selftests/vm/common.sh
source "$(dirname "$0")/common.sh"

interactive=no limit=600 keep='' data='' accelerator='' extra=()
console=$top_dir/build/console.log
while getopts it:v:d:a:q:c: option; do
	case $option in
	i) interactive=yes limit=0 ;;
	t) limit=$OPTARG ;;
	v) keep=$OPTARG ;;
	d) data=$OPTARG ;;
	a) accelerator=$OPTARG ;;
	q) extra+=("$OPTARG") ;;
	c) console=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[[ $interactive == no || (-t 0 && -t 1) ]] ||
	die "a shell needs a terminal; without one: make vm CMD='...'"
kernel=$1 module=$2 command=$3

emulator=$("$vm_dir/qemu.sh")
initramfs=$("$vm_dir/initramfs.sh" "$kernel")
[[ -n $accelerator ]] ||
	accelerator=$("$vm_dir/accelerator.sh" "$kernel" "$initramfs")

mkdir -p "$cache_dir/runs" "$(dirname "$console")"
# What a run leaves that was killed. A VM that still runs does not miss it.
find "$cache_dir/runs" -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm -rf {} +
run=$(mktemp -d "$cache_dir/runs/XXXXXX")
qemu='' terminal_state=''

# shellcheck disable=SC2317 # the trap reaches it
clean_up() {
	if [[ -n $qemu ]]; then
		kill -TERM "$qemu" 2>/dev/null || true
		wait "$qemu" || true
	fi
	[[ -z $terminal_state ]] || stty "$terminal_state" || true
	rm -rf "$run"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

terminal_size=''
if [[ -t 1 ]]; then
	terminal_size=$(stty size <&3)
fi 3>&1
cat >"$run/job" <<JOB
ZCOPY_KO=${module@Q}
PATH=${top_dir@Q}/build/user:${top_dir@Q}/build/user/examples:\$PATH
export LD_LIBRARY_PATH=${top_dir@Q}/build/user
export TERM=${TERM:-dumb}
start_folder=${PWD@Q}
interactive=$interactive
terminal_size=${terminal_size@Q}
command=${command@Q}
export ZCOPY_SLOWDOWN=${SLOWDOWN:-1}
export ZCOPY_FULL=${FULL:-}
JOB
truncate -s 16G "$run/ext4" "$run/xfs"
mkdir "$run/share"
mkfs.ext4 -q "$run/ext4"
mkfs.xfs -q "$run/xfs"
: >"$run/verdict"

arguments=(
	"${kernel_arguments[@]}" net.ifnames=0
	"zcopy.init=$vm_dir/init.sh" "zcopy.kernel=$kernel" "zcopy.run=$run"
)

# A host's disk that is full is an error in the VM: QEMU would wait for room, for ever.
drive() {
	printf '%s\n' \
		-drive "if=none,id=$1,format=raw,cache=unsafe,discard=unmap,werror=report,file=$2$3" \
		-device "virtio-blk-pci,drive=$1,serial=$1"
}
mapfile -t drives < <(
	drive ext4 "$run/ext4" ""
	drive xfs "$run/xfs" ""
	[[ -z $data ]] || drive data "$data" ",readonly=on"
)

# Two cards on one hub are a wire inside the VM.
wire() {
	printf '%s\n' -netdev "hubport,id=$1,hubid=1" \
		-device "e1000e,netdev=$1,mac=$2"
}
mapfile -t wires < <(wire left 52:54:00:00:00:01; wire right 52:54:00:00:00:02)

machine=(
	"$emulator" -machine q35 -accel "$accelerator" -cpu max -smp 2 -m 4G
	-no-user-config -nodefaults -display none -no-reboot
	-kernel "$kernel/vmlinuz" -initrd "$initramfs" -append "${arguments[*]}"
	-serial "file:$run/console" -serial "file:$run/verdict"
	-virtfs "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap"
	-virtfs "local,path=$run/share,mount_tag=share,security_model=mapped-xattr"
	"${drives[@]}" "${wires[@]}"
	-device virtio-serial -device "virtconsole,chardev=terminal"
	"${extra[@]}"
)

# timeout ends QEMU when the time is up, and when this script dies.
start=(setpriv --pdeathsig TERM timeout --foreground --kill-after=5 "$limit")

boot() {
	local output cat

	if [[ $interactive == yes ]]; then
		terminal_state=$(stty -g)
		"${start[@]}" "${machine[@]}" \
			-chardev stdio,id=terminal,mux=on,signal=off <&0 2>"$run/messages" &
		qemu=$!
		wait "$qemu" && status=0 || status=$?
	else
		# QEMU makes its output non-blocking; whoever shares ours must not
		# see it.
		exec {output}> >(exec cat)
		cat=$!
		"${start[@]}" "${machine[@]}" -chardev stdio,id=terminal \
			</dev/null 1>&"$output" 2>"$run/messages" &
		qemu=$!
		wait "$qemu" && status=0 || status=$?
		exec {output}>&-
		wait "$cat"
	fi
	qemu=
}

# shellcheck disable=SC2317 # boot_emulated asks
has_begun() {
	grep -q '^boot$' "$run/verdict"
}

boot_emulated has_begun "$run/console"

cp "$run/console" "$console"
[[ -z $keep ]] || cp "$run/verdict" "$keep"

complain() {
	cat "$run/messages" >&2
	say "vm: $*; the end of its console (all of it: $console):"
	tail -n 40 "$run/console" >&2
	exit 125
}

if [[ $status -eq 124 || $status -eq 137 ]]; then
	say "vm: not done within $limit s; the end of its console:"
	tail -n 40 "$run/console" >&2
	exit 124
fi
# The user may end it without a word.
if [[ $interactive == yes && $status -eq 0 ]] &&
	! grep -q '^exit ' "$run/verdict" &&
	! grep -q 'Kernel panic' "$run/console"; then
	exit 0
fi
answer=$(sed -n 's/^exit //p' "$run/verdict")
[[ $answer =~ ^[0-9]+$ ]] || complain "it ended without a verdict"
if grep -q '^splat ' "$run/verdict"; then
	sed -n 's/^splat //p' "$run/verdict" >&2
	complain "its kernel complained"
fi
exit "$answer"
