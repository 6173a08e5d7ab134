"""What a stream did, in a few lines."""

from dysr_jax.report.tables import format_table
from dysr_jax.runtime.trace import Trace


def stream_summary(trace: Trace) -> str:
    """Frames, rate, what was late, the members' shares and the PSNR-Y that they are estimated to give."""
    found = trace.summary()
    if not trace.frames:
        return "no frames"
    held = "in real time" if trace.real_time else "as fast as possible"
    lines = [
        f"{found['frames']} frames in {found['seconds']:.1f} s, {found['frames_per_second']:.1f} a second "
        f"({held}); {trace.fps:.4g} were to be held",
        f"{found['late']} late ({100 * (1 - found['on_time']):.1f} %), {found['interruptions']} "
        f"interruptions of more than two frames, the longest gap {found['longest_gap_ms']:.1f} ms",
        f"{found['switches']} switches; PSNR-Y about {found['mean_psnr_y']:.2f} dB",
    ]
    rows = [
        [name, f"{trace.psnr_y[name]:.2f}", f"{100 * share:.1f} %"]
        for name, share in found["members"].items()
    ]
    return "\n".join([*lines, format_table(["member", "PSNR-Y dB", "frames"], rows)])
