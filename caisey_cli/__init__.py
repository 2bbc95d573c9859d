"""The technician's program: from what was typed to a session that is on record.

Commands, the session controller, the transcript folded from the records, notes and exports, and the
full-screen view. It imports `caisey_core` only; the relay and the agent it may start are separate programs.
"""
