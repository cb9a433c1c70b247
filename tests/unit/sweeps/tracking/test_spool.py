import pytest

from sweeps.tracking.record import Record
from sweeps.tracking.spool import Spool

RECORD = Record(
    "id/7",
    "trial 007",
    parent="id",
    start_ms=2_000,
    params={"cost_weight": 0.001, "cost_phases": [[0, 1]]},
    tags={"bimt.role": "trial"},
    points=(("mean/score", 0.1, 10, 2_100), ("mean/score", 1 / 3, 20, 2_200)),
    table={"replicates.json": {"columns": ["seed"], "data": [[0], [1]]}},
    status="FINISHED",
    end_ms=3_000,
    image="diagrams/best.png",
    files={"config.yaml": b"a: 1\n", "deep/er/weights.bin": b"\x00\xff" * 50},
)


def test_a_record_is_read_as_it_was_added(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.add(RECORD)
    (entry,) = spool.entries()
    assert entry.read() == Record(**{**vars(RECORD), "files": {}})
    files = {str(p.relative_to(entry.files)): p.read_bytes() for p in entry.files.rglob("*") if p.is_file()}
    assert files == RECORD.files


def test_entries_wait_in_order_and_those_of_the_next_launch_follow(tmp_path):
    for launch in range(2):
        spool = Spool(tmp_path)
        for n in range(11):
            spool.add(Record(f"{launch}.{n}", "x"))
    expected = [f"{launch}.{n}" for launch in range(2) for n in range(11)]
    assert [entry.read().key for entry in Spool(tmp_path).entries()] == expected


def test_a_removed_entry_leaves_nothing(tmp_path):
    spool = Spool(tmp_path)
    spool.add(RECORD)
    spool.add(Record("other", "x"))
    first, second = spool.entries()
    first.remove()
    assert spool.entries() == [second]
    assert sorted(tmp_path.iterdir()) == [second.path]


@pytest.mark.parametrize("leftover", ["files", "temporary"])
def test_leftovers_of_a_dead_process_are_no_part_of_the_next_record(tmp_path, leftover):
    if leftover == "files":
        (tmp_path / "000000001.files").mkdir()
        (tmp_path / "000000001.files" / "of another.txt").write_text("half")
    else:
        (tmp_path / ".000000001.json.4711").write_text('{"key": "half')
    spool = Spool(tmp_path)
    assert spool.entries() == []
    assert len(list(tmp_path.iterdir())) == 1, "another process may be writing it"
    spool.remove_leftovers()
    assert list(tmp_path.iterdir()) == []
    spool.add(RECORD)
    (entry,) = spool.entries()
    assert not (entry.files / "of another.txt").exists()


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    for name in ("notes.txt", "1.json", "000000001.json.bak"):
        (tmp_path / name).write_text("")
    spool = Spool(tmp_path)
    spool.remove_leftovers()
    assert spool.entries() == []
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    "content", [b"", b'{"key": "id/7", "na', b"\xff\xfe", b"[]", b"{}", b'{"key": "k", "points": [], "x": 1}']
)
def test_an_entry_without_a_record_is_set_aside_with_its_files(tmp_path, content):
    spool = Spool(tmp_path)
    spool.add(RECORD)
    (entry,) = spool.entries()
    entry.path.write_bytes(content)
    assert entry.read() is None
    aside = entry.set_aside()
    assert aside.parent.parent == tmp_path / "unreadable"
    assert aside.read_bytes() == content
    assert (aside.parent / "files" / "config.yaml").read_bytes() == RECORD.files["config.yaml"]
    assert Spool(tmp_path).entries() == []
