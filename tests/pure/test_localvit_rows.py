"""The rows of "Demystifying Local Vision Transformer", arXiv:2106.04263, as integers."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixspec.compiler.cost import count
from mixspec.compiler.counters import counted
from mixspec.compiler.parse import read
from mixspec.compiler.resolve import resolve

SPECS = Path(__file__).parents[2] / "specs" / "swin"
ROWS = {
    "swin_t": (28_288_354, 4_490_566_656, "elementwise", 4_536_363_448),
    "swin_b": (87_768_224, 15_430_946_816, "macs", 15_430_946_816),
    "dwconv_t": (24_172_744, 3_726_862_848, "elementwise", 3_762_952_936),
    "dwconv_b": (74_347_112, 12_812_261_376, "elementwise", 12_886_874_088),
    "ddwconv_t": (51_131_752, 3_753_819_648, "elementwise", 3_790_129_432),
    "ddwconv_b": (161_597_928, 12_899_506_176, "elementwise", 12_974_717_480),
    "idynamic_t": (26_244_280, 4_374_133_248, "elementwise", 4_354_443_304),
    "idynamic_b": (80_253_608, 14_340_020_224, "elementwise", 14_280_176_936),
    "swin_t_static": (26_132_824, 3_726_862_848, "elementwise", 3_764_382_952),
    "swin_t_static_shared": (24_274_450, 3_726_862_848, "elementwise", 3_764_382_952),
    "swin_t_384": (28_288_354, 14_299_701_504, "elementwise", 14_439_706_882),
    "swin_t_384_w12": (28_338_034, 13_993_752_576, "elementwise", 14_159_199_208),
    "dwconv_t_384": (24_172_744, 10_950_924_288, "elementwise", 11_056_983_016),
    "dwconv_t_384_w12": (24_592_264, 11_350_161_408, "elementwise", 11_456_220_136),
    "swin_t_se": (28_562_614, 4_490_836_224, "elementwise", 4_536_642_400),
    "dwconv_t_se": (24_447_004, 3_727_132_416, "elementwise", 3_763_231_888),
    "dwconv_t_dw": (24_402_376, 3_796_933_632, "elementwise", 3_838_743_784),
    "dwconv_t_dw_se": (24_676_636, 3_797_203_200, "elementwise", 3_839_022_736),
    "dwconv_t_shared": (23_963_122, 3_726_862_848, "elementwise", 3_762_952_936),
    "dwconv_t_ln": (24_172_744, 3_726_862_848, "elementwise", 3_780_113_128),
    "swin_t_bn": (28_288_354, 4_490_566_656, "elementwise", 4_527_783_352),
    "swin_t_ccbn": (28_297_186, 4_490_566_656, "elementwise", 4_530_643_384),
    "dwconv_t_ccbn": (24_190_408, 3_726_862_848, "elementwise", 3_768_673_000),
}


@pytest.mark.parametrize("name", ROWS)
def test_counts_to_the_last_digit(name: str) -> None:
    network = resolve(read(SPECS / f"{name}.yaml"))
    params, macs, counter, work = ROWS[name]
    cost = count(network)
    assert (cost.params, cost.macs, counted(network, counter)) == (params, macs, work)
    assert network.about.published[0].counter == (counter if network.about.published[0].flops else "macs")


def test_every_spec_of_the_paper_is_a_row() -> None:
    about = {path.stem: resolve(read(path)).about for path in SPECS.glob("*.yaml")}
    assert {
        name for name, spec in about.items() if any("2106.04263" in row.source for row in spec.published)
    } == ROWS.keys()
