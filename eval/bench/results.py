"""The results of a benchmark, with the fields that `--json` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

FORMAT = 1
"""Version of the format. It rises when a key changes its meaning."""


@dataclass(frozen=True, slots=True)
class Latency:
    """The time of one call over its runs."""

    median: float
    """Milliseconds."""
    p95: float
    """Milliseconds; 95 % of the runs were faster."""
    spread: float
    """Interquartile range divided by the median."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The shortest time per frame that the machine allows."""

    macs: int
    """Multiply-accumulates of the generator at its working size."""
    transferred: int
    """Bytes that must move at least once: frame, cartoon, the generator's input and output, weights."""
    matrix_ms: float
    """`macs` divided by the measured rate at the row's precision."""
    memory_ms: float
    """`transferred` divided by the measured bandwidth of main memory."""


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One style on one engine, at one frame size, in one quality."""

    engine: str
    device: str
    precision: str
    style: str
    generator: str
    size: str
    """The size as requested, such as 720p."""
    width: int
    """Width of the frames in pixels."""
    height: int
    working_width: int
    """Width in pixels at which the generator sees the frame."""
    working_height: int
    quality: str
    """The quality as requested."""
    chosen: str
    """The quality in use, if `quality` is auto."""
    latency_ms: Latency
    """Time of one frame through the engine, from YUV to YUV."""
    fps: float
    """Frames per second of the engine alone, one frame after the other: 1000 / median latency."""
    file_fps: float
    """Frames per second from file to file while it runs. It does not include `start_s`."""
    file_spread: float
    """Interquartile range of the rounds divided by their median."""
    frames: int
    """Frames in each run of the file."""
    stages: dict[str, float]
    """Milliseconds of work per frame: decode, run (drawing), encode, as the pipeline reports them."""
    efficiency: float | None
    """`file_fps` divided by the rate of the slowest stage alone. It is 1 if the stages overlap perfectly."""
    cpu_ms: float | None
    """Processor time per frame from file to file, over all threads. None if the system does not report it."""
    peak_rss_mb: float | None
    """Peak main memory of the process, in 10^6 bytes. None if the system does not report it."""
    start_s: float
    """Time from the start of the process to the finished file of a single frame."""
    watts: dict[str, float] | None
    """Mean power during the run of the file, `cpu` and `gpu`, where it can be read."""
    limit: Limit | None
    """None if it is unknown: torch is not installed, or no reference calculation supports device and
    precision.
    """
    limit_fraction: float | None
    """The limit's time divided by the measured latency. 1 is as fast as the machine can be."""
    ratios: dict[str, float]
    """`file_fps` divided by the rate of each peer's network alone at the same size, by the peer's name."""
    noisy: bool
    """Latency or file runs varied too much to be reliable."""

    @property
    def key(self) -> tuple[str, ...]:
        """Return the fields that identify a row across runs."""
        return row_key({name: getattr(self, name) for name in KEY})

    @property
    def title(self) -> str:
        """Return a readable title, such as "comic openvino int8 fast 720p"."""
        return " ".join(title_parts(self.key))


KEY = ("engine", "device", "precision", "style", "size", "quality")


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """A network of another project, alone, in ONNX Runtime with its default settings."""

    name: str
    size: str
    width: int
    """Width of its input in pixels."""
    height: int
    fps: float
    """Frames per second of the network alone: 1000 / median latency."""
    latency_ms: Latency
    ratio: float
    """`file_fps` of the fastest row at this size divided by `fps`."""
    row: str
    """The title of that row."""
    noisy: bool


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """One activity of a GPU."""

    kind: Literal["in", "draw", "out"]
    """Copying from the host, drawing, or copying to the host."""
    begin: float
    """Milliseconds."""
    end: float


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """One generator with random weights in one runtime."""

    generator: str
    parameters: int
    gmacs: float
    """10^9 multiply-accumulates per image."""
    engine: str
    """The name of an engine, or how torch runs the network alone: layer by layer, torch.compile."""
    device: str
    precision: str
    width: int
    height: int
    ms: Latency
    """One image after the other. An engine is timed from planes to planes, torch from tensor to tensor."""
    in_a_row_ms: float | None
    """Time per image with as many in flight as the engine allows. None if that number is one."""
    device_ms: float | None
    """The same by the GPU's own clock (CUDA events), without copies. None without a GPU."""
    hidden: float | None
    """Share of the time of copies to and from a GPU during which it drew, 0 to 1. None without a GPU."""
    noisy: bool


@dataclass(frozen=True, slots=True)
class LengthRow:
    """Resources used for a video of one length. They show whether memory grows with length."""

    row: str
    frames: int
    seconds: float
    peak_rss_mb: float | None


@dataclass(frozen=True, slots=True)
class Similarity:
    """SSIM over all photographs. It is 1 for identical images."""

    mean: float
    least: float


@dataclass(frozen=True, slots=True)
class QualityRow:
    """Similarity of one variant to the reference: the style's own network, quality `full`, fp32."""

    style: str
    engine: str
    device: str
    quality: str
    """The quality in use, never auto."""
    precision: str
    ssim: Similarity
    """SSIM of BT.601 luma."""
    photos: int
    """The number of photographs compared."""


@dataclass(frozen=True, slots=True)
class Bench:
    """The results of one run."""

    machine: dict[str, Any]
    """Processor, cores, memory, system and versions."""
    clip: dict[str, Any]
    """The clip that was converted."""
    seconds: float
    """Approximate time spent on each figure."""
    results: Sequence[BenchRow]
    peers: Sequence[BaselineRow]
    lengths: Sequence[LengthRow] = ()
    looks: Sequence[QualityRow] = ()
    """Rows of every style, the reference first. Empty if not requested."""
    networks: Sequence[NetworkRow] = ()
    """Rows of every generator, the slowest runtime first. Empty if not requested."""
    timeline: Sequence[TimeSpan] = ()
    """Part of the timeline of a GPU that draws frames in a row, for the first of those runtimes. Empty
    without a GPU.
    """
    matrix_tmacs: dict[str, float] = field(default_factory=dict)
    """Measured rate of the matrix units by device and precision, in 10^12 multiply-accumulates per second."""
    memory_gbs: float | None = None
    """Measured bandwidth of main memory, in 10^9 bytes read or written per second."""
    noisy: bool = False
    """The machine was too busy for reliable times."""
    notes: Sequence[str] = ()
    """One sentence for each thing that was skipped or that limits the results."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"format": FORMAT, **asdict(self)}


def row_key(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the key of a row read from JSON. Raises KeyError if a part is missing."""
    return tuple(str(row[name]) for name in KEY)


def title_parts(key: tuple[str, ...]) -> list[str]:
    """Return the words of a row's title. The device is included unless it is the CPU."""
    engine, device, precision, style, size, quality = key
    return [style, engine, *([] if device == "cpu" else [device]), precision, quality, size]
