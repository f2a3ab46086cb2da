"""The broker's jars: those of the lock file, each with the sha256 that stands there.

jgo's own builder is passed by on purpose: it reads the user's settings, may fetch a whole JDK to
sort jars into modules, and never compares a hash. Its Maven layer fetches single jars, and that is
all a lock file asks for.
"""

import hashlib
import os
import ssl
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final

from sandbox.kafka.cache import filling_cache
from sandbox.kafka.errors import KafkaUnavailableError

SPEC_FILE: Final = Path(__file__).with_name("jgo.toml")
LOCK_FILE: Final = Path(__file__).with_name("jgo.lock.toml")
_ATTEMPTS: Final = 3
_LINES: Final = 4  # downloads side by side
_TIMEOUT_SECONDS: Final = 30
_CERTIFICATES: Final = "REQUESTS_CA_BUNDLE"


@cache
def lock_digest() -> str:
    """Give a short name for exactly this set of jars."""
    return hashlib.sha256(LOCK_FILE.read_bytes()).hexdigest()[:12]


def class_path() -> list[Path]:
    """Give the paths of all jars, checked; what the cache lacks is fetched."""
    try:
        from jgo.env import LockFile  # noqa: PLC0415 - a third of a second, for brokers only
        from jgo.maven import MavenContext  # noqa: PLC0415
    except ImportError as error:
        raise KafkaUnavailableError(
            "the jgo package is missing: install requirements/dev.txt"
        ) from error
    locked = LockFile.load(LOCK_FILE).dependencies
    with filling_cache() as cache_folder, ThreadPoolExecutor(_LINES) as pool:
        context = MavenContext(repo_cache=cache_folder / "jars", timeout=_TIMEOUT_SECONDS)
        return list(pool.map(lambda jar: _checked(context, jar), locked))


def _checked(context: Any, jar: Any) -> Path:
    """Give one jar's path. A jar with another hash, such as half a download, is fetched anew."""
    name = f"{jar.artifactId}-{jar.version}"
    if not jar.sha256:
        raise KafkaUnavailableError(f"{LOCK_FILE.name} has no sha256 for {name}: run make lock")
    component = context.project(jar.groupId, jar.artifactId).at_version(jar.version)
    artifact = component.artifact(jar.classifier or "", jar.packaging)
    cause: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            path = Path(artifact.resolve())
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors; RuntimeError: 404
            cause = error
            artifact.cached_path.unlink(missing_ok=True)
            if type(error).__name__ == "SSLError":
                _trust_what_the_system_trusts()
            continue
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256:
                return path
        cause = None
        path.unlink()
    if cause is None:
        raise KafkaUnavailableError(f"{name}.jar arrives with a sha256 that is not the locked one")
    raise KafkaUnavailableError(
        f"{name}.jar is not in the cache and can't be fetched ({type(cause).__name__}): the first "
        f"start needs the network, and {_CERTIFICATES} where a proxy has certificates of its own"
    ) from cause


def _trust_what_the_system_trusts() -> None:
    """Let requests use the system's certificates, as pip does, and not only the list it brings.

    Behind a proxy of an organisation that opens TLS, only the system knows the proxy's certificate.
    """
    paths = ssl.get_default_verify_paths()
    if not os.environ.get(_CERTIFICATES) and (store := paths.cafile or paths.capath):
        os.environ[_CERTIFICATES] = store
