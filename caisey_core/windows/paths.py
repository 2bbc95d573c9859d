"""Which places a path of Windows leads to: a secret, another machine, or one of PowerShell's drives.

A path is looked at as text, in lower case and with `/` for both slashes. What Windows reads in a way that cannot be
seen from the text (short names, streams, devices) is `strange`.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from typing import Final

from msgspec import Struct, convert

from caisey_core.alone import alone
from caisey_core.kinds import Class
from caisey_core.reading import any_of, endings_of, may_end, path_regex, tails
from caisey_core.rules import SECRET, Finding
from caisey_core.table import FOLDER, table

PATH_LIMIT: Final = 512
WILD: Final = re.compile(r"[*?\[\]]")


class Place(Enum):
    """What a path leads to."""

    PLAIN = "plain"
    SECRET = "secret"  # noqa: S105
    ELSEWHERE = "elsewhere"
    STRANGE = "strange"


class _Paths(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    secret: tuple[str, ...]
    public: tuple[str, ...]
    samples: tuple[str, ...]
    quiet: tuple[str, ...]
    registry: tuple[str, ...]
    match: tuple[str, ...]
    no_match: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """The table of places, as patterns."""

    data: _Paths
    secret: re.Pattern[str]
    tails: re.Pattern[str]
    public: re.Pattern[str]
    quiet: re.Pattern[str]
    registry: re.Pattern[str]
    endings: tuple[str, ...]


@cache
@alone
def places() -> Places:
    """Read the table that comes with this version, once."""
    data = convert(tomllib.loads((FOLDER / "windows" / "paths.toml").read_text("utf-8")), _Paths)
    posix = [pattern for pattern in table().paths.secret if pattern.startswith("**/")]
    secret = [*data.secret, *posix]
    public = [*data.public, *(pattern for pattern in table().paths.public if pattern.startswith("**/"))]
    return Places(
        data,
        any_of(path_regex(pattern) for pattern in secret),
        any_of(path_regex(tail) for pattern in secret for tail in tails(pattern)),
        any_of(path_regex(pattern) for pattern in public),
        any_of(path_regex(pattern) for pattern in data.quiet),
        any_of(path_regex(pattern) for pattern in data.registry),
        endings_of(secret),
    )


_DRIVE: Final = re.compile(r"[a-z]:(?=/|\Z)")
_DEVICE: Final = re.compile(r"(?:\A|/)(?:con|prn|aux|conin\$|conout\$|com\d|lpt\d)[ .]*(?:[.:/]|\Z)")
_KEYS: Final = {
    "hkey_local_machine": "hklm",
    "hkey_current_user": "hkcu",
    "hkey_classes_root": "hkcr",
    "hkey_users": "hku",
    "hkey_current_config": "hkcc",
}
_REGISTRY: Final = re.compile(r"(?:(?:microsoft\.powershell\.core/)?registry::/?)?(hk[a-z_]+):?(?:/(.*))?", re.DOTALL)
_CERTIFICATES: Final = re.compile(
    r"cert:(?:/|/(?:localmachine|currentuser)(?:/(?:my|root|ca|authroot|trustedpublisher|trustedpeople|disallowed"
    r"|webhosting|remote desktop|\*)?)?(?:/\*|/[0-9a-f]{40})?)?/?"
)
_SITES: Final = re.compile(r"iis:/(?:sites|sslbindings)/?")
"""What the web server serves; its pools are not here, since they carry passwords."""
_VARIABLE: Final = re.compile(
    r"env:/?(?:path|pathext|computername|username|userdomain|userprofile|logonserver|temp|tmp|windir|systemroot"
    r"|processor_architecture|number_of_processors|os|comspec|programfiles|programdata|appdata|localappdata|psmodulepath)"
)


def place(text: str, *, deep: bool = False, contents: bool = True) -> Place:
    """Where this path leads. `contents`: what lies there is read, not only listed; `deep`: whole directories are."""
    if len(text) > PATH_LIMIT:
        return Place.STRANGE
    path = text.replace("\\", "/").lower().strip()
    if path.startswith("//"):
        return Place.ELSEWHERE
    if path.startswith(("hk", "registry:", "microsoft.powershell.core/registry:")) and ":" in path:
        return _key(path + "/x/x/x" if deep else path)
    if path.startswith("env:"):
        return Place.PLAIN if _VARIABLE.fullmatch(path) else Place.SECRET
    if path.startswith("cert:"):
        return Place.PLAIN if _CERTIFICATES.fullmatch(path) and not contents else Place.SECRET
    if _SITES.fullmatch(path) and not contents and not deep:
        return Place.PLAIN
    drive = _DRIVE.match(path)
    path = path[2:] if drive else path
    if ":" in path or re.search(r"~\d", path) or "//" in path or _DEVICE.search(path):
        return Place.STRANGE
    return _file(path, deep) if contents else Place.PLAIN


def _key(path: str) -> Place:
    found = _REGISTRY.fullmatch(path)
    if found is None:
        return Place.SECRET
    root, rest = found[1], (found[2] or "").strip("/")
    root = _KEYS.get(root, root)
    if ":" in rest or "//" in rest or ".." in rest or root not in {"hklm", "hkcu", "hkcr"}:
        return Place.SECRET
    key = f"{root}/{rest}".rstrip("/")
    if "*" in key[:-1] and not re.fullmatch(r"[^*?\[\]]*/\*", key):
        return Place.SECRET
    patterns, whole = places().registry, key.removesuffix("/*")
    return Place.PLAIN if patterns.fullmatch(key) or patterns.fullmatch(f"{whole}/x") else Place.SECRET


def key_place(text: str, *, deep: bool = False) -> Place:
    """Where a key of the registry leads, as `reg` spells it; `deep`: with all keys below."""
    path = text.replace("\\", "/").lower().strip().strip("/")
    if path.startswith("//") or text.startswith("\\\\"):
        return Place.ELSEWHERE
    if deep:
        return _key(path + "/x/x/x")
    return _key(path)


def _file(path: str, deep: bool) -> Place:
    if path in {"", ".", "-"} and not deep:
        return Place.PLAIN
    if path.startswith("~"):
        path = "/users/x" + path[1:]
    absolute = path.startswith("/")
    path = _normal(path)
    table_ = places()
    if deep:
        return Place.PLAIN if absolute and table_.quiet.fullmatch(path.rstrip("/") + "/x") else Place.SECRET
    if WILD.search(path):
        return Place.SECRET if _meets(path) else Place.PLAIN
    rooted = path if absolute else "/" + path
    if table_.public.fullmatch(rooted):
        return Place.PLAIN
    if table_.secret.fullmatch(rooted) or (not absolute and table_.tails.fullmatch(path)):
        return Place.SECRET
    return Place.PLAIN


def _normal(path: str) -> str:
    """The path without `.`, `..` and what Windows drops at the end of a name."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if parts and parts[-1] not in {"", ".."}:
                parts.pop()
            continue
        name = part.rstrip(". ")
        if name or (part == "" and not parts):
            parts.append(name)
    return "/".join(parts) or "/"


@lru_cache(maxsize=1024)
def _meets(path: str) -> bool:
    """Whether a pattern may match a secret. Above the last name one is taken to, outside of the quiet directories."""
    table_ = places()
    folder, _, name = path.rpartition("/")
    fixed = path[: WILD.search(path).start()] if WILD.search(path) else path  # type: ignore[union-attr]
    fixed = fixed.rpartition("/")[0]
    if path.startswith("/") and table_.quiet.fullmatch(fixed + "/x"):
        return False
    if WILD.search(folder):
        return True
    # PowerShell's patterns: `[!a]` is no negation there, so anything in brackets counts as any character.
    name = re.sub(r"\[[^\]]*\]?", "*", name)
    if may_end(name, table_.endings) or any(
        fnmatchcase(sample.rpartition("/")[2], name) for sample in table_.data.samples
    ):
        return True
    secret = f"/{folder.strip('/')}/{WILD.sub('x', name)}".replace("//", "/")
    return bool(table_.secret.fullmatch(secret)) and not table_.public.fullmatch(secret)


_FINDINGS: Final = {
    Place.SECRET: SECRET,
    Place.ELSEWHERE: Finding(
        Class.UNJUDGED, "other-machine", "It opens a path on another machine, which sends a login."
    ),
    Place.STRANGE: Finding(Class.UNJUDGED, "path", "A path is written in a way that Windows may read differently."),
}


def of_path(text: str, here: tuple[str, ...], *, deep: bool = False, contents: bool = True) -> Finding | None:
    """What follows from opening this path, from any of these directories where it is relative."""
    paths = [text]
    if here and not re.match(r"[\\/~]|[^\\/]*:", text):
        paths += [f"{folder}/{text}" for folder in here]
    found = [where for path in paths if (where := place(path, deep=deep, contents=contents)) is not Place.PLAIN]
    return _FINDINGS[max(found, key=_HEAVY.index)] if found else None


_HEAVY: Final = (Place.SECRET, Place.STRANGE, Place.ELSEWHERE)
