"""What an executable runs, counted in its HLO."""

import re

COLUMNS = ("bias conv", "conv", "cudnn fusion", "gemm", "fusion", "copy")


def counts(text: str) -> dict[str, int]:
    """What an executable runs, by its HLO: of the entry and of what goes into CUDA graphs."""
    found: dict[str, int] = {}
    counted = False
    for line in text.splitlines():
        if line and not line[0].isspace():
            counted = line.startswith("ENTRY") or "command_buffer" in line.split("(")[0]
        kind = _kind(line) if counted else None
        if kind:
            found[kind] = found.get(kind, 0) + 1
    return found


def _kind(line: str) -> str | None:
    """Of an instruction: `bias conv`, `conv`, `cudnn fusion`, `gemm`, `fusion`, `copy`."""
    named = re.match(r"\s+(?:ROOT )?%?\S+ = .*?\s([\w-]+)\(", line)
    if not named:
        return None
    if "__cudnn$convBiasActivation" in line:
        return "bias conv"
    if "__cudnn$conv" in line or named[1] == "convolution":
        return "conv"
    if "__cudnn$fusion" in line:
        return "cudnn fusion"
    if "__cublas" in line or "gemm" in line or named[1] == "dot":
        return "gemm"
    opcode = named[1].removesuffix("-start")
    return {"fusion": "fusion", "copy": "copy", "transpose": "copy"}.get(opcode)
