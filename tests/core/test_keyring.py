"""The keyring, asked for real: a Secret Service on a bus of its own; and those that hang, are locked, or lose keys."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAKES = """
import sys, time
from pathlib import Path
import keyring
from keyring.backend import KeyringBackend
from caisey_core import keys
from caisey_core import keyring as asked
from caisey_core.errors import UsageError
from tests.core.world import key

class Memory(KeyringBackend):
    priority = 1
    def __init__(self): self.kept = {}
    def set_password(self, service, name, value): self.kept[service, name] = value
    def get_password(self, service, name): return self.kept.get((service, name))
    def delete_password(self, service, name): del self.kept[service, name]

memory = Memory()
keyring.set_keyring(memory)
home = Path(sys.argv[1])
"""
SERVICE = """
import sys
from pathlib import Path
from caisey_core import keys
from caisey_core import keyring as asked
from caisey_core.errors import UsageError
from tests.core.world import key

home = Path(sys.argv[1])
"""


def python(program: str, home: Path, *, under: tuple[str, ...] = (), stdin: str = "") -> str:
    """What a program prints, in a process of its own; under another program if need be."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DBUS_", "GNOME_", "PYTHON_KEY"))}
    done = subprocess.run(
        [*under, sys.executable, "-c", program, str(home)],
        env=kept | {"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "XDG_RUNTIME_DIR": str(home)},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=100,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


# -- backends that misbehave --------------------------------------------------------------------------------


def test_one_that_hangs_is_left_after_a_while(tmp_path: Path) -> None:
    said = python(
        FAKES
        + """
memory.set_password = lambda *_: time.sleep(600)
print(asked.trouble(0.3))
""",
        tmp_path,
    )
    assert said == "it did not answer within 0.3 s"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("memory.kept.clear()", "is not in the keyring any more"),
        ("memory.get_password = lambda *_: (_ for _ in ()).throw(keyring.errors.KeyringLocked('no'))", "it is locked"),
        (
            "asked.SECONDS = 0.2; asked.get.__defaults__ = (0.2,); memory.get_password = lambda *_: time.sleep(600)",
            "did not answer",
        ),
    ],
)
def test_a_key_that_cannot_be_had_is_an_error_that_says_why(damage: str, said: str, tmp_path: Path) -> None:
    told = python(
        FAKES
        + f"""
keys.keep(home, "device", key("ana"))
{damage}
try:
    keys.load(home, "device")
except UsageError as error:
    print(error, error.hint)
""",
        tmp_path,
    )
    assert said in told
    assert "Nothing was done" in told


def test_two_homes_in_one_keyring_do_not_collide(tmp_path: Path) -> None:
    python(
        FAKES
        + """
one, two = home / "one", home / "two"
for each, who in ((one, "ana"), (two, "sam")):
    keys.keep(each, "device", key(who))
assert keys.load(one, "device").public == key("ana").public
assert keys.load(two, "device").public == key("sam").public
keys.forget(one, "device")
assert keys.load(two, "device").public == key("sam").public
assert len(memory.kept) == 1
""",
        tmp_path,
    )


def test_a_key_that_does_not_leave_the_keyring_is_said_to_be_there_still(tmp_path: Path) -> None:
    told = python(
        FAKES
        + """
keys.keep(home, "root", key("root"))
memory.delete_password = lambda *_: (_ for _ in ()).throw(keyring.errors.KeyringLocked("no"))
try:
    keys.forget(home, "root", sure=True)
except UsageError as error:
    print(error)
assert keys.load(home, "root").public == key("root").public
""",
        tmp_path,
    )
    assert "It is still there" in told


# -- a real Secret Service ----------------------------------------------------------------------------------

UNLOCKED = (
    "dbus-run-session",
    "--",
    "sh",
    "-c",
    'printf x | gnome-keyring-daemon --unlock >/dev/null; exec "$@"',
    "sh",
)
LOCKED = """
gnome-keyring-daemon --start --components=secrets >/dev/null 2>&1
exec "$@"
"""


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """A home for a keyring of one's own; skips where there is nothing to keep one with."""
    missing = [each for each in ("dbus-run-session", "gnome-keyring-daemon") if shutil.which(each) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")
    home = tmp_path / "session"
    home.mkdir(mode=0o700)
    return home


def test_keys_live_in_a_real_secret_service(service: Path) -> None:
    said = python(
        SERVICE
        + """
assert asked.trouble() == "", asked.trouble()
print(asked.backend())
one, two = home / "one", home / "two"
assert keys.keep(one, "device", key("ana")) is keys.Place.KEYRING
keys.keep(two, "device", key("sam"))
assert keys.load(one, "device").seed == key("ana").seed
assert keys.load(two, "device").seed == key("sam").seed
assert not list(home.rglob("*.key"))
keys.forget(one, "device", sure=True)
try:
    keys.load(one, "device")
except UsageError as error:
    print(error)
(one / "device.pub").write_text("ssh-ed25519 x y")
try:
    keys.load(one, "device")
except UsageError as error:
    print(error)
""",
        service,
        under=UNLOCKED,
    )
    assert "SecretService" in said
    assert "There is no key 'device'" in said
    assert "is not in the keyring any more" in said


def test_a_secret_survives_its_daemon_and_is_not_in_the_clear_on_the_disk(service: Path) -> None:
    python(SERVICE + 'keys.keep(home / "one", "device", key("ana"))', service, under=UNLOCKED)
    kept = b"".join(path.read_bytes() for path in service.rglob("*") if path.is_file())
    assert key_text() not in kept
    python(SERVICE + 'assert keys.load(home / "one", "device").seed == key("ana").seed', service, under=UNLOCKED)


def test_a_locked_keyring_is_an_error_and_no_hang(service: Path) -> None:
    python(SERVICE + 'keys.keep(home / "one", "device", key("ana"))', service, under=UNLOCKED)
    said = python(
        SERVICE
        + """
print("trouble:", asked.trouble(5))
asked.get.__defaults__ = (5,)
try:
    keys.load(home / "one", "device")
    print("loaded")
except UsageError as error:
    print(error)
""",
        service,
        under=("dbus-run-session", "--", "sh", "-c", LOCKED, "sh"),
    )
    assert "which cannot be read" in said
    assert "trouble: it" in said


def key_text() -> bytes:
    """The middle of ana's key as it would stand in a file."""
    from tests.core.world import key

    return key("ana").openssh().splitlines()[3]
