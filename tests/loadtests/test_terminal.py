from io import StringIO

from rich.console import Console

from loadtests.terminal import live_view, summary_view
from tests.loadtests.report.runs import made_up_run
from tests.loadtests.test_tally import seen, tally


def shown(view) -> list[str]:
    console = Console(file=StringIO(), width=80)
    console.print(view)
    return console.file.getvalue().splitlines()


def test_progress_fits_one_line_of_a_narrow_terminal():
    total = tally([seen(50), seen(12_500)]).total
    (line,) = shown(live_view(total, 12.0, 3600.0, 100_000))
    assert "2/100000 calls" in line
    assert "p99 12.50 s" in line
    assert "failed 0" in line


def test_a_summary_names_outcomes_objectives_and_a_late_generator():
    summary = made_up_run()
    summary["generator"] |= {"late": 3, "late_p99_ms": 12.0}
    text = "\n".join(shown(summary_view(summary)))
    assert "refused_capacity" in text
    assert "met     p99_ms<=2000" in text
    assert "sent 3 calls late" in text
