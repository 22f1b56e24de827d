"""Encodings of equal SSIM: found between two, and where two are looked for."""

from __future__ import annotations

import pytest

from engines.errors import StreamtoonError
from eval.bench.equal_quality import EncodedPoint, at_ssim, bracket


def _encoder(crf: int) -> EncodedPoint:
    """An encoder that loses 1 dB of SSIM and a tenth of its bytes, and gains 0.5 ms, per CRF."""
    return EncodedPoint(crf, 1 - 10 ** (-(40 - crf) / 10), 30 - crf / 2, 100 * 0.9**crf)


@pytest.mark.parametrize(("start", "crf"), [(10, 17.25), (17, 17.25), (30, 17.25), (18, 18.0), (21, 18.0)])
def test_an_encoder_is_found_at_any_ssim(start: int, crf: float) -> None:
    wanted = 1 - 10 ** (-(40 - crf) / 10)
    tried: list[int] = []

    def encode(at: int) -> EncodedPoint:
        tried.append(at)
        return _encoder(at)

    low, high = bracket(encode, wanted, start, range(1, 52))
    assert low.ssim <= wanted <= high.ssim
    assert low.crf - high.crf == 3
    assert len(tried) == len(set(tried))
    found = at_ssim(low, high, wanted)
    assert found.crf == pytest.approx(crf)
    assert found.cpu_ms == pytest.approx(30 - crf / 2)
    assert found.kilobytes == pytest.approx(100 * 0.9**crf)
    assert found.ssim == wanted


@pytest.mark.parametrize("ssim", [0.0, 0.99999])
def test_an_ssim_out_of_reach_is_an_error(ssim: float) -> None:
    with pytest.raises(StreamtoonError, match=r"no CRF from 10 to 30 gives an SSIM of"):
        bracket(_encoder, ssim, 20, range(10, 31))
