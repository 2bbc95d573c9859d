"""The environment of every action. Apart from the policy, so that whoever only proposes does not load its judge."""

from __future__ import annotations


def fixed_environment(home: str) -> dict[str, str]:
    """The environment every action runs in: nothing in it loads code, opens a pager or asks a question."""
    return {
        "DEBIAN_FRONTEND": "noninteractive",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": home,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "MANPAGER": "cat",
        "NO_COLOR": "1",
        "PAGER": "cat",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "SYSTEMD_COLORS": "0",
        "SYSTEMD_PAGER": "cat",
        "TERM": "dumb",
    }
