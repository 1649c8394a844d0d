"""Which of a machine's GPUs a worker takes; no GPU is needed to tell."""

import pytest

from napari_biomedparse.scale.cluster import local_workers
from napari_biomedparse.scale.job import pinned


def test_each_worker_takes_a_gpu_of_its_own():
    with local_workers(2) as pool:
        client = pool._client
        addresses = list(client.scheduler_info()["workers"])
        asked = [client.submit(pinned, "auto", None, 2, workers=[one], pure=False) for one in addresses]
        assert sorted(client.gather(asked)) == ["cuda:0", "cuda:1"]


@pytest.mark.parametrize(
    ("device", "rank", "count", "taken"),
    [
        ("auto", 5, 4, "cuda:1"),
        ("cuda", 3, 2, "cuda:1"),
        ("cuda:1", 0, 2, "cuda:1"),
        ("cpu", 1, 2, "cpu"),
        ("auto", 3, 1, "auto"),
        ("auto", 3, 0, "auto"),
    ],
)
def test_more_workers_than_gpus_share_them_and_what_is_named_is_kept(device, rank, count, taken):
    assert pinned(device, rank, count) == taken
