"""Books that nobody wrote: plausible, labelled as generated, and the same for the same chance."""

import re
from datetime import date, timedelta
from random import Random

from demo.books import Book

# subject: what its books are about, as it stands in a title
TOPICS = {
    "algorithms": ("Graph Search", "Sorting", "String Matching", "Approximation"),
    "compilers": ("Parsers", "Code Generation", "Register Allocation", "Incremental Compilers"),
    "concurrency": ("Actors", "Event Loops", "Lock-Free Queues", "Structured Concurrency"),
    "databases": ("Query Planning", "Storage Engines", "Replication", "Schema Migration"),
    "delivery": ("Release Trains", "Feature Flags", "Build Caches", "Trunk-Based Development"),
    "design": ("Interfaces", "Typography on Screens", "Forms", "Dashboards"),
    "distributed systems": ("Consensus", "Clocks", "Gossip Protocols", "Idempotence"),
    "functional programming": ("Folds", "Persistent Structures", "Effects", "Parser Combinators"),
    "java": ("Virtual Threads", "Records and Streams", "JVM Internals", "Modular Java"),
    "javascript": ("Browser Rendering", "Progressive Web Apps", "Node Services", "Typed JavaScript"),
    "machine learning": ("Recommenders", "Feature Stores", "Model Serving", "Time Series"),
    "microservices": ("API Gateways", "Service Contracts", "Sagas", "Service Meshes"),
    "networks": ("Congestion Control", "HTTP", "Load Balancing", "Naming and Discovery"),
    "operating systems": ("Schedulers", "File Systems", "Containers", "Virtual Memory"),
    "operations": ("Incident Response", "Observability", "Capacity Planning", "On-Call"),
    "programming practice": ("Code Review", "Debugging", "Naming", "Pair Programming"),
    "python": ("Async Python", "Type Hints", "Packaging", "Python Services"),
    "reliability": ("Graceful Degradation", "Load Shedding", "Timeouts", "Chaos Experiments"),
    "software architecture": ("Modular Monoliths", "Hexagonal Design", "Event Sourcing", "Boundaries"),
    "software design": ("Small Interfaces", "Composition", "Domain Models", "Error Handling"),
    "testing": ("Property-Based Testing", "Test Doubles", "Contract Tests", "Flaky Tests"),
}
SHAPES = (
    "{topic} in Practice", "Practical {topic}", "The {topic} Handbook", "Understanding {topic}",
    "{topic} by Example", "A Field Guide to {topic}", "{topic} from First Principles",
    "Thinking in {topic}", "The Quiet Art of {topic}", "{topic} Without Tears", "Everyday {topic}",
    "{topic}: The Missing Chapters", "Notes on {topic}",
)  # fmt: skip
SUBTITLES = (
    "Lessons from Production", "Patterns and Trade-Offs", "A Working Engineer's Guide",
    "What to Build and What to Buy", "From Prototype to Ten Million Users", "With Exercises and Answers",
    "A Short Course", "Second Thoughts Included",
)  # fmt: skip
FIRST_NAMES = (
    "Ada", "Amara", "Anton", "Beatriz", "Bram", "Chidi", "Clara", "Daiki", "Elif", "Emre", "Farah",
    "Fergus", "Greta", "Hana", "Ilse", "Ivo", "Jonas", "Kamala", "Kofi", "Lena", "Luca", "Mairi", "Marek",
    "Mei", "Nadia", "Niels", "Oona", "Pavel", "Priya", "Rafael", "Ruth", "Sana", "Sören", "Tomás", "Uma",
    "Viktor", "Wanda", "Yara", "Zoltan",
)  # fmt: skip
LAST_NAMES = (
    "Abara", "Almqvist", "Bellweather", "Castellano", "Dahlgren", "Drummond", "Eriksen", "Fontaine",
    "Grünwald", "Halloran", "Ibarra", "Jankowski", "Kestrel", "Lindqvist", "Mbeki-Stone", "Nakagawa",
    "O'Dwyer", "Okonjo", "Pereira", "Quillfeather", "Rasmussen", "Sato-Lindt", "Thackeray", "Umarov",
    "Vandermeer", "Winterbourne", "Yilmaz", "Zielinska",
)  # fmt: skip
PUBLISHERS = (
    "Lanternlight Press",
    "Brass Key Books",
    "Harbour & Quay",
    "Nine Elms Technical",
    "Slow River",
    "Octave",
)
OPENINGS = (
    "{topic} looks simple until the second year.", "Most teams meet {topic} by accident, usually at night.",
    "This is a book about {topic} for people who have to live with their decisions.",
    "Everything that its author wished to know about {topic} ten years ago.",
)  # fmt: skip
MIDDLES = (
    "Each chapter takes one problem, tries the obvious answer, and shows where it breaks.",
    "A single example grows through the chapters, from an afternoon's sketch to a system with users.",
    "Measurements replace opinions wherever there was something to measure.",
    "The examples are short, complete and meant to be changed.",
)  # fmt: skip
CLOSINGS = (
    "The last part collects checklists for {subject}.", "Exercises range from a coffee break to a weekend.",
    "Readers who know {subject} already may begin in the middle.",
    "An annotated bibliography closes the book.",
)  # fmt: skip


def invented(number: int, chance: Random) -> Book:
    """The book at this place of the catalogue."""
    subject, other = chance.sample(sorted(TOPICS), 2)
    topic = chance.choice(TOPICS[subject])
    title = chance.choice(SHAPES).format(topic=topic)
    return Book(
        id=f"g-{number:06d}-{_slug(title)}",
        title=title,
        subtitle=chance.choice(SUBTITLES) if chance.random() < 0.6 else None,
        authors=_authors(chance),
        publisher=chance.choice(PUBLISHERS),
        published=(date(2026, 10, 1) - timedelta(days=chance.randrange(30 * 365))).isoformat(),
        pages=chance.randrange(96, 900, 8),
        subjects=(subject, other),
        about=_about(topic, subject, chance),
        generated=True,
    )


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _authors(chance: Random) -> tuple[str, ...]:
    count = chance.choices((1, 2, 3), (6, 3, 1))[0]
    return tuple(f"{chance.choice(FIRST_NAMES)} {last}" for last in chance.sample(LAST_NAMES, count))


def _about(topic: str, subject: str, chance: Random) -> str:
    sentences = (chance.choice(OPENINGS), chance.choice(MIDDLES), chance.choice(CLOSINGS))
    return " ".join(sentences).format(topic=topic, subject=subject)
