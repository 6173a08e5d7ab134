"""What the program runs on: names for reports, keys for what was measured, where caches live."""

import os
import pathlib
import platform
import tempfile

import jax


def _cpu_model() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device_name() -> str:
    """One line: `NVIDIA H200`, or the CPU's model and the cores that this process may use."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return f"{_cpu_model()}, {_cores()} cores"
    return str(device.device_kind)


def default_device() -> jax.Device:
    """Where arrays go and programs run that are told no device."""
    chosen = getattr(jax.config, "jax_default_device", None)
    return chosen if isinstance(chosen, jax.Device) else jax.local_devices(backend=chosen)[0]


def host_memory() -> jax.sharding.Sharding | None:
    """Pinned host memory of the default device, from which nothing has to be copied to be read.

    Returns:
        None where the backend has none, and on a CPU, where all memory is the host's.
    """
    device = default_device()
    kinds = {memory.kind for memory in device.addressable_memories()}
    if device.platform == "cpu" or "pinned_host" not in kinds:
        return None
    return jax.sharding.SingleDeviceSharding(device, memory_kind="pinned_host")


CPU_MEMORY = 8 * 2**30
"""What `memory_bytes` says of a CPU: machines share theirs with other programs."""


def memory_bytes() -> int:
    """Memory of a device that this process may use."""
    stats = jax.local_devices()[0].memory_stats() or {}
    return int(stats.get("bytes_limit", CPU_MEMORY))


def resident_bytes() -> int:
    """Host memory that this process has in use now (its resident set); 0 where the system does not tell."""
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def device_key() -> dict[str, str]:
    """What a latency is a property of, besides the program: device, backend and versions."""
    return {"device": device_name(), "platform": jax.default_backend(), "jax": jax.__version__}


def cache_directory() -> pathlib.Path:
    """Where what belongs to this device is kept: `DYSR_CACHE_DIR`, else the user's cache folder."""
    chosen = os.environ.get("DYSR_CACHE_DIR")
    if chosen:
        return pathlib.Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (pathlib.Path(base) if base else _home() / ".cache") / "dysr_jax"


def _home() -> pathlib.Path:
    """The user's home; the folder for temporary files where the system knows no home."""
    try:
        return pathlib.Path.home()
    except RuntimeError:
        return pathlib.Path(tempfile.gettempdir())
