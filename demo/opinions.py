"""What readers might have written about a book: sentences that fit the stars."""

from datetime import timedelta
from random import Random

from demo.books import Book
from demo.shop import EPOCH, Shop

SILENT = {"on-lisp"}  # so that a page meets a real book without a review
PRAISED = {"pojos-in-action"}  # so that the page that everyone tries first has several pages of reviews
MOST = 60

AUTHORS = (
    "Ana P.", "B. Okafor", "Carsten", "Dee", "E. Lindgren", "fjord_reader", "G. Moretti", "Hiroshi T.",
    "Ines", "J. Whitlock", "kestrel42", "Lukas M.", "Marguerite", "N. Osei", "old-unix-hand", "Petra V.",
    "Q. Huang", "Rosa", "Sam the Elder", "T. Adeyemi", "Ulla", "Vikram", "W. Brandt", "Yusuf K.", "Zuzana",
)  # fmt: skip
TITLES = {
    1: ("Could not finish it", "Not for me at all", "Gave it away", "Disappointed"),
    2: ("Expected more", "Shows its age", "Too long for what it says", "Uneven"),
    3: ("Good in parts", "Decent, with gaps", "Worth borrowing", "Mixed feelings"),
    4: ("Solid and useful", "Recommended", "Better than I expected", "Good company for a month"),
    5: ("Changed how I work", "A keeper", "Read it twice", "The one I lend to everybody", "Superb"),
}
VERDICTS = {
    1: (
        "I gave up after the second chapter.", "Whatever {subject} needs, it is not this.",
        "I wanted to like it.",
    ),
    2: (
        "There is a good article about {subject} hidden in here.", "The idea is fine, the telling is not.",
        "It promises more than it holds.",
    ),
    3: (
        "Half of it is excellent, half of it I skipped.", "A fair introduction to {subject}, no more.",
        "I learnt something, though slowly.",
    ),
    4: (
        "Clear, honest and mostly to the point.", "The best thing on {subject} that I have read this year.",
        "It answers the questions that come up at work.",
    ),
    5: (
        "I have marked something on every other page.", "Finally {subject} makes sense to me.",
        "My whole team reads it now.", "Few books about {subject} respect the reader like this one.",
    ),
}  # fmt: skip
DETAILS = {
    1: (
        "The examples do not run, and the prose tires.", "Every page says the same thing again.",
        "Most of it can be found for nothing, better explained.",
    ),
    2: (
        "Some chapters feel like lecture notes.", "The code is hard to follow on paper.",
        "By now the tools it shows have moved on.",
    ),
    3: (
        "The later chapters are much denser than the first ones.", "I would have liked more diagrams.",
        "Read it beside something newer.",
    ),
    4: (
        "A few examples run on, but the reasoning is sound.", "The index is better than most.",
        "The chapter on trade-offs alone is worth the price.",
    ),
    5: (
        "The examples are small enough to type and large enough to matter.",
        "It says when not to follow its advice.", "At {pages} pages it is not a word too long.",
        "I came for one chapter and stayed for all of them.",
    ),
}  # fmt: skip
ENDINGS = {
    1: ("Returned it.", "Two evenings that I will not get back.", ""),
    2: ("Borrow it first.", "Perhaps a new edition will help.", ""),
    3: ("Three stars, gladly.", "Good for a book group that likes to argue.", ""),
    4: ("I will come back to it.", "Would buy again.", ""),
    5: ("Buy it on paper.", "Thank you, {author}.", "I already know whom to give the next copy."),
}

Opinion = tuple[str, int, str, str, str, bool]
"""author, rating, title, body, written at, verified purchase"""


def opinions(book: Book, shop: Shop) -> list[Opinion]:
    """None to sixty opinions, oldest first; few books have many."""
    chance = shop.chance(book.id, "reviews")
    lean = chance.choice(((1, 1, 2, 4, 6), (1, 1, 2, 5, 9), (2, 2, 4, 5, 3), (3, 4, 4, 2, 1)))
    ages = sorted((chance.randrange(6 * 365 * 86_400) for _ in range(_count(book, chance))), reverse=True)
    return [_opinion(book, age, chance.choices((1, 2, 3, 4, 5), lean)[0], chance) for age in ages]


def _count(book: Book, chance: Random) -> int:
    if book.id in SILENT:
        return 0
    return chance.randint(30, MOST) if book.id in PRAISED else round(MOST * chance.random() ** 3)


def _opinion(book: Book, age: int, stars: int, chance: Random) -> Opinion:
    sentences = (chance.choice(VERDICTS[stars]), chance.choice(DETAILS[stars]), chance.choice(ENDINGS[stars]))
    body = " ".join(sentences).rstrip()
    return (
        chance.choice(AUTHORS),
        stars,
        chance.choice(TITLES[stars]),
        body.format(subject=book.subjects[0], pages=book.pages, author=book.authors[0]),
        f"{EPOCH - timedelta(seconds=age):%Y-%m-%dT%H:%M:%SZ}",
        chance.random() < 0.7,
    )
