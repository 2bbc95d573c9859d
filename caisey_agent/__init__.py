"""The endpoint's program: it decides whether a proposed action may run here, runs it, and says what happened.

The gate judges each proposal against the roster the agent has pinned itself, the runner is the only code
that starts a process, and its output is kept until the relay has acknowledged it. It imports `caisey_core`
only.
"""
