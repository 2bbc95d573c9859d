# caisey's completion for bash 4.4 and newer; see completions/README.md
_caisey_completion() {
    local IFS=$'\n'
    mapfile -t COMPREPLY < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \
        _CAISEY_COMPLETE=complete_bash "$1" 2>/dev/null)
}
complete -o default -F _caisey_completion caisey
