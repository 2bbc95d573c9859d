#compdef caisey
# caisey's completion for zsh; see completions/README.md
_caisey() {
    local line
    local -a values shown
    while IFS= read -r line; do
        values+=("${line%%$'\t'*}")
        shown+=("${line%%$'\t'*}${${line#*$'\t'}:+  -- ${line#*$'\t'}}")
    done < <(COMP_WORDS="${(pj:\n:)words}" COMP_CWORD=$((CURRENT - 1)) \
        _CAISEY_COMPLETE=complete_zsh "$words[1]" 2>/dev/null)
    if (( ${#values} )); then
        compadd -l -d shown -a values
    else
        _files
    fi
}
if [[ "${funcstack[1]}" == _caisey ]]; then
    _caisey "$@"
else
    compdef _caisey caisey
fi
