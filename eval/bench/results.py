"""What a benchmark found, as `--json` has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

FORMAT = 1
"""Raised when a key changes its meaning."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Time of one call over its runs."""

    median: float
    """Milliseconds."""
    p95: float
    """Milliseconds: of twenty runs, one took longer."""
    spread: float
    """Interquartile range over the median."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The shortest time that the machine's own limits allow for one picture."""

    macs: int
    """Multiply-accumulates of the generator at its working size."""
    transferred: int
    """Bytes that have to move once: picture and cartoon, the generator's view of both, its weights."""
    matrix_ms: float
    """`macs` over the measured rate at the row's precision."""
    memory_ms: float
    """`transferred` over the measured bandwidth of main memory."""


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One style on one engine, at one size of picture, in one quality."""

    engine: str
    device: str
    precision: str
    style: str
    generator: str
    size: str
    """As asked for: 720p."""
    width: int
    """Pixels of the pictures."""
    height: int
    working_width: int
    """Pixels that the generator sees."""
    working_height: int
    quality: str
    """As asked for."""
    chosen: str
    """What it came to, where `quality` is auto."""
    latency_ms: Latency
    """One picture through the engine, YUV to YUV, everything included."""
    fps: float
    """Pictures a second through the engine alone, one after the other: 1000 / median latency."""
    file_fps: float
    """Pictures a second from file to file, once it runs: `start_s` is told apart and not in it."""
    file_spread: float
    """Interquartile range over the median of the rounds."""
    frames: int
    """Pictures of each file's run."""
    stages: dict[str, float]
    """Milliseconds at work on a picture: decode, run (the drawing), encode, as the pipeline reports them."""
    efficiency: float | None
    """`file_fps` over the rate of the slowest stage by itself: 1 where everything overlaps."""
    cpu_ms: float | None
    """Processor time of a picture from file to file, all threads; None where the system does not say."""
    peak_rss_mb: float | None
    """Most main memory the process held, 10^6 bytes; None where the system does not say."""
    start_s: float
    """From the start of the process to the finished file of a single picture."""
    watts: dict[str, float] | None
    """Mean power during the file's run, `cpu` and `gpu`, where it can be read."""
    limit: Limit | None
    """None where it cannot be known: torch is missing, or no sum of that precision runs on that device."""
    limit_fraction: float | None
    """Time at the limit over the measured latency: 1 is as fast as the machine can be."""
    ratios: dict[str, float]
    """`file_fps` over the rate of each peer's network alone at the same size, by the peer's name."""
    noisy: bool
    """Latency or file runs spread too far to rely on."""

    @property
    def key(self) -> tuple[str, ...]:
        """What makes a row the same one in another run."""
        return row_key({name: getattr(self, name) for name in KEY})

    @property
    def title(self) -> str:
        """For people: "comic openvino int8 fast 720p"."""
        return " ".join(title_parts(self.key))


KEY = ("engine", "device", "precision", "style", "size", "quality")


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """Somebody else's network, alone, through ONNX Runtime as it comes."""

    name: str
    size: str
    width: int
    """Pixels that it was given."""
    height: int
    fps: float
    """Pictures a second, without reading, converting or writing them: 1000 / median latency."""
    latency_ms: Latency
    ratio: float
    """`file_fps` of the fastest row at this size over `fps`."""
    row: str
    """The title of that row."""
    noisy: bool


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """What a GPU did at a time."""

    kind: Literal["in", "draw", "out"]
    """Copying from the host, drawing, copying to the host."""
    begin: float
    """Milliseconds."""
    end: float


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """One generator, its weights drawn by lot, by one way to run it."""

    generator: str
    parameters: int
    gmacs: float
    """10^9 multiply-accumulates of a picture."""
    engine: str
    """An engine's name, or how torch runs the network by itself: layer by layer, torch.compile."""
    device: str
    precision: str
    width: int
    height: int
    ms: Latency
    """One picture after the other. By an engine from planes to planes, else from tensor to tensor."""
    in_a_row_ms: float | None
    """A picture's share where as many are under way as the engine takes; None where that is one."""
    device_ms: float | None
    """That share by the GPU's own clock (CUDA events), copies left out; None off a GPU."""
    hidden: float | None
    """Share of the time of copies to and from a GPU during which it drew; None without one."""
    noisy: bool


@dataclass(frozen=True, slots=True)
class LengthRow:
    """What a video of this length takes: whether memory grows with it."""

    row: str
    frames: int
    seconds: float
    peak_rss_mb: float | None


@dataclass(frozen=True, slots=True)
class Similarity:
    """SSIM over all photographs: 1 where nothing differs."""

    mean: float
    least: float


@dataclass(frozen=True, slots=True)
class QualityRow:
    """How near a way of drawing comes to the reference: the style's own network, `full`, in fp32."""

    style: str
    engine: str
    device: str
    quality: str
    """What it came to, never auto."""
    precision: str
    ssim: Similarity
    """Of BT.601 luma."""
    photos: int
    """How many were compared."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One run."""

    machine: dict[str, Any]
    """Processor, cores, memory, system and versions."""
    clip: dict[str, Any]
    """What was converted."""
    seconds: float
    """For which each figure was measured, about."""
    results: Sequence[BenchRow]
    peers: Sequence[BaselineRow]
    lengths: Sequence[LengthRow] = ()
    looks: Sequence[QualityRow] = ()
    """Style after style, the reference first; empty where it was not asked for."""
    networks: Sequence[NetworkRow] = ()
    """Generator after generator, the slowest way first; empty where it was not asked for."""
    timeline: Sequence[TimeSpan] = ()
    """A while of a GPU's drawing pictures in a row, by the first of those ways; empty without a GPU."""
    matrix_tmacs: dict[str, float] = field(default_factory=dict)
    """Measured rate of the matrix units, 10^12 multiply-accumulates a second, by device and precision."""
    memory_gbs: float | None = None
    """Measured bandwidth of main memory, 10^9 bytes read or written a second."""
    noisy: bool = False
    """Too noisy to tell."""
    notes: Sequence[str] = ()
    """What was left out and what to keep in mind, a sentence each."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"format": FORMAT, **asdict(self)}


def row_key(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Of a row as JSON has it. Raises KeyError where a part is missing."""
    return tuple(str(row[name]) for name in KEY)


def title_parts(key: tuple[str, ...]) -> list[str]:
    """The words of a row's title; the device is named where it is not the processor."""
    engine, device, precision, style, size, quality = key
    return [style, engine, *([] if device == "cpu" else [device]), precision, quality, size]
