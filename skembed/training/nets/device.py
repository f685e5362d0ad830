"""Devices and seeds that leave the process as it was."""

import torch

__all__ = ["resolve_device", "seeded_generator"]


def resolve_device(device: str) -> torch.device:
    """Turn the parameter `device` into a device that is there.

    Parameters
    ----------
    device : str
        "auto" is the first CUDA device if there is one, else the CPU; anything else is taken as torch does.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If the device is not known or not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(1, device=resolved)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device is {device!r} and cannot be used here ({reason}); expected 'auto', 'cpu' or a device of this "
            "machine."
        ) from error
    return resolved


def seeded_generator(seed: int) -> torch.Generator:
    """Return a CPU generator of its own."""
    return torch.Generator(device="cpu").manual_seed(seed)
