"""Signatures are OpenSSH's own, in both directions, and a signature under one namespace is none under another."""

from __future__ import annotations

import shutil
import subprocess
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_core.errors import UsageError
from caisey_core.kinds import Namespace
from caisey_core.signing import SigningKey, armored, fingerprint, is_public_key, verify
from tests.core.world import key

MESSAGE = b'{"v":1,"text":"nothing prints"}'
PAIRS = list(permutations(Namespace, 2))
needs_openssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


def _run(*argv: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ssh-keygen", *map(str, argv)], input=stdin, capture_output=True, timeout=60, check=False)


def _accepts(where: Path, signer: SigningKey, namespace: str, message: bytes, signature: str) -> bool:
    (where / "allowed").write_text(f"ana ssh-ed25519 {signer.public}\n")
    (where / "signature").write_text(signature)
    allowed = ("-Y", "verify", "-f", where / "allowed", "-I", "ana", "-n", namespace, "-s", where / "signature")
    return _run(*allowed, stdin=message).returncode == 0


@needs_openssh
@pytest.mark.parametrize("namespace", Namespace)
def test_openssh_accepts_a_signature_in_its_namespace(namespace: Namespace, tmp_path: Path) -> None:
    ana = key("ana")
    assert _accepts(tmp_path, ana, namespace, MESSAGE, armored(ana.public, namespace, ana.sign(namespace, MESSAGE)))


@needs_openssh
@pytest.mark.parametrize(("made", "asked"), PAIRS)
def test_openssh_refuses_it_in_every_other(made: Namespace, asked: Namespace, tmp_path: Path) -> None:
    ana = key("ana")
    sig = ana.sign(made, MESSAGE)
    assert not _accepts(tmp_path, ana, asked, MESSAGE, armored(ana.public, made, sig))
    assert not _accepts(tmp_path, ana, asked, MESSAGE, armored(ana.public, asked, sig)), "relabelled"


@needs_openssh
def test_openssh_refuses_another_message_and_another_key(tmp_path: Path) -> None:
    ana, eve = key("ana"), key("eve")
    sig = ana.sign(Namespace.RECORD, MESSAGE)
    assert not _accepts(tmp_path, ana, Namespace.RECORD, MESSAGE + b" ", armored(ana.public, Namespace.RECORD, sig))
    assert not _accepts(tmp_path, eve, Namespace.RECORD, MESSAGE, armored(ana.public, Namespace.RECORD, sig))


@needs_openssh
@pytest.mark.parametrize("namespace", Namespace)
@pytest.mark.parametrize("message", [MESSAGE, b"", b"\x00" * 5000], ids=["text", "empty", "long"])
def test_our_signature_is_openssh_s_to_the_byte(namespace: Namespace, message: bytes, tmp_path: Path) -> None:
    ana = key("ana")
    private = tmp_path / "key"
    private.touch(mode=0o600)
    private.write_bytes(ana.openssh())
    made = _run("-Y", "sign", "-q", "-f", private, "-n", namespace, stdin=message)
    assert made.returncode == 0, made.stderr
    assert made.stdout.decode() == armored(ana.public, namespace, ana.sign(namespace, message))


@needs_openssh
def test_private_and_public_key_as_openssh_reads_them(tmp_path: Path) -> None:
    ana = key("ana")
    private = tmp_path / "key"
    private.touch(mode=0o600)
    private.write_bytes(ana.openssh())
    assert _run("-y", "-f", private).stdout.split()[:2] == [b"ssh-ed25519", ana.public.encode()]
    (tmp_path / "key.pub").write_text(f"ssh-ed25519 {ana.public}\n")
    assert fingerprint(ana.public) in _run("-l", "-f", tmp_path / "key.pub").stdout.decode()


@needs_openssh
def test_a_key_openssh_made_is_read(tmp_path: Path) -> None:
    assert _run("-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key").returncode == 0
    made = SigningKey.from_openssh((tmp_path / "key").read_bytes())
    assert (tmp_path / "key.pub").read_text().split()[1] == made.public


@needs_openssh
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("-t", "ed25519", "-N", "secret"), "unencrypted"),
        (("-t", "ecdsa", "-N", ""), "not an Ed25519"),
    ],
)
def test_other_keys_openssh_made_are_refused(options: tuple[str, ...], says: str, tmp_path: Path) -> None:
    assert _run("-q", *options, "-f", tmp_path / "key").returncode == 0
    with pytest.raises(UsageError, match=says):
        SigningKey.from_openssh((tmp_path / "key").read_bytes())


@pytest.mark.parametrize("text", [b"", b"no key", b"-----BEGIN OPENSSH PRIVATE KEY-----\n!\n"])
def test_what_is_no_key_file_is_refused(text: bytes) -> None:
    with pytest.raises(UsageError):
        SigningKey.from_openssh(text)


def test_a_key_comes_back_from_its_file() -> None:
    ana = key("ana")
    back = SigningKey.from_openssh(ana.openssh())
    assert (back.public, back.seed) == (ana.public, ana.seed)
    assert SigningKey.generate().public != SigningKey.generate().public


@pytest.mark.parametrize(("made", "asked"), PAIRS)
def test_cross_use_is_refused(made: Namespace, asked: Namespace) -> None:
    ana = key("ana")
    sig = ana.sign(made, MESSAGE)
    assert verify(ana.public, made, MESSAGE, sig)
    assert not verify(ana.public, asked, MESSAGE, sig)


@given(message=st.binary(max_size=200), where=st.integers(0, 63), bit=st.integers(0, 7))
def test_a_changed_signature_is_none(message: bytes, where: int, bit: int) -> None:
    ana = key("ana")
    sig = bytearray(ana.sign(Namespace.RECORD, message))
    assert verify(ana.public, Namespace.RECORD, message, bytes(sig))
    sig[where] ^= 1 << bit
    assert not verify(ana.public, Namespace.RECORD, message, bytes(sig))


def test_the_order_added_to_a_signature_s_scalar_does_not_make_a_second_one() -> None:
    """Signature malleability: S + L verifies with careless implementations (RFC 8032, section 5.1.7)."""
    ana = key("ana")
    sig = ana.sign(Namespace.RECORD, MESSAGE)
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(sig[32:], "little") + order
    assert not verify(ana.public, Namespace.RECORD, MESSAGE, sig[:32] + scalar.to_bytes(32, "little"))


@pytest.mark.parametrize("sig", [b"", b"x", b"\x00" * 63, b"\x00" * 65, b"\x00" * 64])
def test_what_is_no_signature_is_none(sig: bytes) -> None:
    assert not verify(key("ana").public, Namespace.RECORD, MESSAGE, sig)


GOOD = key("ana").public


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ana",
        GOOD[:-1],
        GOOD + "\n",
        " " + GOOD,
        GOOD + "AAAA",
        "ssh-ed25519 " + GOOD,
        GOOD.replace("AAAAC3", "AAAAB3"),
        "ü" * 68,
        "=" * 68,
    ],
)
def test_a_public_key_has_one_spelling(text: str) -> None:
    assert not is_public_key(text)
    assert not verify(text, Namespace.RECORD, MESSAGE, key("ana").sign(Namespace.RECORD, MESSAGE))


@given(st.text(max_size=80))
def test_no_text_but_a_key_is_a_key(text: str) -> None:
    assert not is_public_key(text)


def test_a_key_does_not_print() -> None:
    ana = key("ana")
    shown = f"{ana!r} {ana} {[ana]}"
    assert shown.count(fingerprint(ana.public)) == 3
    for secret in (ana.seed.hex(), repr(ana.seed)[2:-1], ana.openssh().decode().splitlines()[2]):
        assert secret not in shown
    assert not hasattr(ana, "__dict__")


def test_a_key_does_not_leave_by_pickling() -> None:
    import pickle

    with pytest.raises(TypeError):
        pickle.dumps(key("ana"))
