from bimt_core.labels import readable
from bimt_core.tasks import task


def test_formulas_are_printed_readably() -> None:
    names = [name for of in ("independence", "compositionality") for name in task(of).output_names]
    assert list(map(readable, names)) == [
        "(x₁ + x₃)³",
        "x₂² + sin(π x₄)",
        "√((x₁-x₂)² + (x₃-x₄)²)",
    ]
    assert [readable(name) for name in ("upper moon", "0231", "e12", "x^12")] == [
        "upper moon",
        "0231",
        "e12",
        "x¹²",
    ]
