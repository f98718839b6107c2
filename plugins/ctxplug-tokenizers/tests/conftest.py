"""Tokenizers that are trained on the spot: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

CHATML = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
SAYINGS = (
    "I moved to Lisbon last week, and the flight left at 11:30.",
    "我上周搬到了里斯本，航班在十一点半起飞。",
    "system\nuser\nassistant\ntool\n",
)

Train = Callable[..., Path]


@pytest.fixture(scope="session")
def train(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Return what trains a byte-level BPE with special tokens `marks` and gives its file."""

    def made(marks: Sequence[str] = CHATML, name: str = "tiny", size: int = 420) -> Path:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=list(marks),
            initial_alphabet=alphabet,
            show_progress=False,
        )
        tokenizer.train_from_iterator(SAYINGS * 30, trainer)
        tokenizer.enable_truncation(8)  # as files of encoders do; a counter must not obey it
        tokenizer.enable_padding(length=64)
        if "<|endoftext|>" in marks:  # nor is a mark counted that a template would add
            one = ("<|endoftext|>", tokenizer.token_to_id("<|endoftext|>"))
            tokenizer.post_processor = processors.TemplateProcessing(
                single="<|endoftext|> $A", special_tokens=[one]
            )
        folder = tmp_path_factory.mktemp("models") / name
        folder.mkdir()
        tokenizer.save(str(folder / "tokenizer.json"))
        return folder / "tokenizer.json"

    return made


@pytest.fixture(scope="session")
def file(train: Train) -> Path:
    """Return the file of a tokenizer with the marks of ChatML."""
    return train()
