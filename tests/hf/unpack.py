"""Unpack the tests that the source distribution of transformers holds: `python unpack.py SDIST_FOLDER TARGET_FOLDER`.

They become the package `transformers_tests`: under their own name, `tests`, they would be taken for ours.
"""

import sys
import tarfile
from pathlib import Path

import transformers


def unpack(sdists: Path, target: Path) -> Path:
    """Write the package for the installed version of transformers into `target` and return its folder."""
    name = f"transformers-{transformers.__version__}"
    package = target / "transformers_tests"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    with tarfile.open(sdists / f"{name}.tar.gz") as archive:
        for member in archive:
            path = Path(member.name)
            if member.isfile() and path.parent == Path(name, "tests"):
                content = archive.extractfile(member)
                assert content is not None, "a file has content"
                (package / path.name).write_bytes(content.read())
    return package


if __name__ == "__main__":
    print(unpack(*map(Path, sys.argv[1:])))
