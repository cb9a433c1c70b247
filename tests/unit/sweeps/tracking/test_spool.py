import pytest

from sweeps.tracking.spool import Record, Spool

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


def test_a_record_comes_back_from_the_spool(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.add(RECORD)
    (entry,) = spool.pending()
    record = spool.read(entry)
    assert record.points == RECORD.points
    assert record == Record(**{**vars(RECORD), "files": {}})
    files = spool.files(entry)
    assert {str(p.relative_to(files)): p.read_bytes() for p in files.rglob("*") if p.is_file()} == RECORD.files


def test_entries_wait_in_order_and_new_ones_come_after(tmp_path):
    for launch in range(2):
        spool = Spool(tmp_path)
        for n in range(11):
            spool.add(Record(f"{launch}.{n}", "x"))
    wanted = [f"{launch}.{n}" for launch in range(2) for n in range(11)]
    assert [spool.read(entry).key for entry in spool.pending()] == wanted


def test_an_entry_that_is_done_is_gone(tmp_path):
    spool = Spool(tmp_path)
    spool.add(RECORD)
    spool.add(Record("other", "x"))
    first, second = spool.pending()
    spool.done(first)
    assert spool.pending() == [second]
    assert sorted(tmp_path.iterdir()) == [second]


@pytest.mark.parametrize("left", ["files", "temporary"])
def test_what_a_dead_process_left_halfway_is_no_part_of_the_next_record(tmp_path, left):
    if left == "files":
        (tmp_path / "000000001.files").mkdir()
        (tmp_path / "000000001.files" / "of another.txt").write_text("half")
    else:
        (tmp_path / ".000000001.json.4711").write_text('{"key": "half')
    spool = Spool(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1, "somebody may just be writing it"
    spool.tidy()
    assert list(tmp_path.iterdir()) == []
    spool.add(RECORD)
    (entry,) = spool.pending()
    assert not (spool.files(entry) / "of another.txt").exists()


def test_what_waits_survives_another_launch(tmp_path):
    Spool(tmp_path).add(RECORD)
    (entry,) = Spool(tmp_path).pending()
    assert (Spool(tmp_path).files(entry) / "config.yaml").read_bytes() == RECORD.files["config.yaml"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"{}", b'{"key": "k", "points": [], "x": 1}'])
def test_an_entry_that_is_no_record_is_set_aside_with_its_files(tmp_path, content):
    spool = Spool(tmp_path)
    spool.add(RECORD)
    (entry,) = spool.pending()
    entry.write_bytes(content)
    assert spool.read(entry) is None
    aside = spool.set_aside(entry)
    assert aside.read_bytes() == content
    assert (aside.parent / "files" / "config.yaml").read_bytes() == RECORD.files["config.yaml"]
    assert Spool(tmp_path).pending() == []
    assert aside.exists()
