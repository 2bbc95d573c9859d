"""The shells' completion scripts. Each asks `caisey` once for a TAB, and evaluates nothing of the answer."""

from __future__ import annotations

from typing import Final

_BASH: Final = r"""# caisey's completion for bash 4.4 and newer; see completions/README.md
_caisey_completion() {
    local IFS=$'\n'
    mapfile -t COMPREPLY < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \
        _CAISEY_COMPLETE=complete_bash "$1" 2>/dev/null)
}
complete -o default -F _caisey_completion caisey
"""

_ZSH: Final = r"""#compdef caisey
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
"""

_FISH: Final = r"""# caisey's completion for fish; see completions/README.md
function __caisey_complete
    set -lx COMP_CWORD (count (commandline -opc))
    set -lx COMP_WORDS (string join \n -- (commandline -opc | string escape) (commandline -ct) | string collect)
    set -lx _CAISEY_COMPLETE complete_fish
    set -l found (caisey 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete --command caisey --no-files --arguments '(__caisey_complete)'
"""

_POWERSHELL: Final = r"""# caisey's completion for PowerShell 7; see completions/README.md
Register-ArgumentCompleter -Native -CommandName caisey -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Where-Object { $_.Extent.StartOffset -lt $cursorPosition } |
        ForEach-Object { $_.Extent.Text })
    if ($wordToComplete -eq '') { $words += '' }
    $env:COMP_WORDS = $words -join "`n"
    $env:COMP_CWORD = $words.Count - 1
    $env:_CAISEY_COMPLETE = 'complete_powershell'
    try {
        caisey 2>$null | ForEach-Object {
            $value, $about = $_ -split "`t", 2
            if (-not $about) { $about = $value }
            [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $about)
        }
    } finally {
        Remove-Item Env:COMP_WORDS, Env:COMP_CWORD, Env:_CAISEY_COMPLETE
    }
}
"""

SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "powershell": _POWERSHELL}
"""By the shell's name."""
