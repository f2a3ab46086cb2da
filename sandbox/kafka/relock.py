"""Write jgo.lock.toml anew from jgo.toml: `python -m sandbox.kafka.relock`, part of `make lock`."""

import tempfile
from pathlib import Path

from jgo.env import EnvironmentBuilder, EnvironmentSpec, LockFile
from jgo.maven import MavenContext

from sandbox.kafka.jars import LOCK_FILE, SPEC_FILE


def main() -> None:
    """Resolve, hash and write; an unchanged set of jars leaves the file as it is."""
    # An empty repository each time: hashes come from what is served now, not from an old cache.
    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder) / "jars", timeout=30)
        builder = EnvironmentBuilder(context=context, cache_dir=Path(folder) / "jgo")
        spec = EnvironmentSpec.load(SPEC_FILE)
        inputs, transitive = context.resolver.resolve(builder.spec_to_dependencies(spec))
        needed = {
            dependency.artifact.key: dependency
            for dependency in [*inputs, *transitive]
            if dependency.scope in {"compile", "runtime"}
        }
        lock = LockFile.from_resolved_dependencies(
            list(needed.values()), environment_name=spec.name
        )
    lock.dependencies.sort(key=lambda jar: (jar.groupId, jar.artifactId))
    new = [jar.to_dict() for jar in lock.dependencies]
    old = LockFile.load(LOCK_FILE).dependencies if LOCK_FILE.exists() else []
    if new == [jar.to_dict() for jar in old]:
        print(f"{LOCK_FILE.name}: {len(new)} jars, unchanged")
        return
    lock.save(LOCK_FILE)
    print(f"{LOCK_FILE.name}: {len(new)} jars written")


if __name__ == "__main__":
    main()
