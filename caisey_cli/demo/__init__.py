"""The whole job, played on this machine: real programs, a real fault, public commands only.

`stage` has the scratch directory and the processes, `plan` what is typed and what has to come of it, `machine/` the
small service that will not start. Nothing here knows how Caisey works inside: all that is shown, anybody can type.
"""
