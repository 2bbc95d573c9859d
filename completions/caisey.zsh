
#compdef caisey

_caisey_completion() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _CAISEY_COMPLETE=complete_zsh caisey)
}

compdef _caisey_completion caisey

