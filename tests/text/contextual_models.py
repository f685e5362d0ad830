"""Tiny transformers with random weights, made from configurations; and the directory `tiny_bert` beside this file.

    python tests/text/contextual_models.py

writes that directory, which sentence-transformers would call a model, anew.
"""

import json
from pathlib import Path
from typing import Any

TINY_BERT = Path(__file__).parent / "tiny_bert"
TEXTS = [
    "my wedding ring", "boxers in the ring, and more of them", "", "Don't ring me at ten: the café is shut", "a",
    "the bell rings and rings and rings until somebody opens the door of the house",
]  # fmt: skip
_SMALL = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "initializer_range": 0.3}


def save(config: Any, tokenizer: Any, folder: Path, *, seed: int = 0) -> Path:
    """Write a model of a configuration, with random weights, and its tokenizer."""
    import torch
    from transformers import AutoModel

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def wordpieces(folder: Path) -> Any:
    """BERT's tokenizer, whose pieces are letters and a few words."""
    from transformers import BertTokenizer

    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789"]
    words = ["ring", "wedding", "boxers", "the", "bell", "rang", "in", "my"]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"!',.:;?-", *letters, *words, *(f"##{x}" for x in letters)]
    (folder / "vocab.txt").write_text("\n".join([*pieces, "##ing", "##ed"]))
    return BertTokenizer(str(folder / "vocab.txt"))


def byte_pairs(folder: Path, cls: str, **tokens: str) -> Any:
    """A tokenizer of GPT-2's kind, learned from `TEXTS`."""
    import transformers
    from tokenizers import ByteLevelBPETokenizer

    learned = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    learned.train_from_iterator(TEXTS, vocab_size=290, min_frequency=1, special_tokens=special, show_progress=False)
    learned.save_model(str(folder))
    return getattr(transformers, cls)(str(folder / "vocab.json"), str(folder / "merges.txt"), **tokens)


def bert(folder: Path, **options: Any) -> Path:
    from transformers import BertConfig

    tokenizer = wordpieces(folder)
    sizes = {"vocab_size": len(tokenizer), "intermediate_size": 32, "max_position_embeddings": 64}
    return save(BertConfig(**_SMALL | sizes | options), tokenizer, folder)


def distilbert(folder: Path) -> Path:
    from transformers import DistilBertConfig

    tokenizer = wordpieces(folder)
    config = DistilBertConfig(
        vocab_size=len(tokenizer), dim=16, hidden_dim=32, n_layers=2, n_heads=2, max_position_embeddings=64,
        initializer_range=0.3,
    )  # fmt: skip
    return save(config, tokenizer, folder)


def roberta(folder: Path) -> Path:
    from transformers import RobertaConfig

    tokenizer = byte_pairs(folder, "RobertaTokenizer")
    config = RobertaConfig(
        **_SMALL, vocab_size=len(tokenizer), intermediate_size=32, max_position_embeddings=66, pad_token_id=1,
        bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    return save(config, tokenizer, folder)


def gpt2(folder: Path) -> Path:
    from transformers import GPT2Config

    tokenizer = byte_pairs(folder, "GPT2Tokenizer", unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=64, n_embd=16, n_layer=2, n_head=2, initializer_range=0.3,
        bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    return save(config, tokenizer, folder)


def fnet(folder: Path, **options: Any) -> Path:
    """A model that mixes all positions, padding among them."""
    from transformers import FNetConfig

    tokenizer = wordpieces(folder)
    config = FNetConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=2, initializer_range=0.3,
        max_position_embeddings=64, pad_token_id=tokenizer.pad_token_id, **options,
    )  # fmt: skip
    return save(config, tokenizer, folder)


def clip_text(folder: Path) -> Path:
    """A model that normalizes its last states after it has noted them down."""
    from transformers import CLIPTextConfig

    tokenizer = wordpieces(folder)
    sizes = {"vocab_size": len(tokenizer), "intermediate_size": 32, "max_position_embeddings": 64}
    config = CLIPTextConfig(**_SMALL | sizes, pad_token_id=0, bos_token_id=2, eos_token_id=3, initializer_factor=20.0)
    return save(config, tokenizer, folder)


def codegen(folder: Path) -> Path:
    """A model whose configuration knows no padding."""
    from transformers import CodeGenConfig

    tokenizer = wordpieces(folder)
    config = CodeGenConfig(
        vocab_size=len(tokenizer), n_positions=64, n_embd=16, n_layer=2, n_head=4, rotary_dim=4, initializer_range=0.3,
    )  # fmt: skip
    return save(config, tokenizer, folder)


def write(path: Path, value: Any) -> None:
    """Write JSON."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def modules(*kinds: str) -> list[dict[str, str]]:
    """The steps of a directory of sentence-transformers."""
    folders = {"Transformer": "", "Pooling": "1_Pooling", "Dense": "2_Dense"}
    return [{"path": folders.get(kind, kind), "type": f"sentence_transformers.models.{kind}"} for kind in kinds]


if __name__ == "__main__":
    TINY_BERT.mkdir(exist_ok=True)
    bert(TINY_BERT)
    write(TINY_BERT / "modules.json", modules("Transformer", "Pooling", "Normalize"))
    write(TINY_BERT / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True, "word_embedding_dimension": 16})
    write(TINY_BERT / "sentence_bert_config.json", {"max_seq_length": 48, "do_lower_case": False})
    prompts = {"prompts": {"query": "ring the bell: "}, "default_prompt_name": None}
    write(TINY_BERT / "config_sentence_transformers.json", prompts)
