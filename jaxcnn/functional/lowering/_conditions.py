"""The conditions of the rule in `_choice`: what a case's shapes say about the bytes and the products it takes on CPU."""

from math import prod

from . import _winograd, fft, patches, winograd
from ._case import NEWER, Case

SPILLS = 4 << 20  # bytes of g, beside which a kernel gradient's other operands leave the cache
STREAMS = NEWER  # XLA:CPU reads a large 1×1 convolution faster than a product; 0.10.2 at half the rate
# channels and multiply-adds from which 16 products for 36 pay for their transforms on maps of any size
DEEP = (256, 1 << 28)
PAYS = (128, 1 << 28) if NEWER else DEEP  # 0.12 runs these convolutions at half the rate of 0.10.2


def contracted(case: Case) -> int:
    """Channels that one output channel sums over: of the adjoint for an input gradient."""
    return case.c_out_of_group if case.direction == "input_grad" else case.c_in_of_group


def strided_gradient(case: Case) -> bool:
    """Input gradients that put zeros between outputs."""
    return case.direction == "input_grad" and not case.unit_stride


def depthwise(case: Case) -> bool:
    """Whether every channel is convolved alone."""
    return case.groups > 1 and case.c_in_of_group == 1 and case.c_out_of_group == 1


def narrow(case: Case) -> bool:
    """So few channels a group, and so few terms, that a sum over taps beats a matrix product."""
    most = 8 if case.unit_stride or case.direction == "conv" else 4
    return contracted(case) <= most and contracted(case) * case.taps <= 72


def scattered(case: Case) -> bool:
    """Strides or gaps so wide that of what lies between two outputs nearly all is zeros."""
    return prod(case.window.stride) >= 16 or max(case.window.dilation) > 1


def few_channels(case: Case) -> bool:
    """First layers. Measured up to 27 terms on planes (5 × 5 of one channel too), 81 in volumes."""
    if case.direction == "kernel_grad" or not (case.unit_stride or case.rank == 2):
        return False
    terms = case.taps * contracted(case)
    if case.direction == "input_grad":
        return case.c_in == 1 and terms <= 150 and case.c_out <= 8
    if case.rank == 2 and terms > 25 and (case.c_out > 32 or NEWER and case.n == 1):
        return False  # VGG's first layer: faster on neither version with one image; EfficientNet's with one is not from 0.12
    return case.c_in <= 3 and terms <= {1: 25, 2: 27}.get(case.rank, 81)


def large(case: Case) -> bool:
    """Whether transforms are estimated at two thirds of the direct sum's time; rates measured on two AVX-512 cores.

    Not in float64: there is nothing finer to transform in, and the norm-wise error would be larger than the direct sum's.
    """
    if case.taps < 100 or case.adds_in != "float32":
        return False
    if case.groups > 1:
        direct_rate = 10e9
    else:
        direct_rate = 100e9 * min(1, case.c_in * case.c_out / 256)
    return 1.5 * 1.5 * fft.operations(case) / 20e9 < 2 * case.multiply_adds / direct_rate


def tiny(case: Case) -> bool:
    """So few output pixels that a convolution is one small matrix product; its patches are cheap."""
    return case.groups == 1 and (prod(case.outputs) <= 16 or case.positions <= 98)


def bytes_of_g(case: Case) -> int:
    """In float32. Written as a convolution, a kernel gradient has g where a convolution has its kernel, read for each tap."""
    return 4 * case.positions * case.c_out


def filtered(case: Case) -> bool:
    """3 × 3 windows with enough channels and work, and a bound within that of the direct sum.

    With 64 channels the tiles take more from memory than they save, but for kernel gradients to more channels of several
    images, and where a direct sum would run on one core. Small maps need more channels, or a g that a direct sum would read
    from memory; 4 × 4 takes 0.7 s to compile.
    """
    small = prod(case.outputs) <= 16
    if small or winograd.supports(case) is not None or not _winograd.within_direct(case, winograd.TRANSFORM):
        return False
    channels, work, wide = min(case.c_in, case.c_out), case.multiply_adds, wide_map(case)
    if case.direction == "kernel_grad":
        several = case.n >= 4 or channels >= 128 or bytes_of_g(case) >= SPILLS and not NEWER
        many = wide and work >= 1 << 28 and several
        return channels >= 64 and many or channels >= 128 and bytes_of_g(case) >= SPILLS // 2
    if on_one_core(case):
        return channels >= 64 and work >= 1 << 24
    enough = channels >= 160 or channels >= 128 and (NEWER or max(case.c_in, case.c_out) >= 256)
    return wide and enough and work >= (1 << 31 if case.direction == "conv" else 1 << 29) or _pays(case, *PAYS)


def on_one_core(case: Case) -> bool:
    """Whether XLA:CPU runs a convolution of planes on one core, forward or as the adjoint of one at stride 1.

    Before jax 0.12 it shares out tiles of a row's pixels and channels alone, and doubles a tile until `(pixels + channels) ·
    terms` reaches 65,536 (YNNPACK's `choose_split_factors`).
    """
    if NEWER or case.direction == "kernel_grad" or case.rank != 2 or case.groups > 1:
        return False
    back = case.direction == "input_grad"
    width, channels = (case.space if back else case.outputs)[-1], case.c_in if back else case.c_out
    terms, pixels, few = min(case.taps * contracted(case), 1024), min(width, 16), min(channels, 64)
    while (pixels + few) * terms < 1 << 16 or pixels * few < min(width, 64) * min(channels, 64):
        if pixels < width and (pixels < 4 * few or few >= channels):
            pixels *= 2
        elif few < channels:
            few *= 2
        else:
            break
    return pixels >= width and few >= channels


def deep(case: Case) -> bool:
    """Whole tiles, for on odd maps the last are half zeros, and more work than a kernel larger than the images saves."""
    return filtered(case) and _pays(case, *DEEP) and not any(o % 2 for o in case.outputs)


def _pays(case: Case, channels: int, work: int) -> bool:
    """Not where the kernel, 16/9 as large transformed, is read for few pixels."""
    if case.direction == "kernel_grad" or min(case.c_in, case.c_out) < channels:
        return False
    return case.multiply_adds >= work and 4 * case.positions >= 3 * max(case.c_in, case.c_out)


def tiled(case: Case) -> bool:
    """Kernel gradients for `winograd` before `images`, on wide maps before jax 0.12."""
    return not NEWER and min(case.c_in, case.c_out) >= 64 and prod(case.outputs) >= 3136 and filtered(case)


def spilling(case: Case) -> bool:
    """Kernel gradients, but of lines, whose g leaves the cache: soonest where taps lie apart, by strides, and on wide maps."""
    if case.n < 4 or case.direction != "kernel_grad" or case.taps == 1 or case.rank == 1:
        return False
    least, channels = 20 << 20, max(case.c_in, case.c_out)
    if case.rank == 2 and case.c_in >= 32 and channels < 128:
        afar = not case.unit_stride and channels <= 64
        least = SPILLS // 2 if afar or wide_map(case) else SPILLS
    if not NEWER and case.rank == 2 and not case.unit_stride and 9 < case.taps <= 16:
        least = SPILLS
    return bytes_of_g(case) >= least


def side_by_side(case: Case) -> bool:
    """Forward, windows that do not overlap. Before jax 0.12 XLA:CPU runs a convolution of few channels on one core."""
    if case.direction != "conv" or case.groups > 1 or not patches.tiles(case):
        return False
    if NEWER:
        return case.taps > 1 and (16 <= case.taps < 256 and case.n >= 4 or case.c_in >= 384 or case.rank == 3)
    return case.taps == 1 or case.c_out >= 32


def many_channels(case: Case) -> bool:
    """One matrix product of patches reads the kernel once, or writes its gradient once. Lines lose (wav2vec 10.4 to 13.9 ms)."""
    if case.groups > 1 or case.rank == 1 or min(case.c_in, case.c_out) < 512 or case.taps > 9:
        return False
    return case.direction == "kernel_grad" or case.direction == "conv" and case.positions <= 1600


def strided_product(case: Case) -> bool:
    """Strided kernel gradients of many channels: a product of patches. 4 × 4 are too large before jax 0.12, 5 × 5 ever."""
    if (
        case.direction != "kernel_grad"
        or case.rank != 2
        or case.unit_stride
        or case.groups > 1
        or not 1 < case.taps <= 16
    ):
        return False
    few = case.taps <= 9
    many = case.c_in >= 128 and case.c_out >= 256 and (few or NEWER or case.n == 1)
    return case.c_in >= 64 and (many or few and bytes_of_g(case) >= SPILLS // 2)


def wide_map(case: Case) -> bool:
    """Planes of 28 × 28 outputs and more."""
    return prod(case.outputs[-2:]) >= 784


def short_rows(case: Case) -> bool:
    """A banded matrix of at most three times the numbers, where XLA:CPU gathers large patches of few channels."""
    short = case.space[-1] <= 3 * case.window.size[-1]
    return case.rank == 2 and case.unit_stride and short and case.taps >= 25 and 2 <= case.c_in <= 16 and case.n >= 8


def narrow_gradient(case: Case) -> bool:
    """The product stays in the cache."""
    few = 2 <= case.c_in <= 8 <= case.c_out and case.rank == 2 and case.unit_stride
    return few and case.taps > 1 and case.n >= 4 and bytes_of_windows(case) <= 8 << 20


def beyond(case: Case) -> bool:
    """A dense window that reaches past the image on every axis: XLA:CPU runs it without its fast convolution."""
    w = case.window
    return case.groups == 1 and max(w.dilation) == 1 and all(k > n for k, n in zip(w.size, case.space))


def cached_fold(case: Case) -> bool:
    """A product that stays in the cache and contracts enough: with many more channels than it sums over it is mostly written.

    Where a direct sum multiplies no zeros and has no gaps to skip, it wins sooner. Rows that lie on several devices would be
    gathered.
    """
    if case.direction != "input_grad" or case.groups > 1 or case.taps == 1 or case.c_in > max(2 * case.c_out, 4):
        return False
    if case.partitioned:
        return False
    gaps = not case.unit_stride or max(case.window.dilation) > 1
    if case.c_in <= 4:
        return bytes_of_windows(case) <= (16 if case.taps >= 25 else 2) << 20
    return bytes_of_windows(case) <= ((8 if wide_map(case) else 16) if gaps else 4) << 20


def apart(case: Case) -> bool:
    """Strided gradients for `phases`: of more than four channels, which they would not fill, or of large windows."""
    return strided_gradient(case) and case.groups == 1 and case.taps > 1 and (case.c_in > 4 or case.taps >= 25)


def first_layer(case: Case) -> bool:
    """Large patches of few channels and terms, or up to four channels, to 32 and, strided, to 64."""
    if case.direction != "kernel_grad" or case.taps * case.c_in > 150:
        return False
    return case.c_in <= 4 and case.c_out >= (32 if case.unit_stride else 64) or bytes_of_windows(case) >= 4 << 20


def larger_than_image(case: Case) -> bool:
    """Kernel gradients with more outputs than pixels on an axis: as a convolution, their window is larger than the image."""
    more = any(o > n for o, n in zip(case.outputs, case.space))
    return more and case.direction == "kernel_grad" and case.groups == 1 and not case.partitioned


def small_patches(case: Case) -> bool:
    """Kernel gradients of up to nine taps, strided from few channels to many or back, or to eight times as many."""
    if case.direction != "kernel_grad" or case.groups > 1 or not 1 < case.taps <= 9 or case.c_in <= 4:
        return False
    if case.partitioned:  # rows that lie on several devices would be gathered
        return False
    few, many = sorted((case.c_in, case.c_out))
    if not case.unit_stride and many >= 2 * few:
        return bytes_of_windows(case) <= 64 << 20
    return 8 * case.c_in <= case.c_out and bytes_of_windows(case) <= 8 << 20


def bytes_of_windows(case: Case) -> int:
    """Every window as a row of float32: the patches of x, or the product that `fold` adds up."""
    return 4 * case.positions * case.taps * case.c_in


def bundled(case: Case) -> bool:
    """Input gradients of volumes that are strided, or whose window is one pixel wide and high."""
    if case.direction != "input_grad" or case.rank != 3 or case.groups > 1 or case.taps == 1:
        return False
    return not case.unit_stride or prod(case.window.size[1:]) == 1


def by_planes(case: Case) -> bool:
    """Volumes of up to 16 taps of the depth, which are written out.

    Not input gradients to planes four times the outputs, where the adjoint is mostly margins, nor kernel gradients of 512
    channels, which gain nothing and compile six times as long.
    """
    if case.taps == 1 or case.window.size[0] > 16:
        return False
    if case.direction == "input_grad":
        return 4 * prod(case.outputs[-2:]) >= prod(case.space[-2:])
    return case.direction == "conv" or min(case.c_in, case.c_out) < 512


def streamed(case: Case) -> bool:
    """1×1 to fewer channels, whose operand leaves the cache: bound by reading it."""
    fewer = contracted(case) > (case.c_in if case.direction == "input_grad" else case.c_out)
    leaves = 4 * case.positions * contracted(case) >= 32 << 20
    return STREAMS and case.direction != "kernel_grad" and case.taps == 1 and case.groups == 1 and fewer and leaves
