"""Runs every benchmark in a process of its own: python -m benchmarks [name ...].

Exit status 1 when one fails or, by its own account, misses a bar.
"""

import pkgutil
import subprocess
import sys
from pathlib import Path

NOT_BENCHMARKS = frozenset({"__main__", "tables"})


def names() -> list[str]:
    found = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return [name for name in found if name not in NOT_BENCHMARKS and has_main(name)]


def has_main(name: str) -> bool:
    return "\ndef main(" in (Path(__file__).parent / f"{name}.py").read_text()


def main(asked: list[str]) -> int:
    unknown = set(asked) - set(names())
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; known: {', '.join(names())}", file=sys.stderr)
        return 2
    failed = []
    for name in asked or names():
        print(f"== {name}", flush=True)
        code = f"import sys; from benchmarks.{name} import main; sys.exit(main() is False)"
        if subprocess.run([sys.executable, "-c", code], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed or missed a bar: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
