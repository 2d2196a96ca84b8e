"""Durations, sizes and shares as people write them."""

__all__ = ["duration", "measured", "mebibytes", "share"]


def duration(seconds: float) -> str:
    """``250 ms``, ``1.5 s``, ``30 min``, ``12 h``."""
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= 10 * 60 and seconds % unit == 0:
            return f"{seconds / unit:g} {name}"
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"


def measured(seconds: float) -> str:
    """A duration to three digits, because more are noise: ``4.21 ms``."""
    return duration(float(f"{seconds:.3g}"))


def mebibytes(size: int) -> str:
    """``8 MiB``."""
    return f"{size / 1024 / 1024:g} MiB"


def share(part: float) -> str:
    """``10 %``."""
    return f"{part * 100:g} %"
