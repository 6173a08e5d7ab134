"""The device that programs run on: its name, its memory, the folder of what is cached for it."""

import os
import pathlib
import platform
import tempfile

import jax
import platformdirs


def _cpu_model() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def device_name() -> str:
    """One line: `NVIDIA H200`, or the CPU's model and the cores that this process may use."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return f"{_cpu_model()}, {cores} cores"
    return str(device.device_kind)


def default_device() -> jax.Device:
    """The device used when none is given."""
    chosen = getattr(jax.config, "jax_default_device", None)
    return chosen if isinstance(chosen, jax.Device) else jax.local_devices(backend=chosen)[0]


def host_memory() -> jax.sharding.Sharding | None:
    """Pinned host memory of the default device, which the host reads without a copy; None on a CPU."""
    device = default_device()
    kinds = {memory.kind for memory in device.addressable_memories()}
    if device.platform == "cpu" or "pinned_host" not in kinds:
        return None
    return jax.sharding.SingleDeviceSharding(device, memory_kind="pinned_host")


CPU_MEMORY = 8 * 2**30  # memory assumed for a CPU, whose machine shares it with other programs


def memory_bytes() -> int:
    """Bytes of a device's memory that this process may use."""
    stats = jax.local_devices()[0].memory_stats() or {}
    return int(stats.get("bytes_limit", CPU_MEMORY))


def resident_bytes() -> int:
    """Bytes of host memory that this process uses (its resident set); 0 where the system does not tell."""
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def device_key() -> dict[str, str]:
    """What a latency depends on besides the program: device, backend, version of JAX."""
    return {"device": device_name(), "platform": jax.default_backend(), "jax": jax.__version__}


def cache_directory() -> pathlib.Path:
    """The folder of what is cached: `DYSR_CACHE_DIR`, else the user's, or without a home a temporary one."""
    chosen = os.environ.get("DYSR_CACHE_DIR")
    if chosen:
        return pathlib.Path(chosen)
    folder = platformdirs.user_cache_path("dysr_jax", appauthor=False)
    homeless = folder.parts[0] == "~"
    return pathlib.Path(tempfile.gettempdir(), *folder.parts[1:]) if homeless else folder
