"""Ed25519 signatures as OpenSSH makes them (SSHSIG), and the only importer of `cryptography`.

What is stored beside a record is the 64 bytes of the Ed25519 signature. The rest of an SSHSIG blob (key,
namespace, hash) follows from the head, so nothing that a stranger wrote is parsed in order to verify;
`armored` puts the blob together for `ssh-keygen -Y verify`.

Format: PROTOCOL.sshsig of OpenSSH.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from caisey_core.errors import UsageError
from caisey_core.ids import PublicKey
from caisey_core.kinds import Namespace

_MAGIC = b"SSHSIG"
_HASH = b"sha512"
_TYPE = b"ssh-ed25519"
SIGNATURE_SIZE = 64
_ROUNDS = 64
"""Of bcrypt, for a key file under a passphrase: four times what `ssh-keygen` takes; a try costs about a second."""


def _string(data: bytes) -> bytes:
    """`string` of RFC 4251, section 5."""
    return len(data).to_bytes(4, "big") + data


_PREFIX = _string(_TYPE) + (32).to_bytes(4, "big")


def _signed(namespace: Namespace, message: bytes) -> bytes:
    """What the key really signs: PROTOCOL.sshsig, section 3."""
    digest = hashlib.sha512(message).digest()
    return _MAGIC + _string(namespace.encode()) + _string(b"") + _string(_HASH) + _string(digest)


@lru_cache(maxsize=1024)
def _load(public: str) -> Ed25519PublicKey:
    try:
        blob = base64.b64decode(public, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError("That is not an Ed25519 public key of OpenSSH.") from error
    if len(blob) != len(_PREFIX) + 32 or not blob.startswith(_PREFIX):
        raise UsageError("That is not an Ed25519 public key of OpenSSH.")
    return Ed25519PublicKey.from_public_bytes(blob[len(_PREFIX) :])


def is_public_key(text: str) -> bool:
    """Whether `text` is an Ed25519 public key in its one spelling."""
    try:
        _load(text)
    except UsageError:
        return False
    return True


def fingerprint(public: str) -> str:
    """`SHA256:...`, as `ssh-keygen -l` prints it."""
    digest = hashlib.sha256(base64.b64decode(public)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def verify(public: str, namespace: Namespace, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) is `public`'s over exactly `message` under exactly `namespace`."""
    if len(signature) != SIGNATURE_SIZE:
        return False
    try:
        _load(public).verify(signature, _signed(namespace, message))
    except (InvalidSignature, UsageError):
        return False
    return True


def armored(public: str, namespace: Namespace, signature: bytes) -> str:
    """The signature as a file that `ssh-keygen -Y verify` reads."""
    blob = (
        _MAGIC
        + (1).to_bytes(4, "big")
        + _string(base64.b64decode(public))
        + _string(namespace.encode())
        + _string(b"")
        + _string(_HASH)
        + _string(_string(_TYPE) + _string(signature))
    )
    text = base64.b64encode(blob).decode()
    lines = [text[i : i + 70] for i in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


class SigningKey:
    """A private key. It does not print, and leaves the object only through `seed` and `openssh`."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        raw = self._key.public_key().public_bytes_raw()
        self.public = PublicKey(base64.b64encode(_PREFIX + raw).decode())

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_openssh(cls, text: bytes, passphrase: bytes | None = None) -> SigningKey:
        """Reads an OpenSSH private key file, encrypted if there is a passphrase. Raises `UsageError`."""
        try:
            key = serialization.load_ssh_private_key(text, password=passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise UsageError(_no_key(text, passphrase)) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise UsageError("That OpenSSH key is not an Ed25519 key.")
        return cls(key.private_bytes_raw())

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes."""
        return self._key.private_bytes_raw()

    def openssh(self, passphrase: bytes = b"") -> bytes:
        """The key as OpenSSH keeps it in a file, encrypted (aes256-ctr, bcrypt) if there is a passphrase."""
        form = serialization.PrivateFormat.OpenSSH
        how: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase:
            how = form.encryption_builder().kdf_rounds(_ROUNDS).build(passphrase)
        return self._key.private_bytes(serialization.Encoding.PEM, form, how)

    def sign(self, namespace: Namespace, message: bytes) -> bytes:
        """The 64 bytes of the signature over `message` under `namespace`."""
        return self._key.sign(_signed(namespace, message))

    def __repr__(self) -> str:
        return f"SigningKey({fingerprint(self.public)})"


def _no_key(text: bytes, passphrase: bytes | None) -> str:
    if passphrase is None:
        return "That is not an unencrypted OpenSSH private key."
    if b"BEGIN OPENSSH PRIVATE KEY" not in text:
        return "That is not an OpenSSH private key."
    return "The passphrase is not that of the key file, or the file is damaged."


def certificate_ends(pem: bytes) -> float:
    """When the first certificate of a PEM file ends, in seconds since 1970. Raises `UsageError` for none."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
    except ValueError as error:
        raise UsageError("That is no certificate.") from error
