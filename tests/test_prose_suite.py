"""The strategies that work on prose, under the conformance suite that any plugin may use."""

from __future__ import annotations

import pytest

from ctxplug.compression import CompressionStrategy
from ctxplug.compression.digest import Digest
from ctxplug.compression.drop_low_priority import DropLowPriority
from ctxplug.compression.extractive import Extractive
from ctxplug.compression.merge_similar import MergeSimilar
from ctxplug.compression.summarize import Summarize
from ctxplug.testing.strategy_suite import CompressionStrategySuite


class TestDigest(CompressionStrategySuite):
    @pytest.fixture
    def strategy(self) -> CompressionStrategy:
        return Digest()


class TestExtractive(CompressionStrategySuite):
    @pytest.fixture
    def strategy(self) -> CompressionStrategy:
        return Extractive()


class TestMergeSimilar(CompressionStrategySuite):
    @pytest.fixture
    def strategy(self) -> CompressionStrategy:
        return MergeSimilar()


class TestDropLowPriority(CompressionStrategySuite):
    @pytest.fixture
    def strategy(self) -> CompressionStrategy:
        return DropLowPriority()


class TestSummarize(CompressionStrategySuite):
    @pytest.fixture
    def strategy(self) -> CompressionStrategy:
        return Summarize()
