import os

import pytest

from flare_mesh.compiled import processor


@pytest.fixture
def host(monkeypatch):
    """Set the features of the processor, and those that the user asks for."""

    def choose(features, chosen=None):
        monkeypatch.setattr(processor, "get_host_cpu_features", lambda: features)
        monkeypatch.setattr(processor.config, "CPU_FEATURES", chosen)
        monkeypatch.delenv("NUMBA_CPU_FEATURES", raising=False)
        processor.registers.cache_clear()

    yield choose
    processor.registers.cache_clear()


@pytest.mark.parametrize(
    ("features", "registers"),
    [
        ("+sse2,-avx,-avx512f", (16, 16)),
        ("+avx,+avx2,-avx512f", (32, 16)),
        ("+avx,+avx2,+avx512f", (64, 32)),
        ("+neon,+fp-armv8", (16, 32)),
    ],
)
def test_registers(host, features, registers):
    host(features)
    assert processor.registers() == registers
    host(features, chosen="")  # as with NUMBA_CPU_NAME=generic
    assert processor.registers() == (16, 16)


def test_wide_vectors_only_with_avx512_and_without_a_choice_of_the_user(host, monkeypatch):
    host("+avx,-avx512f")
    processor.use_wide_vectors()
    assert "NUMBA_CPU_FEATURES" not in os.environ
    host("+avx,+avx512f", chosen="+avx")
    processor.use_wide_vectors()
    assert processor.config.CPU_FEATURES == "+avx"
    host("+avx,+avx512f")
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "")  # restores the variable at the end
    monkeypatch.delenv("NUMBA_CPU_FEATURES")
    processor.use_wide_vectors()
    assert os.environ["NUMBA_CPU_FEATURES"] == "+avx,+avx512f,-prefer-256-bit"


def test_features_that_the_processor_lacks(host):
    host("+avx,+avx2,-avx512f,-amx-bf16")
    processor.check_features()
    host("+avx,+avx2,-avx512f,-amx-bf16", chosen="+avx,-avx2,+unknown")
    processor.check_features()
    host("+avx,+avx2,-avx512f,-amx-bf16", chosen="+avx,+avx512f,+amx-bf16")
    with pytest.raises(RuntimeError, match="asks for avx512f, amx-bf16, which this processor"):
        processor.check_features()
