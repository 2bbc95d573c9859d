"""The session view, without a terminal and in one."""
