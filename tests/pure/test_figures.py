"""Figures as papers print them: read, compared to the printed digit, and written."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mixspec.compiler.lint.figures import Printed, amount, printed, scaled, short


@pytest.mark.parametrize(
    "text, exact, agrees",
    [
        ("28M", 28_499_999, True),
        ("28M", 28_500_001, False),
        ("4.6G", 4_550_000_000, True),
        ("4.6G", 4_549_999_999, False),
        ("25.58M", 25_576_264, True),
        ("25.58M", 25_585_001, False),
        ("0", 0, True),
    ],
)
def test_figures_agree_to_the_printed_digit(text: str, exact: int, agrees: bool) -> None:
    figure = printed(text)
    assert figure is not None and figure.agrees(exact) is agrees


@pytest.mark.parametrize(
    "text, value, step",
    [
        ("1,234", "1234", "1"),
        ("1.50k", "1500", "10"),
        ("28M", "28E6", "1E6"),
        (" 28.3m ", "28.3E6", "1E5"),
        ("4.5B", "4.5E9", "1E8"),
        ("4.5g", "4.5E9", "1E8"),
        ("1.25T", "1.25E12", "1E10"),
    ],
)
def test_every_unit(text: str, value: str, step: str) -> None:
    assert printed(text) == Printed(Decimal(value), Decimal(step))


@pytest.mark.parametrize("text", ["", "thirty", "28 million", "-3M", "5e9", "M", "1.", "28MiB", "1,23", "28Mx"])
def test_what_is_no_figure(text: str) -> None:
    assert printed(text) is None


@pytest.mark.parametrize(
    "text, number",
    [
        ("30M", 30_000_000),
        ("4.5G", 4_500_000_000),
        ("1,000", 1000),
        ("3KB", 3000),
        ("3MB", 3_000_000),
        ("1GB", 10**9),
        ("1.5TB", 1_500_000_000_000),
        ("1KiB", 1024),
        ("512MiB", 512 * 1024**2),
        ("2.5GiB", 5 * 2**29),
        ("1TiB", 2**40),
        (7, 7),
        ("thirty", None),
        ("", None),
        ("5e9", None),
        ("1gib", None),
    ],
)
def test_amounts(text: str | int, number: int | None) -> None:
    assert amount(text) == number


@pytest.mark.parametrize(
    "exact, text",
    [
        (1000, "1.000k"),
        (26_340_400, "26.34M"),
        (999_999_999, "1000.0M"),
        (10**9, "1.000G"),
        (4_536_363_448, "4.536G"),
        (10**12, "1.000T"),
        (12_601_767_936_000, "12.60T"),
    ],
)
def test_numbers_are_short(exact: int, text: str) -> None:
    assert short(exact) == text


def test_an_exact_number_has_one_digit_more_than_the_figure_it_stands_beside() -> None:
    for figure, exact, text in (("4.5G", 4_536_363_448, "4.54G"), ("28M", 28_288_354, "28.3M"), ("950k", 950, "950")):
        assert printed(figure).show(exact) == text
    assert scaled(28_288_354, Decimal(1)) == "28.288354M", "no more digits than there are"
