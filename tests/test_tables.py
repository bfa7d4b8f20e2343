"""Markdown tables of results."""
import numpy as np
import pytest

from pipeline import tables


def test_numbers_stand_on_the_right_and_nan_is_a_dash():
    assert tables.markdown(["net", "AP", "faces"], [["P-Net", 0.12345, 7], ["O-Net", np.float32("nan"), "1,000"]]) == (
        "| net | AP | faces |\n"
        "| --- | ---: | ---: |\n"
        "| P-Net | 0.123 | 7 |\n"
        "| O-Net | - | 1,000 |")


def test_decimals_and_a_bar_within_a_cell():
    assert tables.markdown(["a|b", "x"], [["c|d", 2.0]], decimals=1).splitlines()[-1] == "| c\\|d | 2.0 |"


def test_no_rows_are_a_head_alone_and_a_short_row_is_refused():
    assert tables.markdown(["a"], []) == "| a |\n| --- |"
    with pytest.raises(ValueError, match="1 cells under 2"):
        tables.markdown(["a", "b"], [["c"]])
