"""A scenario's shots as Locust users, for teams that have Locust (not a dependency of this project).

    locust -f loadtests/locustfile.py --scenario evening.yaml --host http://127.0.0.1:8000

Locust's users wait for their answers (a closed loop): a slow service slows them down. Use `atelier
loadtest` to see what callers who do not wait for each other would feel.
"""

import itertools
import random
from pathlib import Path
from typing import Any

from locust import HttpUser, constant, events, task  # type: ignore[import-not-found,unused-ignore]

from loadtests.exchange import GENERATIONS, read_answer
from loadtests.scenario import Scenario, load_scenario
from loadtests.workload import Call

_turns = itertools.count()


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator,unused-ignore]
def _add_options(parser: Any) -> None:
    parser.add_argument("--scenario", required=True, help="The scenario whose shots are sent.")


class ImageUser(HttpUser):  # type: ignore[misc,unused-ignore]
    """Sends one shot after the other, chosen by weight."""

    wait_time = constant(0)

    def on_start(self) -> None:
        self.scenario: Scenario = load_scenario(Path(self.environment.parsed_options.scenario))
        self.shots = self.scenario.mix()
        self.weights = [shot.weight for shot in self.shots]

    @task  # type: ignore[untyped-decorator,unused-ignore]
    def generate(self) -> None:
        turn = next(_turns)
        (shot,) = random.choices(self.shots, self.weights)
        body = Call(turn, 0.0, shot, turn).body()
        with self.client.post(GENERATIONS, json=body, name=shot.name, catch_response=True) as response:
            answer = read_answer(response.status_code, response.content or b"")
            if not answer.ok:
                response.failure(answer.code)
