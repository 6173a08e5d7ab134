"""The weights of one member as safetensors, cut to what it reads, and a page that names every tensor."""

from dysr_jax.bundle import Bundle, Member
from dysr_jax.model import Params, compact_params, params_to_bytes, slot_name

_LAYOUTS = {
    1: "bias: output channels",
    2: "1x1 convolution: input channels, output channels",
    3: "depthwise convolution: rows, columns, channels",
    4: "convolution: rows, columns, input channels, output channels",
}

_PAGE = """# {name}, x{scale}

{weights} weights; {quality}.

A frame of RGB in [0, 1], less 0.5, goes through {path}. The head is a 3x3 convolution as a matrix: rows,
columns and colours of its input, by output channels. What each branch computes stands in
`dysr_jax/model/branches.py`. The upsampler gives 3 x {scale} x {scale} channels per pixel: rows of
sub-pixels, columns, colours. The input pixel is added to each of its sub-pixels, and the result is clipped to
[0, 1].

| tensor | branch | shape | layout |
| --- | --- | --- | --- |
{rows}
"""


def tensors_file(bundle: Bundle, member: Member, precision: str, licence: str | None) -> bytes:
    """A safetensors file of the kernels of a member, cut to its branches and width."""
    told = {"arch": member.name, "scale": str(bundle.space.scale), "psnr_y": f"{member.psnr_y:.3f}"}
    told |= {"license": licence} if licence else {}
    return params_to_bytes(_cut(bundle, member), precision, told)


def _cut(bundle: Bundle, member: Member) -> Params:
    return compact_params(bundle.params, bundle.space, [member.arch])


def tensors_page(bundle: Bundle, member: Member) -> str:
    """What the file holds, as Markdown."""
    space = bundle.space
    branches = {"head": "head"} | {
        slot_name(space, slot): names[member.arch[slot]] for slot, names in enumerate(space.slots)
    }
    rows = []
    for part, kernels in _cut(bundle, member).items():
        for name, value in kernels.items():
            sides, layout = "x".join(map(str, value.shape)), _LAYOUTS[value.ndim]
            rows.append(f"| `{part}/{name}` | {branches[part]} | {sides} | {layout} |")
    quality = f"PSNR-Y {member.psnr_y:.2f} dB, bicubic {bundle.bicubic_psnr_y:.2f}"
    fields = {"scale": space.scale, "weights": f"{member.parameters:,}", "quality": quality}
    return _PAGE.format(name=member.name, path=" -> ".join(branches.values()), rows="\n".join(rows), **fields)
