# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Completion of the zcopy command for bash.

# The words that begin with what is typed.
_zcopy_words() {
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

# Hosts as HOST:, whose port is the user's to type.
_zcopy_hosts() {
	[[ $cur != *:* ]] || return 0
	_known_hosts_real -- "$cur"
	COMPREPLY=("${COMPREPLY[@]/%/:}")
	compopt -o nospace
}

_zcopy() {
	local cur prev words cword command operands=0 i
	local -A options=(
		[send]='--header --offset --length --method --nocache --lease --repeat
			--stats --quiet --help'
		[recv]='--output --discard --bind --print-port --stats --quiet --help'
		[cp]='--nocache --stats --quiet --help'
		[warm]='--check --stats --quiet --help'
		[stat]='--raw --help'
	)
	# Their value is the next word.
	local valued=' --header --offset --length --method --repeat --output -o --bind '

	_init_completion -n :@ || return

	command=${words[1]}
	if [[ $cword -eq 1 ]]; then
		_zcopy_words 'send recv cp warm stat --help --version'
		return
	fi
	[[ -n ${options[$command]:-} ]] || return

	case $prev in
	--method)
		_zcopy_words 'zcopy sendfile rw'
		return
		;;
	--output | -o)
		_filedir
		return
		;;
	--header)
		[[ $cur == @* ]] || return
		cur=${cur#@}
		_filedir
		COMPREPLY=("${COMPREPLY[@]/#/@}")
		return
		;;
	--bind)
		_ip_addresses -a
		return
		;;
	--offset | --length | --repeat)
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		_zcopy_words "${options[$command]}"
		return
	fi

	for ((i = 2; i < cword; i++)); do
		if [[ $valued == *" ${words[i]} "* ]]; then
			((i++))
		elif [[ ${words[i]} != -* ]]; then
			((operands++))
		fi
	done
	case $command:$operands in
	send:0 | cp:0 | cp:1 | warm:*) _filedir ;;
	send:1) _zcopy_hosts ;;
	esac
}

complete -F _zcopy zcopy
