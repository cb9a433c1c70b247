from sweeps.tracking import reading


def test_mlflow_is_served_with_a_link_to_each_front(bimt, finished, monkeypatch):
    served = []
    monkeypatch.setattr(reading, "serve", lambda *arguments: served.append(arguments) or 7)
    code, out, errors = bimt("ui", "--store", finished.folder, "--port", "5001")
    assert (code, errors) == (7, [])
    assert out.startswith("MLflow at http://127.0.0.1:5001 (Ctrl-C ends it)\n  front of small: http://127.0.0.1:5001/")
    assert served == [(finished.mlflow_uri, finished.artifacts, 5001)]


def test_a_missing_store_is_refused(bimt, tmp_path):
    code, out, (line,) = bimt("ui")
    assert (code, out) == (2, "")
    assert line == (
        f"bimt: no store in {tmp_path / 'bimt-store'}; launch a sweep first, or give its folder with --store"
    )
