# caisey's completion for fish; see completions/README.md
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
