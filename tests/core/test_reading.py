"""What a pattern typed to a shell may meet."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_core.reading import meet, sensitive
from caisey_core.table import Glob


@pytest.mark.parametrize(
    ("pattern", "meets"),
    [
        ("/etc/s*", True),
        ("/etc/*", True),
        ("*", True),
        (".*", True),
        ("/home/*/.ssh/*", True),
        ("/proc/*/environ", True),
        ("server.*", True),
        ("*.log", False),
        ("/var/log/*", False),
        ("/etc/*release", False),
        ("/etc/*.conf", False),
        ("app.log*", False),
        ("/etc/nginx/*", False),
        ("/srv/x/mysite.k*", True),
        ("/srv/x/mysite.[jk]??", True),
        ("~/site.p?m", True),
        ("/etc/ldap.sec*", True),
        ("/etc/ci*", True),
        ("/srv/x/mysite.c*", False),
        ("/srv/x/mysi*", True),
        ("/srv/x/my*", True),
        ("/srv/x/my?ite*", True),
        ("/srv/x/mysite[.]key", True),
        ("/srv/x/my*y", True),
        ("/srv/x/my*w", False),
        ("my*", True),
        ("/home/x/README*", True),
        ("/srv/x/app.lo*", False),
        ("/srv/x*/notes", False),
        ("/var/log/my*", False),
        ("/usr/share/doc/x/R*", False),
        ("/etc/host*", False),
        ("/etc/os-rel*", False),
        ("/etc/sha*", True),
        ("/etc/x/my*", True),
        ("/etc/ssl/certs/my*", False),
        ("/etc/ssl/private/my*", True),
        ("/proc/cpu*", False),
        ("/proc/[0-9]*/status", False),
        ("/sys/class/net/e*/address", False),
    ],
)
def test_patterns_that_may_meet_a_secret(pattern: str, meets: bool) -> None:
    assert sensitive(Glob(pattern), ()) is meets


@given(
    st.text("ab.*?", max_size=6) | st.sampled_from(["[ab]*", "a[!b]", "*[.]a"]),
    st.text("ab.*", max_size=5),
    st.text("ab.", max_size=6),
)
def test_two_patterns_meet_in_every_name_that_both_match(glob: str, pattern: str, name: str) -> None:
    both = fnmatchcase(name, glob) and re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name)
    assert meet(glob, pattern) or not both


@pytest.mark.parametrize(
    ("glob", "pattern"), [("log*", "key"), ("", "key"), ("?", "key"), ("*-release", "*.key"), ("cx*", "cifs")]
)
def test_two_patterns_that_meet_in_nothing(glob: str, pattern: str) -> None:
    assert not meet(glob, pattern)
