"""Model folders that cannot be used, one way each: what a broken copy, a wrong hand or a stranger leaves.

`CASES[name]` breaks the folder of a small sound model, and is paired with a pattern of the one line that must come.
"""

import json
import os
import pickle
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from whet.models.tiny import TINY_FOLDER

__all__ = ["CASES", "sound_folder"]

Break = Callable[[Path], None]


def sound_folder(folder: Path) -> Path:
    """A random Llama of two layers with the tokenizer of whet:tiny."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=898,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(TINY_FOLDER).save_pretrained(folder)
    return folder


# Bytes and headers of the weights


def content(name: str, change: Callable[[bytes], bytes]) -> Break:
    def break_(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return break_


def weights(change: Callable[[bytes], bytes]) -> Break:
    return content("model.safetensors", change)


def header(change: Callable[[dict[str, Any]], Any]) -> Break:
    """The header as JSON, changed, in front of the same bytes."""

    def break_(folder: Path) -> None:
        path = folder / "model.safetensors"
        before = path.read_bytes()
        end = 8 + int.from_bytes(before[:8], "little")
        value = change(json.loads(before[8:end]))
        text = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + before[end:])

    return break_


def norm(change: Mapping[str, Any]) -> Break:
    """One entry of the header, that of the last norm."""
    return header(lambda value: {**value, "model.norm.weight": {**value["model.norm.weight"], **change}})


def tensors(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Break:
    """Sound files with other tensors."""

    def break_(folder: Path) -> None:
        found = {name: tensor.clone() for name, tensor in load_file(folder / "model.safetensors").items()}
        save_file(change(found), folder / "model.safetensors", {"format": "pt"})

    return break_


def twins(value: dict[str, Any]) -> str:
    text = json.dumps(value)
    return f'{text[:-1]}, "model.norm.weight": {json.dumps(value["model.norm.weight"])}}}'


def moved(value: dict[str, Any], by: int) -> dict[str, Any]:
    """The last tensor that lies in the file, so many bytes from where it lay."""
    last = max((entry for entry in value.values() if "dtype" in entry), key=lambda entry: entry["data_offsets"])
    last["data_offsets"] = [place + by for place in last["data_offsets"]]
    return value


def replaced(name: str, put: Callable[[Path], None]) -> Break:
    def break_(folder: Path) -> None:
        (folder / name).unlink()
        put(folder / name)

    return break_


def linked_out(path: Path) -> None:
    outside = path.parents[1] / f"outside-{path.parent.name}"
    shutil.copy(TINY_FOLDER / "model.safetensors", outside)
    path.symlink_to(outside)


WEIGHTS: dict[str, tuple[Break, str]] = {
    "cut in half": (weights(lambda data: data[: len(data) // 2]), r"model\.safetensors: cut off, .* bytes of tensors"),
    "cut by a byte": (weights(lambda data: data[:-1]), r"model\.safetensors: cut off"),
    "cut in the header": (weights(lambda data: data[:100]), r"model\.safetensors: its header would be [\d,]+ bytes of"),
    "a byte too long": (weights(lambda data: data + b"\0"), r"model\.safetensors: longer than its header says"),
    "empty": (weights(lambda data: b""), r"model\.safetensors: empty"),
    "five bytes": (weights(lambda data: data[:5]), r"model\.safetensors: only 5 bytes"),
    "a header without end": (weights(lambda data: b"\xff" * 7 + b"\x0f" + data[8:]), r"its header would be"),
    "a header longer than the file": (weights(lambda data: (1 << 28).to_bytes(8, "little") + data[8:]), "its header"),
    "no header": (weights(lambda data: bytes(8) + data[8:]), r"model\.safetensors: its header is not valid JSON"),
    "random bytes": (weights(lambda data: bytes(range(256)) * 40), r"model\.safetensors: its header would be"),
    "a pickle": (weights(lambda data: pickle.dumps({"a": list(range(999))})), r"model\.safetensors: its header"),
    "text": (weights(lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "its header"),
    "a header that is no JSON": (header(lambda value: "{" + "x" * 40), r"its header is not valid JSON"),
    "a header that is a list": (header(lambda value: [value]), r"its header is no JSON object"),
    "a header nested without end": (header(lambda value: "[" * 100_000), r"its header is not valid JSON"),
    "a name twice": (header(twins), r"a name stands twice"),
    "tensors that overlap": (header(lambda value: moved(value, -64)), r"overlaps the tensor before it"),
    "a gap": (header(lambda value: moved(value, 64)), r"leaves a gap before it"),
    "an entry that is a number": (header(lambda value: {**value, "x": 7}), r"tensor 'x' has no sound dtype"),
    "an entry without offsets": (header(lambda value: {**value, "x": {"dtype": "F32", "shape": [1]}}), "'x' has no"),
    "a negative size": (norm({"shape": [-16]}), r"'model\.norm\.weight' has no sound dtype, shape"),
    "a size without end": (norm({"shape": [1 << 62, 1 << 62]}), r"'model\.norm\.weight' of shape"),
    "a size beyond a machine's number": (norm({"shape": [10**30]}), r"'model\.norm\.weight' has no sound dtype"),
    "a size that is a fraction": (norm({"shape": [16.0]}), r"'model\.norm\.weight' has no sound dtype"),
    "another shape than bytes": (norm({"shape": [17]}), r"'model\.norm\.weight' of shape \[17\] in F32 has 64 bytes"),
    "another type than bytes": (norm({"dtype": "F64"}), r"in F64 has 64 bytes"),
    "an unknown type": (norm({"dtype": "F7"}), r"is of the unknown dtype 'F7'"),
    "offsets the wrong way": (norm({"data_offsets": [64, 0]}), r"'model\.norm\.weight' of shape"),
    "three offsets": (norm({"data_offsets": [0, 64, 64]}), r"'model\.norm\.weight' has no sound"),
    "not finite": (
        tensors(lambda all_: all_ | {"model.norm.weight": torch.full((16,), float("nan"))}),
        r"the weights of model\.norm\.weight are not finite",
    ),
    "a tensor too few": (
        tensors(lambda all_: {name: value for name, value in all_.items() if name != "model.norm.weight"}),
        r"1 missing keys in its weights, as model\.norm\.weight",
    ),
    "a tensor too many": (
        tensors(lambda all_: all_ | {"model.extra.weight": torch.ones(3)}),
        r"1 unexpected keys in its weights, as model\.extra\.weight",
    ),
    "a tensor of another shape": (
        tensors(lambda all_: all_ | {"model.norm.weight": torch.ones(8)}),
        r"its weights hold model\.norm\.weight of shape \[8\], but its config\.json asks for \[16\]",
    ),
    "of another model": (
        replaced("model.safetensors", lambda path: shutil.copy(TINY_FOLDER / path.name, path)),
        r"hold (lm_head|model\.embed_tokens)\.weight of shape \[1536, 128\], but its config\.json",
    ),
    "no tensors": (tensors(lambda all_: {}), r"asks for at least [\d,]+ parameters, but the weights hold 0"),
    "a folder": (replaced("model.safetensors", Path.mkdir), r"model\.safetensors: no ordinary file"),
    "a pipe": (replaced("model.safetensors", os.mkfifo), r"model\.safetensors: no ordinary file"),
    "a link out": (replaced("model.safetensors", linked_out), r"model\.safetensors: a link out of the folder"),
    "a link to nowhere": (
        replaced("model.safetensors", lambda path: path.symlink_to("gone")),
        r"model\.safetensors: a link that leads nowhere",
    ),
    "links in a circle": (
        replaced("model.safetensors", lambda path: path.symlink_to(path.name)),
        r"model\.safetensors: a link that leads nowhere",
    ),
    "pickled weights only": (
        lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin") and None,
        r"pytorch_model\.bin, which can run code when loaded; whet reads safetensors only",
    ),
    "an adapter alone": (
        lambda folder: (folder / "model.safetensors").rename(folder / "adapter_model.safetensors") and None,
        r"no model\.safetensors and no model\.safetensors\.index\.json, only adapter_model\.safetensors",
    ),
}


def index(change: Callable[[dict[str, str]], Any]) -> Break:
    """The weights in a shard with an index, changed."""

    def break_(folder: Path) -> None:
        shard = "model-00001-of-00001.safetensors"
        (folder / "model.safetensors").rename(folder / shard)
        value = change(dict.fromkeys(load_file(folder / shard), shard))
        text = value if isinstance(value, str) else json.dumps(value)
        (folder / "model.safetensors.index.json").write_text(text)

    return break_


def first_in(places: dict[str, str], file: str) -> dict[str, Any]:
    return {"metadata": {}, "weight_map": {**places, "model.norm.weight": file}}


INDEX: dict[str, tuple[Break, str]] = {
    "a shard outside": (index(lambda places: first_in(places, "../model.safetensors")), r"index\.json: names '\.\./"),
    "a shard anywhere": (index(lambda places: first_in(places, "/etc/passwd")), r"index\.json: names '/etc/passwd'"),
    "a shard that is gone": (index(lambda places: first_in(places, "model-2.safetensors")), r"names 'model-2\.safe"),
    "a shard that is the config": (index(lambda places: first_in(places, "config.json")), r"names 'config\.json'"),
    "a shard that is a number": (index(lambda places: first_in(places, 7)), r"index\.json: has no weight_map"),  # type: ignore[arg-type]
    "no map": (index(lambda places: {"metadata": {}}), r"index\.json: has no weight_map"),
    "a map that is a list": (index(lambda places: {"weight_map": list(places)}), r"index\.json: has no weight_map"),
    "an index that is a list": (index(list), r"index\.json: has no weight_map"),
    "a tensor that is elsewhere": (
        index(lambda places: {"weight_map": {**places, "model.extra.weight": next(iter(places.values()))}}),
        r"index\.json: 1 tensors are not where it says, as model\.extra\.weight",
    ),
    "an index cut": (index(lambda places: json.dumps({"weight_map": places})[:50]), r"index\.json: not valid JSON"),
    "an index nested without end": (index(lambda places: "[" * 90_000), r"index\.json: nested 90000 levels deep"),
}


def config(**changes: Any) -> Break:
    def break_(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return break_


CONFIG: dict[str, tuple[Break, str]] = {
    "no config": (lambda folder: (folder / "config.json").unlink(), r": no config\.json"),
    "empty": (content("config.json", lambda data: b""), r"config\.json: not valid JSON"),
    "cut": (content("config.json", lambda data: data[:200]), r"config\.json: not valid JSON"),
    "not UTF-8": (content("config.json", lambda data: b"\xff\xfe" + data), r"config\.json: not valid JSON"),
    "a list": (content("config.json", lambda data: b"[1, 2]"), r"config\.json: a list, where an object"),
    "nested without end": (content("config.json", lambda data: b"[" * 90_000), r"config\.json: nested 90000 levels"),
    "five megabytes": (config(x="y" * 5_000_000), r"config\.json: larger than [\d,]+ bytes"),
    "a number without end": (
        content("config.json", lambda data: b'{"a": 1' + b"0" * 5000 + b"," + data[1:]),
        r"config\.json: not valid JSON",
    ),
    "a link to a secret": (
        replaced("config.json", lambda path: path.symlink_to("/etc/hostname")),
        r"config\.json: a link out of the folder",
    ),
    "no model type": (config(model_type=None), r"config\.json: has no model_type"),
    "a model type that is a list": (config(model_type=["llama"]), r"config\.json: has no model_type"),
    "an unknown model type": (config(model_type="llamma"), r"cannot be loaded"),
    "a type with code of its own": (
        config(model_type="mine", auto_map={"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}),
        r"cannot be loaded",
    ),
    "a model that only reads": (config(model_type="bert"), r"cannot be loaded|in its weights"),
    "a model of pictures": (config(model_type="vit"), r"cannot be loaded|in its weights"),
    "ten million layers": (config(num_hidden_layers=10**7), r"config\.json: num_hidden_layers is 10000000; .* 10,000"),
    "nine thousand layers": (config(num_hidden_layers=9000), r"config\.json: asks for 9,000 layers, .* hold 2"),
    "a layer too many": (config(num_hidden_layers=3), r"9 missing keys in its weights"),
    "minus two layers": (config(num_hidden_layers=-2), r"config\.json: num_hidden_layers is -2"),
    "no layers": (config(num_hidden_layers=0), r"unexpected keys in its weights"),
    "a list of layers": (config(num_hidden_layers=[2, 2]), r"num_hidden_layers is \[2, 2\], where a whole number"),
    "a width that is a word": (config(hidden_size="16"), r"hidden_size is '16', where a whole number was expected"),
    "a width that is a fraction": (config(hidden_size=16.5), r"hidden_size is 16\.5, where a whole number"),
    "a width that is true": (config(hidden_size=True), r"hidden_size is True, where a whole number"),
    "a negative width": (config(hidden_size=-16), r"hidden_size is -16; what a model can have"),
    "a width of 2^40": (config(hidden_size=1 << 40), r"hidden_size is 1099511627776"),
    "another width": (
        config(hidden_size=32),
        r"its weights hold [\w.]+ of shape \[.*\], but its config",
    ),
    "no heads": (config(num_attention_heads=0), r"num_attention_heads is 0"),
    "a billion heads": (config(num_attention_heads=10**9), r"num_attention_heads is 1000000000"),
    "heads that do not divide": (config(num_attention_heads=5), r"5, no multiple of num_key_value_heads, 2"),
    "heads that nothing divides": (
        config(num_attention_heads=7, num_key_value_heads=7, head_dim=None),
        r"hidden size \(16\) is not a multiple of the number of attention heads",
    ),
    "a head of 2^30": (config(head_dim=1 << 30), r"head_dim is 1073741824"),
    "a vocabulary of 2^40": (config(vocab_size=1 << 40), r"vocab_size is 1099511627776"),
    "a vocabulary of 60 million": (config(vocab_size=60_000_000), r"asks for at least 960,000,064 parameters"),
    "no vocabulary": (config(vocab_size=0), r"vocab_size is 0"),
    "a smaller vocabulary": (
        config(vocab_size=800),
        r"of shape \[898, 16\], but its config\.json asks for \[800",
    ),
    "a context of 10^12": (config(max_position_embeddings=10**12), r"max_position_embeddings is 1000000000000"),
    "a context that is a list": (config(max_position_embeddings=[64]), r"max_position_embeddings is \[64\]"),
    "a billion labels": (config(num_labels=10**9), r"num_labels is 1000000000"),
    "experts without end": (
        config(num_hidden_layers=9000, num_local_experts=60_000),
        r"num_local_experts is 60,000 in 9,000 layers",
    ),
    "an integer beyond a machine's": (config(pretraining_tp=10**40), r"pretraining_tp is 1000"),
    "a list without end": (config(layer_types=["full_attention"] * 200_000), r"layer_types is a list of 200,000"),
    "not a number": (config(rms_norm_eps=float("nan")), r"config\.json: rms_norm_eps is nan"),
    "infinite": (config(rope_parameters={"rope_theta": float("inf")}), r"rope_parameters\.rope_theta is inf"),
    "an unknown dtype": (config(dtype="float7"), r"dtype is 'float7'; known: auto, bfloat16"),
    "a dtype that is a list": (config(dtype=["float32"]), r"dtype is \['float32'\]; known"),
    "a dtype that is code": (config(torch_dtype="__import__('os')"), r"torch_dtype is .*; known"),
    "an unknown activation": (config(hidden_act="nonsense"), r"cannot be loaded"),
    "rotations of no kind": (
        config(rope_parameters={"rope_type": "nonsense", "rope_theta": 1e4}),
        r"cannot be loaded",
    ),
    "rotations that are a number": (config(rope_parameters=7), r"cannot be"),
    "quantised for a library that is not there": (
        config(quantization_config={"quant_method": "gptq", "bits": 4}),
        r"cannot be loaded \(ImportError",
    ),
    "a text model that is a number": (config(model_type="gemma3", text_config=7), r"cannot be loaded"),
    "another model's layers within": (
        config(text_config={"num_hidden_layers": 10**8}),
        r"text_config\.num_hidden_layers is 100000000",
    ),
    "generation settings cut": (
        content("generation_config.json", lambda data: data[:20]),
        r"generation_config\.json: not valid JSON",
    ),
    "generation settings a list": (
        content("generation_config.json", lambda data: b"[]"),
        r"generation_config\.json: no",
    ),
}


def tokenizer(change: Callable[[dict[str, Any]], Any]) -> Break:
    def break_(folder: Path) -> None:
        path = folder / "tokenizer.json"
        value = change(json.loads(path.read_text()))
        path.write_text(value if isinstance(value, str) else json.dumps(value))

    return break_


def in_model(**changes: Any) -> Break:
    return tokenizer(lambda value: {**value, "model": {**value["model"], **changes}})


def split_by(pattern: str) -> Break:
    piece = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return tokenizer(lambda value: {**value, "pre_tokenizer": piece})


def doubling(value: dict[str, Any]) -> dict[str, Any]:
    step = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    return {**value, "normalizer": {"type": "Sequence", "normalizers": [step] * 60}}


def settings(**changes: Any) -> Break:
    def break_(folder: Path) -> None:
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return break_


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def instead(**files: bytes) -> Break:
    """Files of an older kind in the place of `tokenizer.json`."""

    def break_(folder: Path) -> None:
        no_tokenizer(folder)
        for name, content_ in files.items():
            (folder / name.replace("_", ".")).write_bytes(content_)

    return break_


TOKENIZERS: dict[str, tuple[Break, str]] = {
    "no tokenizer": (no_tokenizer, r": no tokenizer"),
    "empty": (content("tokenizer.json", lambda data: b""), r"tokenizer\.json: empty"),
    "cut": (content("tokenizer.json", lambda data: data[:5000]), r"tokenizer\.json: cannot be used \("),
    "a list": (tokenizer(lambda value: [value]), r"tokenizer\.json: no JSON object"),
    "nested without end": (tokenizer(lambda value: '{"a":' * 90_000), r"tokenizer\.json: nested 90000 levels deep"),
    "no model": (tokenizer(lambda value: {**value, "model": None}), r"tokenizer\.json: cannot be used \("),
    "an unknown model": (in_model(type="Nonsense"), r"tokenizer\.json: cannot be used \("),
    "a vocabulary that is a list": (in_model(vocab=["a", "b"]), r"tokenizer\.json: cannot be used \("),
    "ids below zero": (in_model(vocab={"a": -1}), r"tokenizer\.json: cannot be used \("),
    "ids beyond a machine's": (in_model(vocab={"a": 10**20}), r"tokenizer\.json: cannot be used \("),
    "merges of tokens that are not there": (in_model(merges=[["nowhere", "else"]]), r"tokenizer\.json: cannot be used"),
    "ids beyond the embedding": (
        tokenizer(
            lambda value: {
                **value,
                "added_tokens": [*value["added_tokens"], {**value["added_tokens"][0], "id": 898, "content": "<more>"}],
            }
        ),
        r"token ids up to 898, but the model embeds only 898",
    ),
    "a pattern that is none": (split_by("(unclosed"), r"tokenizer\.json: cannot be used \("),
    "a pattern that never ends": (split_by("^(a|aa)+b"), r"tokenizer\.json: cannot be used \("),
    "a text that doubles without end": (tokenizer(doubling), r"tokenizer\.json: cannot be used \("),
    "settings cut": (
        content("tokenizer_config.json", lambda data: data[:30]),
        r"tokenizer_config\.json: not valid JSON",
    ),
    "settings that are a list": (
        content("tokenizer_config.json", lambda data: b"[]"),
        r"tokenizer_config\.json: no JSON",
    ),
    "a class that is a number": (settings(tokenizer_class=7), r"its tokenizer cannot be loaded"),
    "an end that is a list": (settings(eos_token=["<eos>"]), r"its tokenizer cannot be loaded"),
    "tokens with words for ids": (
        settings(added_tokens_decoder={"one": {"content": "<one>"}}),
        r"its tokenizer cannot be loaded|tokenizer\.json",
    ),
    "pieces that are noise": (instead(tokenizer_model=bytes(range(256)) * 9), r"its tokenizer cannot be loaded"),
    "merges that are noise": (instead(vocab_json=b'{"a": 0}', merges_txt=bytes(range(256))), r"its tokenizer cannot"),
    "a vocabulary cut": (instead(vocab_json=b'{"a": 0, "b"', merges_txt=b""), r"its tokenizer cannot be loaded"),
    "a pipe": (replaced("tokenizer.json", os.mkfifo), r"tokenizer\.json: no ordinary file|no tokenizer"),
    "a link out": (
        replaced("tokenizer.json", lambda path: path.symlink_to(TINY_FOLDER / path.name)),
        r"tokenizer\.json: a link out of the folder",
    ),
}

CASES: dict[str, tuple[Break, str]] = {
    f"{kind}: {name}": case
    for kind, cases in (("weights", WEIGHTS), ("index", INDEX), ("config", CONFIG), ("tokenizer", TOKENIZERS))
    for name, case in cases.items()
}
