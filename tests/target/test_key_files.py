"""Private keys in files, made by ssh-keygen: read, or refused with what to do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed448

from edgeprof.errors import DeviceError
from edgeprof.target.ssh.keyfile import PassphraseError, load_key


def make(path: Path, *arguments: str) -> Path:
    subprocess.run(["ssh-keygen", "-q", *arguments, "-f", str(path)], check=True, stdin=subprocess.DEVNULL)
    return path


@pytest.mark.parametrize("kind", [["-t", "ed25519"], ["-t", "rsa", "-b", "2048", "-m", "PEM"], ["-t", "ecdsa"]])
def test_a_key_with_and_without_a_passphrase_is_read(tmp_path: Path, kind: list[str]) -> None:
    plain = make(tmp_path / "plain", *kind, "-N", "")
    assert load_key(plain, "pi").asbytes() == load_key(plain, "pi", "not needed").asbytes()
    locked = make(tmp_path / "a key", *kind, "-N", "the passphrase")
    with pytest.raises(PassphraseError, match="has a passphrase") as caught:
        load_key(locked, "pi")
    assert f"ssh-add '{locked}'" in (caught.value.hint or "")
    with pytest.raises(PassphraseError, match="does not open") as caught:
        load_key(locked, "pi", "a wrong secret")
    assert "wrong secret" not in f"{caught.value} {caught.value.hint}"
    blob = Path(f"{locked}.pub").read_text().split()[1]
    assert load_key(locked, "pi", "the passphrase").get_base64() == blob


def test_key_files_that_are_of_no_use_are_told(tmp_path: Path) -> None:
    key = make(tmp_path / "key", "-t", "ed25519", "-N", "")
    with pytest.raises(DeviceError, match="public key") as caught:
        load_key(Path(f"{key}.pub"), "pi")
    assert caught.value.hint == f"name the private one: {key}"
    other = tmp_path / "ed448"
    pem, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    other.write_bytes(ed448.Ed448PrivateKey.generate().private_bytes(pem, plain, serialization.NoEncryption()))
    other.chmod(0o600)
    with pytest.raises(DeviceError, match="of this kind"):
        load_key(other, "pi")
    with pytest.raises(DeviceError, match="cannot be read: No such file"):
        load_key(tmp_path / "none", "pi")
    with pytest.raises(DeviceError, match="cannot be read: Is a directory"):
        load_key(tmp_path, "pi")
    key.chmod(0o644)
    with pytest.raises(DeviceError, match="others may read") as caught:
        load_key(key, "pi")
    assert caught.value.hint == f"chmod 600 '{key}'"
    key.chmod(0o600)
    for content in (b"", b"junk\x1b[2J", key.read_bytes()[:100]):
        key.write_bytes(content)
        with pytest.raises(DeviceError, match="no private key") as caught:
            load_key(key, "pi")
        assert str(caught.value).isprintable()
        assert not isinstance(caught.value, PassphraseError)
