"""How far a stage is, how fast it goes, and how long it will take. The speed counts what was done since the stage was
first heard of, not what was there before. It is of the moment in which it is asked for: while nothing comes, it falls.
"""

from __future__ import annotations

from imagenet_prep.cli import show
from imagenet_prep.errors import counted
from imagenet_prep.model.events import Note, Progress, Stage

NAMES = {
    Stage.INDEX: "Indexing",
    Stage.BOXES: "Reading bounding boxes",
    Stage.UNPACK: "Unpacking",
    Stage.WRITE: "Writing shards",
    Stage.FINISH: "Writing the manifest",
    Stage.AUDIT: "Reading back",
    Stage.MOVE: "Taking names in the source away",
    Stage.UNDO: "Taking the data set away",
    Stage.CHECKSUMS: "Computing checksums",
    Stage.DECODE: "Decoding images",
    Stage.FETCH: "Fetching",
    Stage.TORRENT: "Fetching",
    Stage.RECHECK: "Comparing pieces of",
}

_TOO_SOON = 1.0  # second, in which a guess would be a wild one


def name_of(event: Progress) -> str:
    """Say what is being done."""
    return f"{NAMES[event.stage]} {event.subject}".rstrip()


def noted(note: Note) -> str:
    """Say a note, and which kind it is."""
    return f"{'Warning' if note.warning else 'Note'}: {note.text}"


def counts(event: Progress) -> str:
    """Say what is done: images, or bytes where they are not counted; nothing where nothing is."""
    if event.total:
        return f"{event.done:,} of {event.total:,} images"
    if event.bytes_total:
        return f"{show.size(event.bytes_done)} of {show.size(event.bytes_total)}"
    if event.subject:
        return show.size(event.bytes_done)
    return counted(event.done, "image") if event.done else ""


def share(event: Progress) -> float | None:
    """Give the part that is done, from 0 to 1; None where the whole is not known."""
    done, total = (event.bytes_done, event.bytes_total) if event.bytes_total else (event.done, event.total)
    return min(done / total, 1.0) if total else None


class Pace:
    """One stage, from its first event on. ``over`` is when it ended, None while it runs."""

    def __init__(self, first: Progress, now: float) -> None:
        self.first = self.last = first
        self.began = now
        self.over: float | None = None
        self.heard(first, now)

    def heard(self, event: Progress, now: float) -> None:
        """Note how far the stage is."""
        self.last = event
        self.over = now if share(event) == 1 and event.done >= event.total else None

    def passed(self, now: float) -> None:
        """Another stage has started: one without a known end is over."""
        if share(self.last) is None and self.over is None:
            self.over = now

    def seconds(self, now: float) -> float:
        """Give how long it has taken."""
        return max((now if self.over is None else self.over) - self.began, 1e-3)

    def images_a_second(self, now: float) -> str:
        """Say how many images are done in a second, where they are counted."""
        if not self.last.total:
            return ""
        return f"{(self.last.done - self.first.done) / self.seconds(now):,.0f} images/s"

    def bytes_a_second(self, now: float) -> str:
        """Say how many bytes are done in a second, where they matter."""
        came = self.last.bytes_done - self.first.bytes_done
        matters = self.last.bytes_total or self.last.subject
        return f"{show.size(came / self.seconds(now))}/s" if came > 0 and matters else ""

    def left(self, now: float) -> str:
        """Say how long it will take, where that is known."""
        done, before = share(self.last), share(self.first)
        if done is None or before is None or done <= before or self.seconds(now) < _TOO_SOON:
            return ""
        return f"{show.duration(self.seconds(now) * (1 - done) / (done - before))} left"

    def words(self, now: float) -> str:
        """Say all of it in a line of a log."""
        parts = (counts(self.last), self.images_a_second(now), self.bytes_a_second(now), self.left(now))
        return ", ".join(filter(None, parts)) or "…"
