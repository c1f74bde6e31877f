"""All that depends on where torch computes: devices, random streams, and bits that do not change."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

#: Size of the state of torch's Mersenne Twister, and where its 624 words of 8 bytes begin.
_STATE, _WORDS = 5056, 24


def present() -> tuple[str, ...]:
    """Devices of this machine that compute in float64: ``("cpu", "cuda:0", ...)``."""
    return ("cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count())))


def as_device(device: torch.device | str) -> torch.device:
    """The device of this name, its index filled in.

    Raises
    ------
    TypeError
        Neither a name nor a ``torch.device``.
    ValueError
        No such device on this machine; the message lists those present.
    """
    if not isinstance(device, (str, torch.device)):
        raise TypeError(f"device={device!r} is a {type(device).__name__}: it must be a name such as 'cpu'")
    try:
        found = torch.device(device)
    except RuntimeError:
        found = None
    if found is not None and found.type == "cuda" and found.index is None and torch.cuda.is_available():
        found = torch.device("cuda", torch.cuda.current_device())
    name = None if found is None else "cpu" if found.type == "cpu" else str(found)
    if name not in present():
        raise ValueError(f"device={str(device)!r}: this machine has {', '.join(present())}")
    return torch.device(name)


def check_generator(generator: torch.Generator, device: torch.device) -> None:
    """Refuse to draw from torch's global stream, or from one of another kind of device.

    Raises
    ------
    TypeError
        None, which torch takes for its global stream, or anything else that is no ``torch.Generator``.
    ValueError
        A generator that lives elsewhere.
    """
    make = f"torch.Generator({str(device)!r}).manual_seed(0)"
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator={generator!r} is a {type(generator).__name__}: all that is random comes from a "
            f"generator of your own, e.g. generator={make}"
        )
    if generator.device.type != device.type:
        raise ValueError(
            f"generator lives on {generator.device}, the sampler on {device}: pass e.g. generator={make}"
        )


def stream(seed: int, shard: int, device: torch.device) -> torch.Generator:
    """The random stream of one shard, spawned from the seed.

    On a CPU all 624 words of the Mersenne Twister come from ``SeedSequence(seed, spawn_key=(shard,))``:
    ``manual_seed`` reads 32 bits alone, so that two of 100,000 shards would often be the same.

    Raises RuntimeError where torch stores its state in another way than the one known here.
    """
    source = np.random.SeedSequence(seed, spawn_key=(shard,))
    generator = torch.Generator(device)
    if device.type != "cpu":
        return generator.manual_seed(int(source.generate_state(1, np.uint64)[0]) >> 1)
    state = generator.get_state().numpy().copy()
    if len(state) != _STATE:
        raise RuntimeError(
            f"torch {torch.__version__} keeps its generator in {len(state)} bytes, not {_STATE}: its "
            f"streams cannot be seeded; use a torch between 2.5 and 2.13"
        )
    state[:_WORDS] = np.frombuffer(np.array([1, (1 << 32) | 1, 0], dtype="<u8").tobytes(), dtype=np.uint8)
    words = source.generate_state(624, np.uint32).astype("<u8")
    state[_WORDS : _WORDS + 8 * 624] = np.frombuffer(words.tobytes(), dtype=np.uint8)
    generator.set_state(torch.from_numpy(state))
    return generator


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """One thread, no TF32 and deterministic kernels, as they were before on leaving.

    On CUDA an operation without a deterministic kernel raises torch's warning about it as an error, whether
    it is the package's or the policy's own. The one exception is the cumulated sum of floats: torch refuses
    it as a whole, but only its scan of one long vector depends on timing. Those along the rows of a batch do
    not, and the package takes no long one on a GPU; for cumulated sums inside a policy nothing is promised.

    The bits of a sum depend on how many threads share it. These settings belong to the process: a caller
    that runs shards in threads of its own enters once around all of them, and each thread calls
    ``torch.set_num_threads(1)``, which OpenMP keeps for each thread.
    """
    with ExitStack() as restore:
        restore.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)
        if device.type == "cuda":
            restore.enter_context(_deterministic_cuda())
        yield


@contextmanager
def _deterministic_cuda() -> Iterator[None]:
    # cuBLAS reads it when its first handle is made.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
    )
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    # Else torch fills every new tensor, which is a pass over its memory.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # A warning only, so that cumsum can be let through; all other warnings of the kind are errors.
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".* does not have a deterministic implementation")
            warnings.filterwarnings("error", message="Deterministic behavior was enabled with")
            warnings.filterwarnings("ignore", message="cumsum_cuda_kernel does not have a deterministic")
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before[2:4]
        torch.utils.deterministic.fill_uninitialized_memory = before[4]  # type: ignore[attr-defined]
