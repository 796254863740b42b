import hashlib
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routing.document import Problem
from routing.files import folder_reader
from routing.policy import PolicyError, load_policy
from tests.routing.builders import MODELS, SEED_POLICY, policy


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(PolicyError) as refused:
        load_policy(text, source="p.yaml", models=MODELS)
    return str(refused.value).splitlines()


def test_the_seed_form_loads_word_for_word():
    loaded = policy(SEED_POLICY)
    assert [route.models for route in loaded.routes] == [{"typography_focused"}, {"creative_highfidelity"}]
    assert [route.spec.max_latency_ms for route in loaded.routes] == [300, 1200]


def test_the_version_is_of_the_text():
    assert policy(SEED_POLICY).version == hashlib.sha256(SEED_POLICY.encode()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("addition", "expected"),
    [
        ("    max_latency: 3\n", "p.yaml:8:5: model_routing[1].max_latency: there is no such key here"),
        ("    fallback: [nope]\n", "p.yaml:8:16: model_routing[1].fallback[0]: there is no model 'nope'"),
        ("    max_latency_ms: 3\n", "p.yaml:8:5: model_routing[1].max_latency_ms: this key is written twice"),
        ("  - pattern: '(?=x)'\n    model: fast\n", "p.yaml:8:14: model_routing[2].pattern: RE2 refuses"),
        ("  - pattern: x\n", "p.yaml:8:5: model_routing[2]: give the route a model"),
        ("  - model: fast\n", "p.yaml:8:5: model_routing[2]: a route without pattern or match"),
        (
            "  - {pattern: x, model: fast, max_latency_ms: '3'}\n",
            "p.yaml:8:47: model_routing[2].max_latency_ms",
        ),
        ("  - {pattern: x, model: fast, max_latency_ms: .nan}\n", "max_latency_ms"),
        ("  - {pattern: x, model: fast, max_latency_ms: 0}\n", "greater than 0"),
        ("  - {pattern: x, model: fast, stages: [fast]}\n", "give one of model, stages and any_of"),
        ("  - {pattern: x, stages: [fast, creative_highfidelity]}\n", None),
        ("  - {pattern: x, stages: [upscale_2x, nope]}\n", "p.yaml:8:39: model_routing[2].stages[1]"),
        ("  - {pattern: x, quality: [{steps: 3}]}\n", "model_routing[2].quality[0]: names no model"),
        ("  - {pattern: x, model: fast, match: {size: 3x}}\n", "model_routing[2].match.size"),
        ("default: {model: fast, pattern: x}\n", "p.yaml:8:33: default.pattern: the default route takes"),
        ("aliases: {a: {route: nope}}\n", "p.yaml:8:22: aliases.a.route: no route is called 'nope'"),
        ("aliases: {fast: creative_highfidelity}\n", "means something already"),
        ("aliases: {a: {quality: {hd: nope}}}\n", "aliases.a.quality.hd: there is no model 'nope'"),
        ("includes: [other.yaml]\n", "p.yaml:8:12: includes[0]: this policy does not come from a folder"),
    ],
)
def test_each_mistake_is_named_with_its_place(addition, expected):
    if expected is None:
        policy(SEED_POLICY + addition)
    else:
        assert any(expected in line for line in problems(SEED_POLICY + addition))


def test_a_model_that_only_generates_cannot_follow_another():
    from routing.types import Capability
    from tests.routing.builders import facts

    models = {**MODELS, "only": facts("only", frozenset({Capability.GENERATE}))}
    with pytest.raises(PolicyError, match="cannot follow another stage"):
        load_policy("default: {stages: [fast, only]}", source="p", models=models)


def test_every_problem_is_reported_at_once():
    text = "model_routing:\n  - {pattern: '(', model: a}\n  - {pattern: ')', model: b}\n"
    assert len(problems(text)) == 4


def test_two_routes_cannot_share_a_name():
    text = "model_routing:\n  - {name: a, pattern: x, model: fast}\n  - {name: a, pattern: y, model: fast}\n"
    assert "another route is called 'a'" in problems(text)[0]


@pytest.mark.parametrize("text", ["", "# nothing", "[]", "3", "model_routing: []", "model_routing: null"])
def test_a_policy_that_routes_nothing_is_refused(text):
    assert problems(text)


class TestIncludes:
    def load(self, folder, text: str):
        main = folder / "main.yaml"
        main.write_text(text)
        return load_policy(text, source=str(main), models=MODELS, read=folder_reader(main))

    def test_included_routes_come_after_the_files_own(self, tmp_path):
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub/a.yaml").write_text(
            "includes: [b.yaml]\nmodel_routing: [{name: a, pattern: a, model: fast}]"
        )
        (tmp_path / "sub/b.yaml").write_text(
            "model_routing: [{name: b, pattern: b, model: fast}]\ndefault: {model: fast}"
        )
        loaded = self.load(
            tmp_path, "includes: [sub/a.yaml]\nmodel_routing: [{name: m, pattern: m, model: fast}]"
        )
        assert [route.name for route in loaded.routes] == ["m", "a", "b"]
        assert loaded.default is not None
        assert [source.rsplit("/", 1)[-1] for source in loaded.sources] == ["main.yaml", "a.yaml", "b.yaml"]

    def test_a_change_in_an_included_file_is_another_version(self, tmp_path):
        (tmp_path / "a.yaml").write_text("default: {model: fast}")
        before = self.load(tmp_path, "includes: [a.yaml]").version
        (tmp_path / "a.yaml").write_text("default: {model: faster}")
        assert self.load(tmp_path, "includes: [a.yaml]").version != before

    def test_a_problem_names_the_included_file(self, tmp_path):
        (tmp_path / "a.yaml").write_text("default:\n  model: nope\n")
        with pytest.raises(PolicyError, match=r"a\.yaml:2:10: default\.model"):
            self.load(tmp_path, "includes: [a.yaml]")

    @pytest.mark.parametrize(
        ("include", "message"),
        [
            ("../outside.yaml", "must lie in the policy's folder"),
            ("/etc/passwd", "must lie in the policy's folder"),
            ("missing.yaml", "cannot be read: No such file"),
            ("main.yaml", "includes itself: main.yaml -> main.yaml"),
            ("link.yaml", "outside the policy's folder"),
        ],
    )
    def test_what_cannot_be_included(self, tmp_path, include, message):
        (tmp_path.parent / "outside.yaml").write_text("default: {model: fast}")
        (tmp_path / "link.yaml").symlink_to(tmp_path.parent / "outside.yaml")
        with pytest.raises(PolicyError) as refused:
            self.load(tmp_path, f"includes: [{include}]")
        assert message in str(refused.value)
        assert "main.yaml:1:12: includes[0]" in str(refused.value)


@pytest.mark.parametrize(
    ("raster", "message"),
    [
        ("{asset: a.png, typeset: nobody}", "raster_fallback.typeset: there is no model 'nobody'"),
        ("{asset: a.png, typeset: fast}", "raster_fallback.typeset: fast cannot set words over a picture"),
        ("{asset: a.png, text: hello}", "raster_fallback.text: "),
        ("{typeset: typography_focused}", "raster_fallback.asset: "),
        ("''", "raster_fallback: "),
        ("7", "raster_fallback: "),
    ],
)
def test_a_raster_that_cannot_answer_is_refused_with_its_place(raster, message):
    with pytest.raises(PolicyError) as refused:
        policy(f"default: {{model: fast, raster_fallback: {raster}}}")
    assert "policy.yaml:1:" in str(refused.value)
    assert message in str(refused.value)


FULL_POLICY = """\
includes: []
model_routing:
  - name: badges
    pattern: ".*ui-badge.*"
    match: {tenant: [acme, initech], size: [512x512, auto], labels: {team: web}, needs: generate}
    model: typography_focused
    max_latency_ms: 300
    raster_fallback: {asset: badge.png, typeset: typography_focused}
    deterministic: true
  - name: posters
    pattern: &p ".*poster.*"
    quality:
      - {name: hd, model: creative_highfidelity, steps: 30}
      - {name: draft, stages: [{model: creative_highfidelity, steps: 4}, upscale_2x]}
    fallback: [{any_of: [fast, faster]}, hosted]
    normalize: cleaner
    experiment: {name: e, sticky: tenant, arms: [{name: control, weight: 9}, {name: new, model: fast}]}
    shadow: {model: faster, share_ratio: 0.1}
    limits: {per: tenant, concurrency: 2, requests_per_minute: 60, usd_per_hour: 1.5}
  - {match: {prompt: *p}, model: fast}
default: {model: fast}
aliases:
  dall-e-2: fast
  dall-e-3: {quality: {standard: {route: posters, rung: draft}, hd: {route: posters, rung: 0}}}
tenants: {"*": {weight: 1}, acme: {weight: 4, usd_per_hour: 10}}
"""


def test_a_policy_with_everything_loads():
    assert len(policy(FULL_POLICY).routes) == 3


MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(["cut", "insert", "delete", "duplicate_line", "replace_line", "byte"]),
        st.integers(0, len(FULL_POLICY)),
        st.sampled_from(
            [
                "{",
                "]",
                ": ",
                "- ",
                "&p ",
                "*p",
                "\t",
                "null",
                "[]",
                "-1",
                "1e400",
                "0x",
                "!!set {}",
                "\x00",
                "<<: ",
                "'",
                "|",
                "%",
            ]
        ),
    ),
    min_size=1,
    max_size=4,
)


def mutated(data: bytes, kind: str, at: int, piece: str) -> bytes:
    at = min(at, len(data))
    lines = data.split(b"\n")
    line = at % len(lines)
    match kind:
        case "cut":
            return data[:at]
        case "insert":
            return data[:at] + piece.encode() + data[at:]
        case "delete":
            return data[:at] + data[at + 1 + len(piece) :]
        case "duplicate_line":
            return b"\n".join([*lines[: line + 1], *lines[line:]])
        case "replace_line":
            return b"\n".join([*lines[:line], piece.encode(), *lines[line + 1 :]])
    return data[:at] + b"\xff" + data[at:]


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(MUTATIONS)
def test_a_mutated_policy_loads_or_is_refused_with_located_problems_in_under_a_second(mutations):
    data = FULL_POLICY.encode()
    for mutation in mutations:
        data = mutated(data, *mutation)
    started = time.process_time()
    found = problems_or_none(data)
    assert time.process_time() - started < 1.0
    for problem in found or ():
        assert problem.message
        assert 1 <= problem.line <= data.count(b"\n") + 2
        assert problem.column >= 1
    assert found is None or found


def problems_or_none(data: bytes) -> tuple[Problem, ...] | None:
    try:
        load_policy(data, source="p.yaml", models=MODELS)
    except PolicyError as error:
        return error.problems
    return None
