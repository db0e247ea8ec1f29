"""``imagenet_prep.open`` as PyTorch's data set: batches of decoded, normalised images with their labels, from worker
processes of both kinds, and divided over two processes that train together.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import multiprocessing
from torch.distributed import destroy_process_group, gather_object, init_process_group
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader, DistributedSampler

import imagenet_prep
from readers.conftest import Built

OUTPUTS = ("tfrecord", "tfds")
SIDE = 32


def prepared(image: imagenet_prep.LabelledImage) -> tuple[torch.Tensor, int, str]:
    """The recipe: decode, bring to one size, normalise."""
    pixels = torch.from_numpy(image.decode()).permute(2, 0, 1).float() / 255
    return interpolate(pixels[None], (SIDE, SIDE))[0], image.label, image.name


def loaded(view: imagenet_prep.View, **how: Any) -> Iterator[tuple[torch.Tensor, torch.Tensor, list[str]]]:
    return iter(DataLoader(view, batch_size=4, **how))


def opened(built: Built, output: str) -> imagenet_prep.DataSet:
    return imagenet_prep.open(built.out, output=output, transform=prepared)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_every_image_comes_once_with_its_class(built: Built, output: str, method: str, split: str) -> None:
    data = opened(built, output)
    names: list[str] = []
    for images, labels, of_batch in loaded(
        data[split], shuffle=True, num_workers=2, multiprocessing_context=method, generator=torch.Generator()
    ):
        assert images.shape[1:] == (3, SIDE, SIDE)
        assert images.dtype == torch.float32
        assert 0 <= images.min() < images.max() <= 1
        for label, name in zip(labels.tolist(), of_batch, strict=True):
            assert data.classes[label].wnid == built.pictures[name].wnid
        names += of_batch
    plain = imagenet_prep.open(built.out, output=output)
    assert sorted(names) == sorted(image.name for image in plain[split])
    assert len(names) == len(data[split]) > 0


def test_the_default_collation_takes_an_image_as_it_is(built: Built) -> None:
    view = imagenet_prep.open(built.out)["validation"]
    batch = next(iter(DataLoader(view, batch_size=2)))
    assert batch.label.tolist() == [view[0].label, view[1].label]
    assert list(batch.name) == [view[0].name, view[1].name]


@pytest.mark.parametrize("output", OUTPUTS)
def test_bytes_and_sizes_are_those_of_the_source(built: Built, output: str) -> None:
    data = imagenet_prep.open(built.out, output=output)
    for image in (image for split in data for image in data[split]):
        picture = built.pictures[image.name]
        assert image.class_index == picture.class_index
        assert image.decode().shape == (picture.height, picture.width, 3)
        assert not picture.plain or hashlib.sha256(image.image).hexdigest() == picture.sha256


def _train(rank: int, port: int, out: Path, results: str) -> None:
    init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    view = imagenet_prep.open(out, transform=prepared)["train"]
    sampler: DistributedSampler[Any] = DistributedSampler(view)
    seen = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        batches = loaded(view, sampler=sampler, num_workers=2)
        seen.append([name for _, _, names in batches for name in names])
    gathered: list[Any] = [None, None]
    gather_object(seen, gathered if rank == 0 else None)
    if rank == 0:
        torch.save(gathered, results)
    destroy_process_group()


def test_two_processes_divide_it(built: Built, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    multiprocessing.spawn(_train, (port, built.out, str(tmp_path / "seen")), nprocs=2)
    first, second = torch.load(tmp_path / "seen")
    expected = {image.name for image in imagenet_prep.open(built.out)["train"]}
    for epoch in range(2):
        assert len(first[epoch]) == len(second[epoch]) == -(-len(expected) // 2)
        assert set(first[epoch]) | set(second[epoch]) == expected
    assert first[0] != first[1]
