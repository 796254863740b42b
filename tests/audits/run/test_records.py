from pathlib import Path

import pytest

from audits.run.records import FILE_NAME, Answer, Records, RecordsError

ONE = Answer("a/1", "ok", 12.5, models=("m",), revisions=("r",), receipt={"request_id": "1"})
TWO = Answer("a/2", "out_of_memory", 1.0, error="no")


def _written(folder: Path) -> bytes:
    records = Records(folder)
    records.add(ONE)
    records.add(TWO)
    records.close()
    return (folder / FILE_NAME).read_bytes()


def test_answers_are_read_back(tmp_path: Path) -> None:
    _written(tmp_path)
    assert Records(tmp_path).answers == {"a/1": ONE, "a/2": TWO}


def test_cut_off_at_any_byte_whole_lines_count_and_the_file_can_be_gone_on_with(tmp_path: Path) -> None:
    text = _written(tmp_path / "whole")
    for length in range(len(text)):
        folder = tmp_path / "cut"
        folder.mkdir(exist_ok=True)
        (folder / FILE_NAME).write_bytes(text[:length])
        records = Records(folder)
        for answer in (ONE, TWO):
            if answer.cell not in records.answers:
                records.add(answer)
        records.close()
        assert (folder / FILE_NAME).read_bytes() == text


def test_an_answer_is_recorded_once(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.add(ONE)
    with pytest.raises(ValueError, match="answered before"):
        records.add(ONE)


def test_equal_pictures_are_one_file(tmp_path: Path) -> None:
    records = Records(tmp_path)
    assert records.keep(b"picture", "png") == records.keep(b"picture", "png")
    assert len(list((tmp_path / "pictures").iterdir())) == 1


def test_another_file_is_refused_by_its_line(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"not": "ours"}\n')
    with pytest.raises(RecordsError, match=r"answers\.jsonl:1: not an answer"):
        Records(tmp_path)
