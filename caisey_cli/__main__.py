"""`python -m caisey_cli`: the console script by another name."""

from caisey_cli.start import main

main()
