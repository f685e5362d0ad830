"""Pointers of Git LFS in place of files of models."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from skembed import EmbeddingTable, ImageEmbedder
from skembed.apply.contextual_model import ModelOptions, open_contextual_model
from skembed.apply.model_directory import read_model_directory
from skembed.data.pointers import refuse_pointers
from skembed.text import LineCorpus

TINY_BERT = Path(__file__).parents[1] / "text" / "tiny_bert"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 438007537\n"
SAID = "is a pointer of Git LFS in place of the file; fetch it by git lfs pull"


def test_files_that_are_pointers_are_named(tmp_path):
    for name, content in (("other", b"version 1"), ("empty", b""), ("large", POINTER + bytes(2_000))):
        (tmp_path / name).write_bytes(content)
    refuse_pointers([tmp_path, tmp_path / "none", *tmp_path.iterdir()])
    (tmp_path / "pointer").write_bytes(POINTER)
    with pytest.raises(ValueError, match=f"pointer {SAID}"):
        refuse_pointers(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["model.safetensors", "tokenizer.json", "config.json", "modules.json", "1_Pooling/config.json"]
)
def test_a_directory_of_sentence_transformers(tmp_path, name):
    folder = tmp_path / "model"
    shutil.copytree(TINY_BERT, folder)
    for unused in ("model.fp16.safetensors", "pytorch_model.bin"):
        (folder / unused).write_bytes(POINTER)
    read_model_directory(folder)
    (folder / name).write_bytes(POINTER)
    with pytest.raises(ValueError, match=f"{name} {SAID}"):
        read_model_directory(folder)


@pytest.mark.parametrize("name", ["elmo_weights.hdf5", "elmo_options.json", "encoder.safetensors", "cove.pth"])
def test_other_models_on_texts(tmp_path, name):
    (tmp_path / name).write_bytes(POINTER)
    with pytest.raises(ValueError, match=f"{name} {SAID}"):
        open_contextual_model(tmp_path, ModelOptions(device="cpu"))


@pytest.mark.parametrize("name", ["net.pth", "net.onnx", "net.safetensors"])
def test_models_on_images(tmp_path, name):
    (tmp_path / name).write_bytes(POINTER)
    with pytest.raises(ValueError, match=f"{name} {SAID}"):
        ImageEmbedder(str(tmp_path / name)).fit([np.zeros((64, 64, 3), np.uint8)])


def test_a_file_of_documents(tmp_path):
    (tmp_path / "corpus.txt").write_bytes(POINTER)
    with pytest.raises(
        ValueError, match=r"corpus.txt' is no text, but a pointer of Git LFS in place of the file; fetch"
    ):
        list(LineCorpus(tmp_path / "corpus.txt"))


def test_a_file_of_vectors(tmp_path):
    (tmp_path / "words.bin").write_bytes(POINTER)
    with pytest.raises(ValueError, match="a pointer of Git LFS in place of the file; fetch it by git lfs pull"):
        EmbeddingTable.load(tmp_path / "words.bin")
