"""What can be said of the Dockerfile without an engine to build it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def _instructions(text: str) -> list[tuple[str, str]]:
    """(instruction, arguments) in order, continuation lines joined, comments dropped."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    found = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(parts[0].upper(), parts[1] if len(parts) > 1 else "") for parts in found]


def lint(text: str) -> list[str]:
    """Problems, one sentence each."""
    steps = _instructions(text)
    problems = []
    stages: set[str] = set()
    digests = {value for name, value in steps if name == "ARG" and value.endswith("_DIGEST")}
    for name, value in steps:
        if name == "FROM":
            image, *alias = re.split(r"\s+AS\s+", value, flags=re.IGNORECASE)
            pinned = re.search(r"@(?:sha256:[0-9a-f]{64}|\$\{(\w+)\})$", image)
            if image not in stages and not pinned:
                problems.append(f"FROM {image} is not pinned by a digest")
            if pinned and pinned[1] and pinned[1] not in digests:
                problems.append(f"FROM {image} uses a digest argument that is not declared without a default")
            stages.update(alias)
        if name == "ADD":
            problems.append(f"ADD {value}: use COPY")
        if name in ("ENV", "ARG") and re.search(r"(?i)(password|secret|token|api_?key)", value):
            problems.append(f"{name} {value} looks like a secret")
        if name == "RUN" and re.search(r"(curl|wget)\b.*\|\s*(ba|z)?sh\b", value):
            problems.append(f"RUN {value} pipes a download into a shell")
        if name == "RUN" and re.search(r"\b(sudo|chmod\s+(-R\s+)?777)\b", value):
            problems.append(f"RUN {value} widens rights")
    last = max((i for i, (name, _) in enumerate(steps) if name == "FROM"), default=0)
    users = [value for name, value in steps[last:] if name == "USER"]
    if not users or not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", users[-1]):
        problems.append("the last stage does not end as a numeric user other than root")
    if sum(name == "FROM" for name, _ in steps) < 2:
        problems.append("one stage only: build tools would ship")
    return problems


def test_dockerfile_is_clean() -> None:
    assert lint((REPOSITORY / "Dockerfile").read_text()) == []


def test_hadolint_finds_nothing() -> None:
    """The common linter; what is specific here is checked by `lint` above."""
    program = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([program, "Dockerfile"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("@${PYTHON_DIGEST} AS runtime", " AS runtime"), "not pinned"),
        (("ARG PYTHON_DIGEST\n", "ARG PYTHON_DIGEST=sha256:0\n"), "without a default"),
        (("USER 1000:1000", "USER root"), "other than root"),
        (("USER 1000:1000", ""), "other than root"),
        (("COPY serve ./serve", "ADD https://example.com/serve.tar ./serve"), "use COPY"),
        (("WORKDIR /src", "RUN curl https://example.com/x | sh"), "pipes a download"),
        (("WORKDIR /src", "ENV HF_TOKEN=abc"), "looks like a secret"),
    ],
)
def test_lint_sees(change: tuple[str, str], problem: str) -> None:
    text = (REPOSITORY / "Dockerfile").read_text()
    broken = text.replace(*change)
    assert broken != text
    assert any(problem in each for each in lint(broken))


def test_login_shells_find_the_programs() -> None:
    """KubeRay starts containers with `bash -lc`; /etc/profile of Debian forgets the image's PATH."""
    text = (REPOSITORY / "Dockerfile").read_text()
    for program in ("ray", "serve", "atelier", "python"):
        assert re.search(rf"for program in [^;]*\b{program}\b[^;]*;.*usr/local/bin", text)


def test_build_context_is_an_allow_list_without_weights() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert "**/*.safetensors" in rules
    assert not any(rule.startswith(("!models", "!tests", "!.git")) for rule in rules)


def test_copied_paths_are_in_the_build_context() -> None:
    allowed = {line[1:].rstrip("/") for line in (REPOSITORY / ".dockerignore").read_text().splitlines()}
    for name, value in _instructions((REPOSITORY / "Dockerfile").read_text()):
        if name == "COPY" and not value.startswith("--from="):
            *sources, _ = value.split()
            assert set(sources) <= allowed
